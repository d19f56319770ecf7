"""What the registry says of real functions: known truths, and that snapshots are what a probe finds."""

import os
import random

import numpy as np
import pytest

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.declare import ProcessingContract
from hcs_lib.registry.calls import Failure, Subject, same, stacked
from hcs_lib.registry.conformance import violations
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.samples import make_sample
from hcs_lib.registry.service import RegistryService
from hcs_lib.registry.workers import probe_library

COMPLETE = bool(os.environ.get("HCS_TRUTH"))
"""`HCS_TRUTH=1`: every function, not a sample."""

KEEP = {"preserve_range": True}
AXES = {"axes": [-2, -1]}

OPENCL = [
    # id, accepts, coupling, returns, uncouple
    ("pyclesperanto.absolute", (2, 3), "none", "image", {}),
    ("pyclesperanto.gaussian_blur", (2, 3), "mixes", "image", {"sigma_z": 0}),
    ("pyclesperanto.maximum_of_all_pixels", (2, 3), "mixes", "scalar", {}),
    ("pyclesperanto.maximum_z_projection", (3,), "reduces", "image", {}),
    ("pyclesperanto.mean_box", (2, 3), "mixes", "image", {"radius_z": 0}),
    ("pyclesperanto.voronoi_otsu_labeling", (2, 3), "mixes", "labels", {}),
]

KNOWN = [
    # id, accepts, coupling, returns, keeps_scale, keep_scale, uncouple
    ("skimage.exposure.adjust_gamma", (2, 3), "none", "image", False, {}, {}),
    ("skimage.exposure.adjust_log", (2, 3), "none", "image", False, {}, {}),
    ("skimage.exposure.adjust_sigmoid", (2, 3), "none", "image", False, {}, {}),
    ("skimage.exposure.equalize_adapthist", (2, 3), "mixes", "image", False, {}, {}),
    ("skimage.exposure.match_histograms", (2, 3), "mixes", "image", True, {}, {}),
    ("skimage.exposure.rescale_intensity", (2, 3), "mixes", "image", False, {}, {}),
    ("skimage.feature.canny", (2,), "none", "mask", True, {}, {}),
    ("skimage.feature.peak_local_max", (2, 3), "mixes", "coordinates", True, {}, {}),
    ("skimage.filters.gaussian", (2, 3), "mixes", "image", False, KEEP, {}),
    ("skimage.filters.median", (2, 3), "mixes", "image", True, {}, {}),
    ("skimage.filters.rank.autolevel", (2, 3), "mixes", "image", False, {}, {}),
    ("skimage.filters.rank.equalize", (2, 3), "mixes", "image", False, {}, {}),
    ("skimage.filters.rank.mean", (2, 3), "mixes", "image", True, {}, {}),
    ("skimage.filters.sobel", (2, 3), "mixes", "image", False, {}, {}),
    ("skimage.filters.threshold_otsu", (2, 3), "mixes", "scalar", True, {}, {}),
    ("skimage.measure.label", (2, 3), "mixes", "labels", True, {}, {}),
    ("skimage.measure.marching_cubes", (3,), "mixes", "tuple", None, {}, {}),
    ("skimage.measure.regionprops", (2, 3), "mixes", "list", None, {}, {}),
    ("skimage.measure.regionprops_table", (2, 3), "mixes", "table", None, {}, {}),
    ("skimage.morphology.remove_small_holes", (2, 3), "mixes", "mask", True, {}, {}),
    ("skimage.morphology.remove_small_objects", (2, 3), "mixes", "labels", True, {}, {}),
    ("skimage.morphology.white_tophat", (2, 3), "mixes", "image", True, {}, {}),
    ("skimage.restoration.rolling_ball", (2, 3), "mixes", "image", True, {}, {}),
    ("skimage.segmentation.expand_labels", (2, 3), "mixes", "labels", True, {}, {}),
    ("skimage.segmentation.slic", (2, 3), "channel_last", "labels", True, {}, {}),
    ("skimage.segmentation.watershed", (2, 3), "mixes", "labels", True, {}, {}),
    ("skimage.transform.resize", (2, 3), "mixes", "image", False, KEEP, {}),
    ("skimage.transform.rotate", (2, 3), "channel_last", "image", False, KEEP, {}),
    ("skimage.transform.swirl", (2, 3), "channel_last", "image", False, KEEP, {}),
    ("skimage.util.img_as_float", (2, 3), "none", "image", False, {}, {}),
    ("skimage.util.invert", (2, 3), "none", "image", True, {}, {}),
    ("skimage.util.montage", (3,), "reduces", "image", True, {}, {}),
    ("scipy.ndimage.binary_fill_holes", (2, 3), "mixes", "mask", True, {}, AXES),
    ("scipy.ndimage.distance_transform_cdt", (2, 3), "mixes", "image", True, {}, {}),
    ("scipy.ndimage.gaussian_filter", (2, 3), "mixes", "image", True, {}, AXES),
    ("scipy.ndimage.gaussian_filter1d", (2, 3), "none", "image", True, {}, {}),
    ("scipy.ndimage.label", (2, 3), "mixes", "tuple", None, {}, {}),
    ("scipy.ndimage.median_filter", (2, 3), "mixes", "image", True, {}, AXES),
    ("scipy.ndimage.rotate", (2, 3), "channel_last", "image", True, {}, {}),
    ("scipy.ndimage.sobel", (2, 3), "mixes", "image", True, {}, {}),
    ("scipy.ndimage.sum", (2, 3), "mixes", "scalar", True, {}, {}),
    ("scipy.signal.convolve2d", (2,), "none", "image", True, {}, {}),
    ("scipy.signal.fftconvolve", (2, 3), "mixes", "image", True, {}, {}),
    ("scipy.signal.savgol_filter", (2, 3), "none", "image", True, {}, {}),
    ("scipy.signal.argrelmax", (2, 3), "mixes", "tuple", None, {}, {}),
    # With bytes it computes squares that wrap round.
    ("scipy.signal.wiener", (2, 3), "mixes", "image", False, {}, {}),
]

