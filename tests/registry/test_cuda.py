"""Libraries of CUDA where there is no GPU: offered from the shipped snapshots, which say that they are inferred."""

import shutil
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner

from hcs_lib.cli.registry import registry as command
from hcs_lib.core.errors import MachineError, UserError
from hcs_lib.registry import base, cache, cuda
from hcs_lib.registry.cuda import CudaRegistry, cupy_version
from hcs_lib.registry.entry import Parameter
from hcs_lib.registry.inference import BEHAVIOUR, infer_libraries
from hcs_lib.registry.libraries import get_library, library_names
from hcs_lib.registry.service import RegistryService, resolve
from hcs_lib.registry.twins import behave_alike, differences, twin_name
from hcs_lib.registry.versions import libraries_of, library_versions
from hcs_lib.registry.wheels import Wheel

CUDA = [name for name in library_names() if isinstance(get_library(name), CudaRegistry)]


@pytest.fixture
def absent(monkeypatch):
    """No library of CUDA is installed."""
    monkeypatch.setattr(cuda, "installed_version", lambda name: None)


@pytest.fixture
def installed_as(monkeypatch):
    """Libraries of CUDA seem installed, in given versions."""

    def install(**versions):
        monkeypatch.setattr(cuda, "installed_version", lambda name: "installed")
        monkeypatch.setattr(cuda, "distribution_version", versions.__getitem__)
        monkeypatch.setattr(base, "distribution_version", lambda name: versions.get(name, "9.9"))

    return install


@pytest.mark.parametrize(
    ("library", "least"), [("cucim", 124), ("cupyx.scipy.ndimage", 55), ("cupyx.scipy.signal", 15)]
)
def test_enough_functions_are_usable_without_a_gpu(absent, library, least):
    catalogue = RegistryService().catalogue(library)
    usable = [entry for entry in catalogue.entries.values() if entry.excluded is None]
    assert catalogue.source == "snapshot"
    assert len(usable) >= least
    assert {(entry.device, entry.memory_type) for entry in catalogue.entries.values()} == {("cuda", "cupy")}
    assert all(entry.excluded.strip() for entry in catalogue.entries.values() if entry not in usable)


@pytest.mark.parametrize("library", CUDA)
def test_what_is_inferred_is_what_the_twin_does(absent, library):
    """Until a GPU has measured them, entries agree with twins of the same parameters."""
    service = RegistryService()
    entries = [entry for entry in service.catalogue(library).entries.values() if entry.origin == "inferred"]
    for entry in entries:
        twin = service.twin(entry.id)
        if entry.excluded is None:
            assert twin is not None, entry.id
            assert differences(entry.parameters, twin.parameters) == []
            assert {name: getattr(entry, name) for name in BEHAVIOUR} == {
                name: getattr(twin, name) for name in BEHAVIOUR
            }
            assert ("nondeterministic" in entry.tags) == ("nondeterministic" in twin.tags)


def test_a_snapshot_is_of_the_probe_that_it_is_inferred_from(absent):
    for library in CUDA:
        versions = library_versions(library)
        assert versions["probe"] == str(base.PROBE_VERSION), f"{library}: run hcs registry infer, or snapshot on a GPU"
        assert versions["cupy"] == cupy_version()


def test_what_is_not_installed_can_be_compiled_for_and_not_run(absent):
    entry = RegistryService().entry("cucim.skimage.filters.gaussian")
    assert (entry.origin, entry.version) == ("inferred", library_versions("cucim")["cucim"])
    with pytest.raises(MachineError, match=r"cucim is not installed\. On a machine with a GPU, run `make setup EXTRAS"):
        resolve(entry.id, entry.library, entry.version, entry.target, None)


def test_another_version_is_not_run(installed_as):
    installed_as(cucim="26.12.0", cupy="14.2.0")
    with pytest.raises(MachineError, match=r"compiled for cucim 26\.10\.0, here is 26\.12\.0"):
        get_library("cucim").check("cucim.skimage.filters:gaussian", "26.10.0", None)


def test_the_same_version_is_known_without_a_gpu(installed_as):
    found = library_versions("cucim")
    installed_as(cucim=found["cucim"], cupy=found["cupy"])
    assert RegistryService().catalogue("cucim").source == "snapshot"


def test_another_version_without_a_gpu_says_what_to_do(installed_as, monkeypatch):
    def no_device(*_):
        raise MachineError("It ended its process (MachineError: cucim needs a CUDA device).")

    monkeypatch.setattr(base.LibraryRegistryBase, "build", no_device)
    installed_as(cucim="26.12.0", cupy="14.2.0")
    with pytest.raises(MachineError) as caught:
        RegistryService().catalogue("cucim")
    said = str(caught.value)
    assert "cucim 26.12.0 must be probed on a GPU." in said
    assert "install cucim 26.10.0, of which a snapshot ships" in said
    assert "`hcs registry build cucim --output results/registry/cucim.json`" in said
    with pytest.raises(MachineError, match="must be probed on a GPU"):
        RegistryService().twin("skimage.filters.gaussian")


def test_a_library_that_nothing_is_known_of_is_left_out(absent, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "snapshot_folder", lambda: tmp_path)
    service = RegistryService()
    with pytest.raises(MachineError, match="cucim is not installed"):
        service.catalogue("cucim")
    assert service.twin("skimage.filters.gaussian") is None


