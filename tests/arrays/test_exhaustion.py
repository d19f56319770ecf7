"""Out of memory of a device, by injected errors of each library's own kind."""

import sys
import types

import numpy as np
import pytest

from hcs_lib.arrays.exhaustion import is_exhausted, retry_when_exhausted
from hcs_lib.core.errors import MachineError

IMAGE = np.zeros((5, 2048, 2048), np.float32)

CUPY = type("OutOfMemoryError", (MemoryError,), {"__module__": "cupy.cuda.memory"})(
    "Out of memory allocating 83,886,080 bytes (allocated so far: 512 bytes)."
)
TORCH = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})(
    "CUDA out of memory. Tried to allocate 80.00 MiB.\nSee the documentation."
)
OPENCL = RuntimeError("Error: Failed to allocate buffer memory. OpenCL error: CL_INVALID_BUFFER_SIZE (-61)")
HOST = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")


class Function:
    """Raises an error so many times, and then gives its image back."""

    def __init__(self, error, times):
        self.error, self.times, self.calls = error, times, 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return IMAGE


@pytest.fixture
def pools(monkeypatch):
    """cupy and torch as modules that count how often they were asked to free memory."""
    freed = []
    pool = types.SimpleNamespace(free_all_blocks=lambda: freed.append("cupy"))
    pinned = types.SimpleNamespace(free_all_blocks=lambda: freed.append("pinned"))
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(
        get_default_memory_pool=lambda: pool, get_default_pinned_memory_pool=lambda: pinned,
        cuda=types.SimpleNamespace(
            is_available=lambda: True, runtime=types.SimpleNamespace(memGetInfo=lambda: (12_000_000, 8_000_000_000))
        ),
    ))  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(
        cuda=types.SimpleNamespace(is_available=lambda: True, empty_cache=lambda: freed.append("torch"))
    ))  # fmt: skip
    return freed


@pytest.mark.parametrize("error", [CUPY, TORCH, OPENCL, HOST], ids=["cupy", "torch", "opencl", "host"])
def test_once_is_forgiven_after_memory_was_freed(pools, error):
    function = Function(error, 1)
    assert retry_when_exhausted("f", IMAGE, function) is IMAGE
    assert function.calls == 2
    assert pools == ["cupy", "pinned", "torch"]


@pytest.mark.parametrize("error", [CUPY, TORCH, OPENCL, HOST], ids=["cupy", "torch", "opencl", "host"])
def test_twice_is_one_error_with_sizes(pools, error):
    function = Function(error, 9)
    with pytest.raises(MachineError) as caught:
        retry_when_exhausted("cucim.skimage.filters.gaussian", IMAGE, function)
    message = str(caught.value)
    assert message.startswith("cucim.skimage.filters.gaussian: the memory of the device does not suffice for an image "
                              "of 5 × 2048 × 2048 float32, 83.9 MB (")  # fmt: skip
    assert str(error).partition("\n")[0].rstrip(".") in message
    assert "12 MB of 8 GB were free" in message
    assert function.calls == 2
    assert caught.value.__cause__ is None


def test_arrays_of_the_failed_call_are_freed_first(pools, monkeypatch):
    import weakref

    held = []

    def call():
        if held:
            assert held[0]() is None, "the first call's array is still there"
            return 1
        array = np.zeros(10)
        held.append(weakref.ref(array))
        raise type(CUPY)("Out of memory")

    assert retry_when_exhausted("f", IMAGE, call) == 1


@pytest.mark.parametrize(
    "error",
    [MemoryError("Unable to allocate 8 GiB"), RuntimeError("expected a kernel"), ValueError("can't allocate memory"),
     type("OutOfMemoryError", (Exception,), {"__module__": "other"})()],
)  # fmt: skip
def test_other_errors_pass_at_once(error):
    function = Function(error, 1)
    assert not is_exhausted(error)
    with pytest.raises(type(error)):
        retry_when_exhausted("f", IMAGE, function)
    assert function.calls == 1


@pytest.mark.torch
def test_what_torch_says_of_the_memory_of_the_machine():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(MachineError, match=r"torch\.huge: .* 2 × 2 float32, 16 bytes .*DefaultCPUAllocator"):
        retry_when_exhausted("torch.huge", torch.zeros(2, 2), lambda: torch.empty(1 << 55))
    assert is_exhausted(torch.cuda.OutOfMemoryError("CUDA out of memory."))


@pytest.mark.opencl
def test_what_opencl_says():
    cle = pytest.importorskip("pyclesperanto", reason="pyclesperanto is not installed")
    if not (hasattr(cle, "list_available_devices") and cle.list_available_devices()):
        pytest.skip("there is no OpenCL device (Debian: pocl-opencl-icd)")
    with pytest.raises(MachineError, match="does not suffice"):
        retry_when_exhausted("pyclesperanto.huge", IMAGE, lambda: cle.create((40_000, 40_000, 4_000), np.float32))