TORCH = [
    # id, accepts, coupling, returns, keeps_scale, resizes
    ("torch.nn.functional.avg_pool2d", (2, 3), "none", "image", True, True),
    ("torch.nn.functional.max_pool3d", (3,), "mixes", "image", True, True),
    ("torch.nn.functional.relu", (2, 3), "none", "image", True, False),
    ("torch.amax", (3,), "reduces", "image", True, False),
    ("torch.gt", (2, 3), "none", "mask", True, False),
    ("torch.rot90", (2, 3), "none", "image", True, True),
    ("torch.sqrt", (2, 3), "none", "image", True, False),
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known[0])
def test_known_truths(known):
    entry = RegistryService().entry(known[0])
    found = (entry.accepts, entry.coupling, entry.returns, entry.keeps_scale, entry.keep_scale, entry.uncouple)
    assert found == known[1:]


@pytest.mark.torch
@pytest.mark.parametrize("known", TORCH, ids=lambda known: known[0])
def test_known_truths_of_torch(known, installed):
    entry = installed("torch")[known[0]]
    assert (entry.accepts, entry.coupling, entry.returns, entry.keeps_scale, entry.resizes) == known[1:]
    assert (entry.excluded, entry.device, entry.memory_type) == (None, "cpu", "torch")


@pytest.mark.torch
def test_sizes_that_are_kept_by_padding(installed):
    kept = {name for name, entry in installed("torch").items() if entry.keep_size == {"padding": "same"}}
    names = ("avg_pool2d", "avg_pool3d", "conv2d", "conv3d", "max_pool2d", "max_pool3d")
    assert kept == {f"torch.nn.functional.{name}" for name in names}


@pytest.mark.torch
def test_every_function_of_torch_can_be_used(installed):
    entries = installed("torch").values()
    assert len(entries) >= 60
    assert not [entry.id for entry in entries if entry.excluded]


