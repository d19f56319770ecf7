"""A toy library which workers can import, and a cache that is nobody's."""

import sys
from pathlib import Path

import pytest

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="session")
def toy():
    """The registry of the toy library."""
    sys.path.insert(0, str(TOY))
    from toy_registry import ToyRegistry

    yield ToyRegistry()
    sys.path.remove(str(TOY))


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory, monkeypatch) -> Path:
    """A cache of this test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "hcs" / "registry"
