"""Versions as `importlib.metadata` tells them, for everything that is installed here, and for other spellings."""

import sys
from importlib import metadata

import pytest

from hcs_lib.core import distributions
from hcs_lib.core.distributions import entry_points, installed_version


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path, alone."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    yield tmp_path
    for cached in (distributions._infos, distributions._versions, distributions.entry_points):
        cached.cache_clear()


def test_versions_of_all_that_is_installed():
    names = {found.metadata["Name"] for found in metadata.distributions()}
    assert len(names) > 50
    assert {name: installed_version(name) for name in names} == {name: metadata.version(name) for name in names}


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ("My_Thing-1.0.dist-info", "1.0"),
        ("my.thing-2.13.0+cpu.dist-info", "2.13.0+cpu"),
        ("my_thing-1.2.dev3.dist-info", "1.2.dev3"),
        ("my_thing-0.9-py3.11.egg-info", "0.9"),
        ("my_thing_more-1.0.dist-info", None),
        ("my_thing.egg-info", None),
    ],
)
def test_names_of_folders(folder, info, version):
    (folder / info).mkdir()
    assert installed_version("my-thing") == installed_version("My.Thing") == version


def test_what_is_not_there(folder):
    assert installed_version("my-thing") is None
    assert entry_points("group") == {}


def test_entry_points_as_pip_writes_them(folder):
    info = folder / "my_thing-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[console_scripts]\nA = b:c\n\n[group]\nOne = x.y:Z\ntwo=u\n")
    assert entry_points("group") == {"One": ("x.y:Z",), "two": ("u",)}
