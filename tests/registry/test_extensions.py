"""Libraries of others: an installed one, and a module that the configuration names; and what may be wrong with both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hcs_lib.cli.registry import registry
from hcs_lib.core import distributions
from hcs_lib.core.errors import MachineError, UserError
from hcs_lib.registry import extensions, sources
from hcs_lib.registry.libraries import get_library, library_names
from hcs_lib.registry.service import RegistryService, resolve
from hcs_lib.registry.twins import twin_name
from hcs_lib.registry.versions import libraries_of

LIBRARY = '''
import numpy as np
from hcs_lib.registry.base import LibraryRegistryBase

class Registry(LibraryRegistryBase):
    library_name = "thing"
    MODULES_TO_SCAN = ("thing",)
    MEMORY_TYPE = "numpy"
    FLOAT_DTYPE = "float32"

    def get_library_version(self):
        return "1.5"

def brighten(image, by: float = 2.0):
    """Multiply."""
    return image.astype(np.float64) * by

def flatten(image):
    """Take the brightest of all slices."""
    return image.max(axis=0)
'''

FILTERS = '''
import numpy as np
from hcs_lib.core.declare import image_function

@image_function(accepts=(2,), dtypes="float32")
def soften(image, weight: float = 0.5):
    """Mix every pixel with its left neighbour."""
    return (image * (1 - weight) + np.roll(image, 1, axis=1) * weight).astype(np.float32)

def helper(image):
    return image
'''


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A folder on the path, and nothing remembered of what was found before or is found now."""

    def forget():
        for cached in (
            distributions.entry_points, distributions._infos, distributions._versions, extensions.load,
            sources.source_digest, sources.dependencies, sources._closure, sources._find,
        ):  # fmt: skip
            cached.cache_clear()
        for name in [name for name in sys.modules if name.split(".")[0] in ("thing", "filters")]:
            del sys.modules[name]

    forget()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(extensions.MODULES, "")
    yield tmp_path
    monkeypatch.undo()
    forget()


def install(folder: Path, points: str, name: str = "thing", code: str = LIBRARY) -> None:
    """Put a distribution into a folder as pip would: its module, and its entry points."""
    (folder / "thing.py").write_text(code)
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[{extensions.GROUP}]\n{points}\n")


def test_an_installed_library_of_one_file_is_probed_like_ours(fresh):
    install(fresh, "thing = thing:Registry")
    assert len(LIBRARY.splitlines()) < 60
    assert "thing" in library_names()
    found = RegistryService().catalogue("thing").entries
    assert set(found) == {"thing.brighten", "thing.flatten"}
    assert (found["thing.brighten"].coupling, found["thing.flatten"].coupling) == ("none", "reduces")
    entry = found["thing.brighten"]
    assert (entry.version, entry.origin, entry.dtypes["uint16"]) == ("1.5", "probed", "float64")
    bound = resolve(entry.id, entry.library, entry.version, entry.target, entry.source_digest)
    import numpy as np

    assert bound.func(np.full((2, 2), 3, np.uint16)).tolist() == [[6, 6], [6, 6]]


def test_functions_of_a_module_that_the_configuration_names(fresh):
    (fresh / "filters.py").write_text(FILTERS)
    with pytest.raises(UserError, match="no such library"):
        get_library("filters")
    extensions.allow(("filters",), fresh)
    entry = RegistryService().entry("filters.soften")
    assert (entry.origin, entry.accepts, entry.parameters[0].default) == ("declared", (2,), 0.5)
    assert "numpy" in entry.dependencies
    with pytest.raises(UserError, match=r"no function 'filters.helper'"):
        RegistryService().entry("filters.helper")
    found = resolve(entry.id, entry.library, entry.version, entry.target, entry.source_digest).func
    import numpy as np

    assert found(np.array([[1.0, 3.0]])).tolist() == [[2.0, 2.0]]


def test_a_changed_module_is_another_function(fresh):
    (fresh / "filters.py").write_text(FILTERS)
    extensions.allow(("filters",), fresh)
    before = RegistryService().entry("filters.soften")
    (fresh / "filters.py").write_text(FILTERS.replace("1, axis=1", "2, axis=1"))
    code = (
        "from hcs_lib.registry.service import resolve\n"
        f"resolve({before.id!r}, 'filters', {before.version!r}, {before.target!r}, {before.source_digest!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "its source differs from what was compiled for" in done.stderr


def test_the_program_takes_a_module_of_this_folder(fresh):
    (fresh / "filters.py").write_text(FILTERS)
    done = subprocess.run(
        [sys.executable, "-m", "hcs_lib.cli.main", "--module", "filters", "functions", "list", "--library", "filters",
         "--json"],
        cwd=fresh, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert [row["id"] for row in json.loads(done.stdout)["functions"]] == ["filters.soften"]


@pytest.mark.parametrize(
    ("points", "code", "said"),
    [
        ("thing = thing:Registry", "raise RuntimeError('half installed')", "RuntimeError: half installed"),
        ("thing = thing:Registry", "raise SystemExit(4)", "SystemExit: 4"),
        ("thing = thing:Nobody", LIBRARY, "cannot be loaded: AttributeError"),
        ("thing = nowhere:Registry", LIBRARY, "No module named 'nowhere'"),
        ("other = thing:Registry", LIBRARY, "no LibraryRegistryBase of that name"),
        ("thing = json:JSONDecoder", LIBRARY, "no LibraryRegistryBase of that name"),
    ],
)
def test_a_broken_library_is_named_and_the_others_work(fresh, caplog, points, code, said):
    install(fresh, points, code=code)
    name = points.split()[0]
    with pytest.raises(MachineError, match=name):
        get_library(name)
    entries = RegistryService().entries()
    assert said in caplog.text
    assert "skimage.filters.gaussian" in entries
    assert not [entry for entry in entries if entry.startswith("thing.")]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('not today')", "ValueError: not today"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def f(:", "SyntaxError: invalid syntax (filters.py, line 1)"),
        ("raise SystemExit(4)", "SystemExit: 4"),
        (b"\0", "null bytes"),
        (None, "there is none"),
    ],
)
def test_a_broken_module_is_named_and_the_others_work(fresh, caplog, code, said):
    if code is not None:
        (fresh / "filters.py").write_bytes(code if isinstance(code, bytes) else code.encode())
    extensions.allow(("filters",), fresh)
    with pytest.raises(UserError, match="filters"):
        RegistryService().catalogue("filters")
    assert "skimage.filters.gaussian" in RegistryService().entries()
    assert said in caplog.text