@pytest.mark.parametrize(
    ("name", "library", "twin"),
    [
        ("skimage.filters.rank.mean", "cucim", "cucim.skimage.filters.rank.mean"),
        ("cucim.skimage.filters.rank.mean", "skimage", "skimage.filters.rank.mean"),
        ("scipy.ndimage.zoom", "cupyx.scipy.ndimage", "cupyx.scipy.ndimage.zoom"),
        ("cupyx.scipy.ndimage.zoom", "scipy.ndimage", "scipy.ndimage.zoom"),
        ("scipy.signal.wiener", "cupyx.scipy.signal", "cupyx.scipy.signal.wiener"),
    ],
)
def test_names_of_twins(name, library, twin):
    assert twin_name(name) == (library, twin)


@pytest.mark.parametrize("name", ["hcs.project", "pyclesperanto.gaussian_blur", "nothing", "scipy.ndimagery.zoom"])
def test_what_has_no_twin(name):
    assert twin_name(name) is None


def test_differences_by_name_default_and_need():
    here = (Parameter("sigma", default=1), Parameter("mode", default="reflect"), Parameter("only"), Parameter("size"))
    there = (Parameter("sigma", default=1), Parameter("mode", default="wrap"), Parameter("size", required=True))
    assert [str(difference) for difference in differences(here, there)] == [
        "mode: 'reflect' here, 'wrap' there", "only: None here, none there", "size: None here, required there",
    ]  # fmt: skip


def test_behaviour_is_compared_for_the_dtype_at_hand():
    entry = RegistryService().entry("scipy.ndimage.gaussian_filter")
    other = replace(entry, dtypes=entry.dtypes | {"uint16": "float32"})
    assert behave_alike(entry, other, "uint8")
    assert not behave_alike(entry, other, "uint16")
    assert not behave_alike(entry, other, None)
    assert not behave_alike(entry, replace(entry, coupling="none"), "uint8")


def test_libraries_of_twins():
    called = ["skimage.filters.gaussian", "scipy.ndimage.zoom", "hcs.project"]
    assert libraries_of(called, twins=True) == ["cucim", "cupyx.scipy.ndimage", "hcs", "scipy.ndimage", "skimage"]


SOURCES = {
    "cucim/skimage/filters/__init__.py": (
        "def gaussian(image, sigma=1, *, mode='nearest', cval=0, preserve_range=False, truncate=4.0, channel_axis=None,"
        " out=None):\n    '''Blur.'''\n"
        "def median(image, footprint=None): pass\n"
        "def sobel_of_many(image): pass\n"
        "def window(window_type): pass\n"
        "def correlate_sparse(image, kernel, mode='reflect'): pass\n"
    ),
}


def wheel(folder, name, version, sources):
    path = folder / f"{name}-{version}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in sources.items():
            archive.writestr(file, text)
        archive.writestr(f"{name}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
    return path


def test_entries_from_wheels_say_where_they_are_from(tmp_path):
    wheels = [
        Wheel(wheel(tmp_path, "cucim-cu13", "27.2.0", SOURCES)),
        Wheel(wheel(tmp_path, "cupy-cuda13x", "15.0", {})),
    ]
    found = {inferred.library: inferred for inferred in infer_libraries(wheels, RegistryService())}
    assert found["cucim"].versions == {"cucim": "27.2.0", "cupy": "15.0", "probe": str(base.PROBE_VERSION)}
    entries = {entry.id.rpartition(".")[2]: entry for entry in found["cucim"].entries}
    blur, known = entries["gaussian"], RegistryService().entry("skimage.filters.gaussian")
    assert (blur.origin, blur.version, blur.dependencies, blur.doc) == ("inferred", "27.2.0", {"cupy": "15.0"}, "Blur.")
    assert (blur.coupling, blur.dtypes, blur.keep_scale) == (known.coupling, known.dtypes, known.keep_scale)
    why = {name: entry.excluded for name, entry in entries.items()}
    assert why == {
        "gaussian": None,
        "median": (
            "not probed yet on a GPU, and its parameters are not those of skimage.filters.median "
            "(behavior, cval, mode, out)"
        ),
        "sobel_of_many": "not probed yet on a GPU, and it has no twin on the CPU (skimage.filters.sobel_of_many)",
        "window": "its first argument is no image (window_type)",
        "correlate_sparse": None,
    }


def test_wheels_that_are_missing_or_others(tmp_path):
    cucim = Wheel(wheel(tmp_path, "cucim-cu12", "27.2.0", SOURCES))
    with pytest.raises(UserError, match="cucim stands on cupy: give that wheel too"):
        infer_libraries([cucim], RegistryService())
    other = Wheel(wheel(tmp_path, "requests", "2.0", {}))
    with pytest.raises(UserError, match=r"requests-2\.0\.whl should be of cucim, cupy"):
        infer_libraries([other], RegistryService())


def test_one_command_writes_snapshots(tmp_path, monkeypatch):
    shutil.copytree(cache.snapshot_folder(), tmp_path / "snapshots")
    monkeypatch.setattr(cache, "snapshot_folder", lambda: tmp_path / "snapshots")
    cupy = wheel(tmp_path, "cupy-cuda12x", "15.0", {})
    cucim = wheel(tmp_path, "cucim-cu12", "27.2.0", SOURCES)
    result = CliRunner().invoke(command, ["infer", str(cucim), str(cupy)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "cucim 27.2.0: " in result.output
    assert cache.snapshot_versions("cucim")["cucim"] == "27.2.0"
