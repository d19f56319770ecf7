import shutil
import sys

import pytest

from hcs_lib.registry import sources
from hcs_lib.registry.libraries import get_library


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in which `main` imports `helper` (within a function) and `deep`, which imports a sibling relatively."""
    root = tmp_path / "pack"
    (root / "sub").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "main.py").write_text("import numpy\nfrom pack.sub import deep\n\ndef f():\n    from pack import helper\n")
    (root / "helper.py").write_text("import json\nimport not_installed_anywhere\n")
    (root / "other.py").write_text("import scipy\n")
    (root / "sub/__init__.py").write_text("")
    (root / "sub/deep.py").write_text("from ..shared import value\nfrom . import __name__\n")
    (root / "shared.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def fresh():
        for cached in (sources.source_digest, sources.dependencies, sources._closure, sources._find):
            cached.cache_clear()
        return sources.source_digest("pack.main", "pack")

    yield root, fresh
    shutil.rmtree(root)
    fresh_names = [name for name in sys.modules if name.startswith("pack.") or name == "pack"]
    for name in fresh_names:
        del sys.modules[name]


@pytest.mark.parametrize("file", ["main.py", "helper.py", "sub/deep.py", "shared.py"])
def test_a_change_in_anything_it_imports_changes_the_digest(package, file):
    root, fresh = package
    before = fresh()
    (root / file).write_text((root / file).read_text() + "# changed\n")
    assert fresh() != before


def test_a_change_elsewhere_does_not(package):
    root, fresh = package
    before = fresh()
    (root / "other.py").write_text("changed = True\n")
    assert fresh() == before


def test_dependencies_are_installed_distributions_outside_the_standard_library(package):
    _, fresh = package
    fresh()
    assert list(sources.dependencies("pack.main", "pack")) == ["numpy"]


def test_our_own_closure():
    closure = sources._closure("hcs_lib.functions.measurement", "hcs_lib.functions")
    assert "hcs_lib.functions.shape" in closure
    assert "hcs_lib.functions.projection" not in closure
    assert all(name.startswith("hcs_lib.functions") for name in closure)
    found = sources.dependencies("hcs_lib.functions.nuclei", "hcs_lib.functions")
    assert {"numpy", "scipy", "scikit-image"} <= set(found)


def test_nothing_is_imported_to_find_sources(package):
    root, fresh = package
    for file in ("main.py", "helper.py", "sub/deep.py", "sub/__init__.py", "shared.py"):
        (root / file).write_text((root / file).read_text() + "raise RuntimeError\n")
    fresh()
    assert not {"pack.main", "pack.helper", "pack.sub", "pack.sub.deep"} & sys.modules.keys()


def test_the_distributions_that_our_functions_import_are_those_that_their_file_is_valid_for() -> None:
    library = get_library("hcs")
    imported = {
        name for module in library.MODULES_TO_SCAN for name in sources.dependencies(module, "hcs_lib.functions")
    }
    assert set(library.DEPENDENCIES) == imported
    assert library.versions().items() >= library.dependencies().items()