@pytest.mark.parametrize("module", ["sys", "os.path", "math"])
def test_a_module_without_a_source_is_named_and_the_others_work(fresh, caplog, module):
    extensions.allow((module,), fresh)
    with pytest.raises(UserError, match=f"module {module}: It cannot be imported"):
        RegistryService().catalogue(module)
    assert "skimage.filters.gaussian" in RegistryService().entries()
    assert f"module {module}: It cannot be imported" in caplog.text


def test_a_name_that_is_taken_is_refused(fresh, caplog):
    install(fresh, "skimage = thing:Registry")
    with pytest.raises(UserError, match=r"taken by a library that comes with hcs.*entry point skimage"):
        get_library("skimage")


def test_a_module_does_not_hide_behind_an_installed_library_of_its_name(fresh):
    install(fresh, "filters = thing:Registry")
    (fresh / "filters.py").write_text(FILTERS)
    extensions.allow(("filters",), fresh)
    with pytest.raises(UserError, match=r"module filters: This name is taken .*entry point filters = thing:Registry"):
        get_library("filters")


def test_a_module_may_be_installed_and_named_too(fresh):
    install(fresh, "filters = filters")
    (fresh / "filters.py").write_text(FILTERS)
    extensions.allow(("filters",), fresh)
    assert set(RegistryService().catalogue("filters").entries) == {"filters.soften"}


def test_a_function_declared_twice_in_a_package_is_refused(fresh):
    package = fresh / "filters"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("a", "b"):
        (package / f"{name}.py").write_text(FILTERS)
    extensions.allow(("filters",), fresh)
    with pytest.raises(UserError, match=r"filters.soften: Declared twice: filters.a:soften and filters.b:soften"):
        RegistryService().catalogue("filters")


def test_a_broken_library_takes_no_twin_from_others(fresh):
    install(fresh, "thing = thing:Registry", code="raise RuntimeError('half installed')")
    extensions.allow(("skimage",), fresh)
    assert twin_name("scipy.ndimage.zoom") == ("cupyx.scipy.ndimage", "cupyx.scipy.ndimage.zoom")
    assert twin_name("hcs.project") is None
    assert libraries_of(["hcs.project", "thing.f"], twins=True) == ["hcs", "thing"]


def test_status_and_build_of_all_name_what_is_broken_and_go_on(fresh):
    install(fresh, "thing = thing:Registry", code="raise RuntimeError('half installed')")
    (fresh / "raising.py").write_text("raise ValueError('not today')")
    extensions.allow(("filters", "raising", "skimage"), fresh)
    shown = CliRunner().invoke(registry, ["status", "--json"], catch_exceptions=False)
    rows = {row["library"]: row for row in json.loads(shown.output)["libraries"]}
    assert rows["scipy.ndimage"]["valid"]
    assert "RuntimeError: half installed" in rows["thing"]["message"]
    assert "module filters: It cannot be imported (there is none)" in rows["filters"]["message"]
    assert "ValueError: not today" in rows["raising"]["message"]
    assert "This name is taken" in rows["skimage"]["message"]
    built = CliRunner().invoke(registry, ["build"], catch_exceptions=False)
    assert built.exit_code == 0
    for name in ("filters", "raising", "skimage", "thing"):
        assert f"{name}: left out." in built.output
    assert "scipy.ndimage: 66 of 75 functions usable" in built.output


def test_a_name_that_two_distributions_use_is_refused(fresh, tmp_path_factory, monkeypatch, caplog):
    install(fresh, "thing = thing:Registry")
    later = tmp_path_factory.mktemp("later")
    install(later, "thing = nowhere:Registry", name="thing-again")
    monkeypatch.setattr(sys, "path", [*sys.path, str(later)])
    assert "skimage.filters.gaussian" in RegistryService().entries()
    assert "Library thing is there twice: the entry point thing = thing:Registry and nowhere:Registry" in caplog.text
