import json
import logging
import os
import subprocess
import sys
import time

import pytest

from hcs_lib.core.errors import MachineError, UserError
from hcs_lib.registry import service as module
from hcs_lib.registry.cache import snapshot_folder, write_library
from hcs_lib.registry.libraries import get_library, library_names
from hcs_lib.registry.service import RegistryService, resolve
from hcs_lib.registry.versions import libraries_of, library_versions


def write(path, library, count, versions=None):
    """A file with the first `count` entries of the snapshot: files can be told apart by their length."""
    entries = list(RegistryService().catalogue(library).entries.values())[:count]
    write_library(path, library, versions or library_versions(library), entries)


def test_libraries_are_found_by_walking_the_package():
    assert library_names() == (
        "cucim", "cupyx.scipy.ndimage", "cupyx.scipy.signal", "hcs", "kornia", "pyclesperanto", "scipy.ndimage",
        "scipy.signal", "skimage", "torch",
    )  # fmt: skip
    for name in library_names():
        assert get_library(name).library_name == name


def test_order_of_look_up(tmp_path, user_cache):
    folder = tmp_path / "results" / "registry"
    service = lambda: RegistryService(folder).catalogue("scipy.ndimage")  # noqa: E731
    assert service().source == "snapshot"
    assert not user_cache.exists(), "reading writes nothing"
    write(user_cache / "scipy.ndimage.json", "scipy.ndimage", 9)
    assert (service().source, len(service().entries)) == ("user", 9)
    write(folder / "scipy.ndimage.json", "scipy.ndimage", 8)
    assert (service().source, len(service().entries)) == ("workflow", 8)


def test_workflow_files_do_not_age_and_caches_do(tmp_path, user_cache):
    write(tmp_path / "skimage.json", "skimage", 5)
    write(user_cache / "skimage.json", "skimage", 6)
    for path in (tmp_path / "skimage.json", user_cache / "skimage.json"):
        os.utime(path, (time.time() - 30 * 86_400,) * 2)
    assert RegistryService(tmp_path).catalogue("skimage").source == "workflow"
    assert RegistryService().catalogue("skimage").source == "snapshot"
    assert RegistryService(max_age_days=31).catalogue("skimage").source == "user"


def test_damaged_files_are_said_so_and_not_used(tmp_path, caplog):
    write(tmp_path / "skimage.json", "skimage", 5)
    path = tmp_path / "skimage.json"
    path.write_bytes(path.read_bytes()[:-200])
    with caplog.at_level(logging.WARNING, "hcs.registry"):
        catalogue = RegistryService(tmp_path).catalogue("skimage")
    assert catalogue.source == "snapshot"
    assert len(catalogue.entries) > 5
    assert f"{path} is damaged" in caplog.text
    assert "It is not used. Delete it: the next run of the workflow writes it again." in caplog.text


def test_a_damaged_cache_is_said_so_and_written_again_by_build(user_cache, caplog):
    write(user_cache / "skimage.json", "skimage", 5)
    path = user_cache / "skimage.json"
    path.write_bytes(path.read_bytes()[:-200])
    assert RegistryService().catalogue("skimage").source == "snapshot"
    assert f"{path} is damaged" in caplog.text
    assert "It is not used. Delete it: `hcs registry build` writes it again." in caplog.text
    caplog.clear()
    subprocess.run([sys.executable, "-m", "hcs_lib.cli.main", "registry", "build", "skimage"], check=True)
    assert RegistryService().catalogue("skimage").source == "user"
    assert caplog.text == ""


def test_a_workflow_file_for_other_versions_is_said_so(tmp_path, caplog):
    write(tmp_path / "skimage.json", "skimage", 5, library_versions("skimage") | {"skimage": "0.1"})
    with caplog.at_level(logging.WARNING, "hcs.registry"):
        assert RegistryService(tmp_path).catalogue("skimage").source == "snapshot"
    assert "skimage 0.1, here is" in caplog.text


