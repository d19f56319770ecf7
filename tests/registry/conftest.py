"""A toy library which workers can import, and a cache that is nobody's."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hcs_lib.core.errors import MachineError
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.service import RegistryService

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="session")
def toy():
    """The registry of the toy library."""
    sys.path.insert(0, str(TOY))
    from toy_registry import ToyRegistry

    yield ToyRegistry()
    sys.path.remove(str(TOY))


@pytest.fixture
def installed():
    """Return the entries of a library; skip where it cannot be used on this machine."""

    def entries(library: str) -> Mapping[str, FunctionEntry]:
        try:
            get_library(library).get_library_object()
        except MachineError as error:
            pytest.skip(str(error))
        return RegistryService().catalogue(library).entries

    return entries


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory, monkeypatch) -> Path:
    """A cache of this test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "hcs" / "registry"