@pytest.mark.opencl
@pytest.mark.parametrize("known", OPENCL, ids=lambda known: known[0])
def test_known_truths_of_opencl(known, installed):
    entry = installed("pyclesperanto")[known[0]]
    assert (entry.accepts, entry.coupling, entry.returns, entry.uncouple) == known[1:]
    assert (entry.excluded, entry.device, entry.memory_type) == (None, "opencl", "pyclesperanto")
    assert not {"device", "output_image"} & {parameter.name for parameter in entry.parameters}


@pytest.mark.opencl
def test_most_functions_of_opencl_can_be_used(installed):
    entries = installed("pyclesperanto").values()
    assert sum(entry.excluded is None for entry in entries) >= 230


def test_sizes_that_change():
    entry = RegistryService().entry
    resizing = ("skimage.transform.resize", "skimage.transform.downscale_local_mean", "scipy.ndimage.zoom")
    assert all(entry(name).resizes for name in resizing)
    assert entry("scipy.ndimage.rotate").keep_size == {"reshape": False}
    assert entry("scipy.signal.convolve2d").keep_size == {"mode": "same"}
    assert not any(entry(name).resizes for name in ("skimage.transform.rotate", "scipy.ndimage.shift"))


def test_dtypes_of_results():
    entry = RegistryService().entry
    assert entry("skimage.filters.gaussian").dtypes["uint16"] == "float64"
    assert entry("skimage.filters.gaussian").dtypes["float32"] == "float32"
    assert entry("scipy.ndimage.gaussian_filter").dtypes["uint16"] == "uint16"
    assert entry("skimage.filters.median").dtypes["uint8"] == "uint8"


def test_preserve_range_does_preserve_it():
    from skimage.filters import gaussian

    image = np.full((20, 20), 1000, np.uint16)
    entry = RegistryService().entry("skimage.filters.gaussian")
    assert gaussian(image).max() < 0.02
    assert gaussian(image, **entry.keep_scale).max() == pytest.approx(1000)


def test_uncoupled_filter_does_not_see_the_next_slice():
    entry = RegistryService().entry("scipy.ndimage.gaussian_filter")
    function = get_library("scipy.ndimage").function(entry.target)
    image = np.random.default_rng(5).random((4, 16, 18))
    np.testing.assert_allclose(
        function(image, 2.0, **entry.uncouple), np.stack([function(plane, 2.0) for plane in image]), rtol=1e-12
    )


PROBED = [
    "skimage",
    "scipy.ndimage",
    "scipy.signal",
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("pyclesperanto", marks=pytest.mark.opencl),
]


@pytest.mark.parametrize("library", PROBED)
def test_snapshot_is_what_a_probe_finds(library, installed):
    entries = installed(library)
    names = sorted(entries)
    if not COMPLETE:
        # Kernels of OpenCL are compiled for each function and dtype, which takes seconds.
        names = sorted(random.Random(11).sample(names, 4 if library == "pyclesperanto" else 10))
    fresh = probe_library(get_library(library), only=set(names))
    assert [entry.id for entry in fresh] == names
    for entry in fresh:
        assert canonical_json(entry.to_json()) == canonical_json(entries[entry.id].to_json()), entry.id


CUDA = [
    pytest.param(library, marks=pytest.mark.gpu) for library in ("cucim", "cupyx.scipy.ndimage", "cupyx.scipy.signal")
]


@pytest.mark.parametrize("library", CUDA)
def test_what_ships_of_cuda_is_what_a_gpu_shows(library, installed):
    """Of entries that are inferred, the behaviour that decides over the contract."""
    entries = {name: entry for name, entry in installed(library).items() if entry.excluded is None}
    names = set(entries) if COMPLETE else set(random.Random(11).sample(sorted(entries), 10))
    for entry in probe_library(get_library(library), only=names):
        known = entries[entry.id]
        if known.origin == "probed":
            assert canonical_json(entry.to_json()) == canonical_json(known.to_json()), entry.id
        else:
            found = (entry.excluded, entry.accepts, entry.coupling, entry.returns)
            assert found == (None, known.accepts, known.coupling, known.returns), entry.id