def test_no_file_serves_then_probe_and_keep(monkeypatch, tmp_path, user_cache, caplog):
    registry = get_library("scipy.ndimage")
    entries = list(RegistryService().catalogue("scipy.ndimage").entries.values())[:4]
    monkeypatch.setattr(module.cache, "snapshot_folder", lambda: tmp_path)
    monkeypatch.setattr(type(registry), "build", lambda self, progress: entries)
    with caplog.at_level(logging.WARNING, "hcs.registry"):
        assert RegistryService().catalogue("scipy.ndimage").source == "probe"
    assert "Probing scipy.ndimage" in caplog.text
    found = RegistryService().catalogue("scipy.ndimage")
    assert (found.source, len(found.entries)) == ("user", 4)
    assert found.path == user_cache / "scipy.ndimage.json"


def test_snapshots_are_for_the_locked_versions(repository):
    lock = dict(
        line.split(" ;")[0].strip().split("==") for line in (repository / "requirements.lock").read_text().splitlines()
    )
    for library, distribution in (("skimage", "scikit-image"), ("scipy.ndimage", "scipy")):
        versions = json.loads((snapshot_folder() / f"{library}.json").read_bytes())["versions"]
        assert versions[library] == lock[distribution]
        assert versions["numpy"] == lock["numpy"]


def test_enough_functions_are_usable():
    service = RegistryService()
    catalogues = [service.catalogue(name) for name in ("hcs", "scipy.ndimage", "skimage")]
    usable = {found.library: sum(e.excluded is None for e in found.entries.values()) for found in catalogues}
    assert usable["skimage"] >= 150
    assert usable["scipy.ndimage"] >= 60
    assert usable["hcs"] >= 5


def test_unknown_function_offers_the_nearest():
    with pytest.raises(
        UserError, match=r"no function 'skimage.filters.gausian'.*Did you mean skimage.filters.gaussian"
    ):
        RegistryService().entry("skimage.filters.gausian")
    with pytest.raises(UserError, match=r"no function 'nothing'\.$"):
        RegistryService().entry("nothing")


def test_unknown_function_offers_its_namesakes():
    said = r"no function 'gaussian'. Did you mean skimage.filters.gaussian or cucim.skimage.filters.gaussian\?$"
    with pytest.raises(UserError, match=said):
        RegistryService().entry("gaussian")


def test_unknown_function_may_be_of_a_module_of_the_user():
    said = r"no function 'filters.x'\. Is filters a module of your own\? Name it: `hcs --module filters …`, or "
    with pytest.raises(UserError, match=said):
        RegistryService().entry("filters.x")
    with pytest.raises(UserError, match=r"no function 'skimage.filters.x'\.") as raised:
        RegistryService().entry("skimage.filters.x")
    assert "module" not in str(raised.value)


def test_excluded_function_says_why():
    with pytest.raises(UserError, match=r"generic_filter'.*needs argument function"):
        RegistryService().entry("scipy.ndimage.generic_filter")
    assert "scipy.ndimage.generic_filter" not in RegistryService().entries()


def test_metadata_is_ready_to_be_called():
    import numpy as np

    functions = RegistryService().get_all_functions_with_metadata()
    found = functions["scipy.ndimage.gaussian_filter"]
    assert (found.name, found.original_name, found.module) == (
        "scipy.ndimage.gaussian_filter", "gaussian_filter", "scipy.ndimage",
    )  # fmt: skip
    assert found.doc.startswith("Multidimensional Gaussian filter")
    assert "gaussian" in found.tags
    image = np.zeros((9, 9))
    image[4, 4] = 1
    blurred = found.contract.execute(found.registry, found.func, image, sigma=1.0)
    assert blurred[4, 4] == pytest.approx(1 / (2 * np.pi), rel=0.01)


LIGHT = """
import sys, json
from hcs_lib.registry.service import RegistryService
functions = RegistryService().get_all_functions_with_metadata()
heavy = ("numpy", "scipy", "skimage", "torch", "cupy", "pyclesperanto", "pydantic", "pandas")
print(json.dumps({"count": len(functions), "heavy": [name for name in heavy if name in sys.modules]}))
"""


