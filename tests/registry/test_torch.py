"""The adapters of torch: the numbers that NumPy and SciPy give, on planes and on stacks."""

import re
import sys

import numpy as np
import pytest
from scipy import ndimage, special

from hcs_lib.core.errors import DataError, MachineError, UserError
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.service import RegistryService, resolve

RNG = np.random.default_rng(7)
STACK = RNG.integers(0, 60_000, (5, 20, 23)).astype(np.uint16)
FLOATS = RNG.normal(size=(5, 20, 23)).astype(np.float32)
KERNEL = [[0.0, 1.0, 2.0], [0.5, -1.0, 0.25], [3.0, 0.0, 1.0]]

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


def call(name, image, **arguments):
    """Call a function through the registry and its contract, as a step does."""
    entry = RegistryService().entry(name)
    bound = resolve(entry.id, entry.library, entry.version, entry.target, entry.source_digest)
    registry = bound.registry
    return registry.pull(entry.contract.execute(registry, bound.func, registry.push(image), **arguments))


def blocks(image, side=3):
    """Return the windows of `side` × `side` pixels, side by side."""
    rows, columns = (length // side for length in image.shape[-2:])
    cut = image[..., : rows * side, : columns * side].reshape(*image.shape[:-2], rows, side, columns, side)
    return np.moveaxis(cut, -3, -2).astype(np.float64)


PLANES = [
    ("torch.nn.functional.avg_pool2d", {"kernel_size": 3}, lambda image: blocks(image).mean((-1, -2))),
    ("torch.nn.functional.max_pool2d", {"kernel_size": 3}, lambda image: blocks(image).max((-1, -2))),
    ("torch.nn.functional.max_pool2d", {"kernel_size": 3, "stride": 1, "padding": 1},
     lambda image: ndimage.maximum_filter(image, 3, axes=(-2, -1))),
    ("torch.nn.functional.max_pool2d", {"kernel_size": [5, 3], "padding": "same"},
     lambda image: ndimage.maximum_filter(image, (5, 3), axes=(-2, -1))),
    ("torch.nn.functional.avg_pool2d", {"kernel_size": [5, 3], "padding": "same"},
     lambda image: ndimage.uniform_filter(image.astype(float), (5, 3), mode="constant", axes=(-2, -1))),
    ("torch.nn.functional.lp_pool2d", {"kernel_size": 3, "norm_type": 2},
     lambda image: np.sqrt((blocks(image) ** 2).sum((-1, -2)))),
    ("torch.nn.functional.conv2d", {"weight": KERNEL, "padding": "same"},
     lambda image: ndimage.correlate(image.astype(float), KERNEL, mode="constant", axes=(-2, -1))),
    ("torch.nn.functional.interpolate", {"scale_factor": 2, "mode": "nearest-exact"},
     lambda image: image.repeat(2, -1).repeat(2, -2)),
    ("torch.nn.functional.interpolate", {"size": [4, 23], "mode": "area"},
     lambda image: image.reshape(*image.shape[:-2], 4, 5, 23).mean(-2)),
    ("torch.nn.functional.pad", {"pad": [1, 2, 3, 4], "mode": "reflect"},
     lambda image: np.pad(image, [(0, 0)] * (image.ndim - 2) + [(3, 4), (1, 2)], mode="reflect")),
    ("torch.nn.functional.threshold", {"threshold": 0.5, "value": -7}, lambda image: np.where(image > 0.5, image, -7)),
    ("torch.nn.functional.relu", {}, lambda image: np.maximum(image, 0)),
    ("torch.nn.functional.softshrink", {"lambd": 0.25},
     lambda image: np.sign(image) * np.maximum(np.abs(image.astype(float)) - 0.25, 0)),
    ("torch.square", {}, lambda image: image.astype(float) ** 2),
    ("torch.sub", {"other": 100}, lambda image: image.astype(float) - 100),
    ("torch.neg", {}, lambda image: -image.astype(float)),
    ("torch.sigmoid", {}, lambda image: special.expit(image.astype(float))),
    ("torch.clamp", {"min": 0.25, "max": 500}, lambda image: np.clip(image, 0.25, 500)),
    ("torch.gt", {"other": 0.5}, lambda image: image > 0.5),
    ("torch.bucketize", {"boundaries": [-0.5, 0.5, 30_000]}, lambda image: np.digitize(image, [-0.5, 0.5, 30_000])),
    ("torch.fliplr", {}, lambda image: image[..., ::-1]),
    ("torch.flipud", {}, lambda image: image[..., ::-1, :]),
    ("torch.rot90", {"k": 1}, lambda image: np.rot90(image, axes=(-2, -1))),
    ("torch.roll", {"shifts": [2, -5]}, lambda image: np.roll(image, (2, -5), (-2, -1))),
    ("torch.cumsum", {"dim": -2}, lambda image: np.cumsum(image, -2, dtype=np.float64)),
    ("torch.diff", {}, lambda image: np.diff(image.astype(float))),
    ("torch.gradient", {"dim": -2}, lambda image: np.gradient(image.astype(float), axis=-2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "expected"), PLANES, ids=[name for name, *_ in PLANES])
@pytest.mark.parametrize(
    "image", [STACK, STACK[0], FLOATS, FLOATS[0]], ids=lambda image: f"{image.ndim}D {image.dtype}"
)
def test_planes_and_every_slice_of_a_stack(name, arguments, expected, image):
    found = call(name, image, **arguments)
    np.testing.assert_allclose(found, expected(image), rtol=2e-5, atol=2e-5 * np.abs(expected(image)).max())


SLICES = [
    ("amax", {}, lambda stack: stack.max(0)),
    ("amin", {}, lambda stack: stack.min(0)),
    ("mean", {}, lambda stack: stack.mean(0, dtype=np.float64)),
    ("median", {}, lambda stack: np.sort(stack, 0)[(len(stack) - 1) // 2]),
    ("std", {}, lambda stack: stack.std(0, ddof=1, dtype=np.float64)),
    ("var", {}, lambda stack: stack.var(0, ddof=1, dtype=np.float64)),
    ("sum", {}, lambda stack: stack.sum(0, dtype=np.float64)),
    ("quantile", {"q": 0.3}, lambda stack: np.quantile(stack.astype(float), 0.3, axis=0)),
    ("argmax", {}, lambda stack: stack.argmax(0)),
    ("any", {}, lambda stack: (stack != 0).any(0)),
    ("all", {}, lambda stack: (stack != 0).all(0)),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), SLICES, ids=[name for name, *_ in SLICES])
@pytest.mark.parametrize("stack", [STACK, FLOATS, STACK[:4]], ids=["uint16", "float32", "four"])
def test_projections(name, arguments, expected, stack):
    np.testing.assert_allclose(call(f"torch.{name}", stack, **arguments), expected(stack), rtol=2e-5, atol=1e-5)
    with pytest.raises(DataError, match="was given a plane"):
        call(f"torch.{name}", stack[0], **arguments)


def test_boxes_of_a_stack():
    found = call("torch.nn.functional.avg_pool3d", STACK, kernel_size=[5, 4, 23])
    np.testing.assert_allclose(found, STACK.reshape(1, 5, 5, 4, 1, 23).mean((1, 3, 5)), rtol=1e-6)
    kernel = RNG.random((3, 3, 3))
    found = call("torch.nn.functional.conv3d", STACK, weight=kernel.tolist(), padding="same")
    np.testing.assert_allclose(found, ndimage.correlate(STACK.astype(float), kernel, mode="constant"), rtol=1e-5)


def test_a_window_around_each_voxel():
    padded = {"kernel_size": [3, 5, 3], "padding": "same"}
    means = ndimage.uniform_filter(STACK.astype(float), (3, 5, 3), mode="constant")
    np.testing.assert_allclose(call("torch.nn.functional.avg_pool3d", STACK, **padded), means, rtol=1e-5)
    found = call("torch.nn.functional.max_pool3d", STACK, **padded, stride=1)
    np.testing.assert_array_equal(found, ndimage.maximum_filter(STACK, (3, 5, 3)))


@pytest.mark.parametrize(
    "arguments",
    [{"kernel_size": 4}, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "dilation": [1, 2]},
     {"kernel_size": 3, "padding": "valid"}],
)  # fmt: skip
def test_no_window_around_each_pixel(arguments):
    with pytest.raises(ValueError, match="a kernel of odd sides"):
        call("torch.nn.functional.max_pool2d", FLOATS, **{"padding": "same"} | arguments)


def test_a_large_stack_has_quantiles_too(monkeypatch):
    from hcs_lib.registry.adapters import torch_tensors

    monkeypatch.setattr(torch_tensors, "_QUANTILE_LIMIT", 5 * 23 * 3)
    np.testing.assert_allclose(call("torch.quantile", FLOATS, q=0.3), np.quantile(FLOATS, 0.3, axis=0), rtol=1e-5)


def test_bytes_do_not_wrap_round():
    image = np.full((4, 4), 200, np.uint8)
    assert call("torch.add", image, other=100).max() == 300
    assert call("torch.square", image).max() == 40_000
    assert call("torch.diff", image[:2] * np.array([[1], [0]], np.uint8), dim=-2).min() == -200


def test_integers_beyond_what_floats_hold_are_refused():
    image = np.full((4, 4), (1 << 24) + 1, np.int32)
    for sign in (1, -1):
        with pytest.raises(ValueError, match="beyond 16777216"):
            call("torch.mul", sign * image, other=2)
    assert call("torch.mul", image - 1, other=1).max() == 1 << 24


@pytest.mark.parametrize("name", ["cumsum", "diff", "gradient"])
def test_slices_are_never_mixed_by_an_argument(name):
    with pytest.raises(ValueError, match=re.escape("dim is -1 (x) or -2 (y), not 0")):
        call(f"torch.{name}", STACK, dim=0)


def test_the_same_bytes_each_time(torch):
    assert torch.are_deterministic_algorithms_enabled()
    first, second = (call("torch.nn.functional.conv2d", FLOATS, weight=KERNEL).tobytes() for _ in range(2))
    assert first == second


def test_only_what_is_named_can_be_called():
    registry = get_library("torch")
    for target in ("torch:load", "os:system", "hcs_lib.registry.adapters.torch_tensors:floats",
                   "hcs_lib.registry.adapters.torch_layout:planewise"):  # fmt: skip
        with pytest.raises(UserError, match="no function that torch offers"):
            registry.function(target)


@pytest.mark.parametrize("target", ["os:system", "torch:load", "hcs_lib.registry.adapters.torch_tensors:floats"])
def test_an_artifact_can_name_nothing_else(target):
    version = get_library("torch").get_library_version()
    with pytest.raises(UserError, match="no function that torch offers"):
        resolve("torch.mean", "torch", version, target, None)


def test_a_changed_adapter_is_another_function():
    entry = RegistryService().entry("torch.mean")
    assert len(entry.source_digest) == 64
    with pytest.raises(MachineError, match=r"torch_tensors:mean: its source differs .*\(digest 000000000000, here "):
        resolve(entry.id, entry.library, entry.version, entry.target, "0" * 64)


def test_versions_cover_the_adapters_and_import_nothing():
    import subprocess

    code = (
        "import sys\n"
        "from hcs_lib.registry.libraries import get_library\n"
        "assert len(get_library('torch').versions()['adapters']) == 64\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