EVERY = ["skimage", "scipy.ndimage", "scipy.signal", "torch", "pyclesperanto", "kornia", "cucim", "cupyx.scipy.ndimage",
         "cupyx.scipy.signal"]  # fmt: skip
"""Without markers: here, to be left out of the sample is no failure."""

EXCEPTIONS = {
    # The cosine of large numbers: whether values look rescaled depends on which there are.
    "pyclesperanto.cos": ["keeps_scale is True"],
    # What it writes does not depend on the image, so that nothing can be seen; mixing is the careful guess.
    "pyclesperanto.set": ["its slices are independent"],
    # One threshold for all slices, and one for each: here they part the pixels alike, in the probe they do not.
    "pyclesperanto.threshold_triangle": ["its slices are independent"],
}


@pytest.mark.skipif(not COMPLETE, reason="HCS_TRUTH=1 checks every function on other data (a minute)")
@pytest.mark.parametrize("library", EVERY)
def test_every_contract_holds_on_other_data(library, installed):
    entries = [entry for entry in installed(library).values() if entry.excluded is None]
    found = {entry.id: violations(get_library(library), entry) for entry in entries}
    assert {name: problems for name, problems in found.items() if problems != EXCEPTIONS.get(name, [])} == {}


OURS = sorted(entry.id for entry in get_library("hcs").build())
GIVEN = {
    "hcs.identity": {},
    "hcs.project": {},
    "hcs.subtract_background": {"radius": 6},
    "hcs.segment_nuclei": {"min_diameter": 5},
    "hcs.expand_ring": {"inner": 1, "outer": 3},
    "hcs.propagate_cells": {"nuclei": lambda sample: sample.labels},
    "hcs.estimate_flat_field": {},
    "hcs.apply_flat_field": {"flat_field": lambda sample: np.full(sample.shape, 0.8, np.float32)},
    "hcs.subtract_labels": {"inner": lambda sample: sample.labels * (sample.labels % 2)},
}


@pytest.mark.parametrize("name", [name for name in OURS if name in GIVEN])
def test_our_declarations_are_true(name):
    registry = get_library("hcs")
    entry = RegistryService().entry(name)
    takes_labels = entry.id in ("hcs.expand_ring", "hcs.subtract_labels")
    dtypes = ["int32"] if takes_labels else ["uint8", "uint16", "float32"]
    function = registry.function(entry.target)
    for dtype in dtypes:
        sample = make_sample(dtype, shape=(5, 61, 67))
        subject = Subject(registry, function, entry.parameters, GIVEN[name])
        volume = subject.call(sample)
        planes = [subject.call(plane) for plane in sample.slices()]
        assert any(isinstance(plane, Failure) for plane in planes) != (2 in entry.accepts), planes[0]
        assert isinstance(volume, Failure) == (3 not in entry.accepts)
        result = planes[1] if 2 in entry.accepts else volume
        assert result.dtype.name == entry.dtypes[dtype]
        if entry.returns == "labels":
            assert result.max() >= 2
        if entry.accepts == (3,) and entry.coupling == "reduces":
            assert result.shape == sample.shape[1:]
        if entry.contract is ProcessingContract.PURE_2D:
            through = Subject(
                registry, lambda image, **given: entry.contract.execute(registry, function, image, **given),
                entry.parameters, GIVEN[name],
            )  # fmt: skip
            assert same(through.call(sample), stacked(planes, 0))


def test_our_functions_that_are_not_probed_are_tested_elsewhere():
    """Functions of more than an image and numbers have tests of their own values in tests/functions."""
    assert set(OURS) - set(GIVEN) <= {
        "hcs.assemble", "hcs.classify_pixels", "hcs.measure_image_quality", "hcs.measure_objects",
        "hcs.stage_tile_positions",
    }  # fmt: skip