def test_loading_the_catalogue_imports_no_image_library(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "hcs_lib.cli.main", "registry", "build", "hcs"], env=environment, check=True)
    done = subprocess.run([sys.executable, "-c", LIGHT], env=environment, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    assert found["count"] > 210


def test_a_library_that_is_not_installed_costs_no_logging():
    code = (
        "import sys; from hcs_lib.registry import service\n"
        "service.library_names = lambda: ('kornia', 'scipy.ndimage')\n"
        "from hcs_lib.registry.libraries import kornia\n"
        "def absent(self): raise service.MachineError('kornia is not installed.')\n"
        "kornia.KorniaRegistry.get_library_version = absent\n"
        "assert [found.library for found in service.RegistryService().catalogues()] == ['scipy.ndimage']\n"
        "assert 'logging' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_resolve_gives_the_function_and_its_registry():
    entry = RegistryService().entry("skimage.filters.sobel")
    bound = resolve(entry.id, entry.library, entry.version, entry.target, entry.source_digest)
    from skimage.filters import sobel

    assert bound.func is sobel
    assert bound.registry is get_library("skimage")


def test_resolve_refuses_other_versions():
    with pytest.raises(MachineError, match=r"compiled for skimage 0.1, here is .*hcs compile"):
        resolve("skimage.filters.sobel", "skimage", "0.1", "skimage.filters:sobel", None)


def test_resolve_refuses_other_sources():
    entry = RegistryService().entry("hcs.project")
    assert resolve(entry.id, "hcs", entry.version, entry.target, entry.source_digest).func.__name__ == "project"
    with pytest.raises(MachineError, match=r"source differs.*hcs compile"):
        resolve(entry.id, "hcs", entry.version, entry.target, "0" * 64)


@pytest.mark.parametrize(
    ("id", "library", "target"),
    [
        ("os.system", "skimage", "os:system"),
        ("skimage.filters.gaussian", "skimage", "os:system"),
        ("skimage.io.imread", "skimage", "skimage.io:imread"),
        ("skimage.filters._gaussian.gaussian", "skimage", "skimage.filters._gaussian:gaussian"),
        ("skimage.filters.no_such", "skimage", "skimage.filters:no_such"),
        ("skimage.filters.__import__", "skimage", "skimage.filters:__import__"),
        ("scipy.ndimage.np", "scipy.ndimage", "scipy.ndimage:np"),
        ("skimage.filters.rank", "skimage", "skimage.filters:rank"),
        ("hcs.require_plane", "hcs", "hcs_lib.functions.checks:require_plane"),
        ("hcs.main", "hcs", "hcs_lib.cli.main:main"),
        ("os.system", "os", "os:system"),
    ],
)
def test_resolve_refuses_everything_that_is_no_function_of_the_library(id, library, target):  # noqa: A002
    version = get_library(library).get_library_version() if library in library_names() else "1"
    entry = RegistryService().entry("hcs.project")
    with pytest.raises((UserError, MachineError)):
        resolve(id, library, version, target, entry.source_digest)


def test_functions_are_offered_under_their_shortest_name():
    entries = RegistryService().entries()
    assert "skimage.morphology.flood" in entries or "skimage.segmentation.flood" in entries
    targets = [entry.target for entry in entries.values()]
    assert len(targets) == len(set(targets))
    assert "skimage.measure.label" in entries
    assert "skimage.morphology.label" not in entries


def test_versions_import_nothing():
    code = (
        "import sys\n"
        "from hcs_lib.registry.versions import libraries_of, library_versions\n"
        "found = {name: library_versions(name) for name in ('hcs', 'scipy.ndimage', 'skimage')}\n"
        "assert not {'numpy', 'scipy', 'skimage', 'pydantic', 'click'} & set(sys.modules)\n"
        "assert len(found['hcs']['hcs']) == 64\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_libraries_of_a_pipeline():
    called = ["scipy.ndimage.label", "skimage.filters.gaussian", "skimage.measure.label", "unknown.function"]
    assert libraries_of(called) == ["hcs", "scipy.ndimage", "skimage"]
    assert libraries_of([]) == ["hcs"]
