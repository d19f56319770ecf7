"""Out of memory on a device: free what the libraries hold back, try once more, then say what was too large."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from hcs_lib.core.errors import MachineError

T = TypeVar("T")

_MESSAGES = ("can't allocate memory", "Failed to allocate buffer memory", "CL_MEM_OBJECT_ALLOCATION_FAILURE",
             "CL_OUT_OF_RESOURCES", "CL_OUT_OF_HOST_MEMORY")  # fmt: skip
"""What torch on the CPU, and OpenCL, say with an error of no type of its own."""


def retry_when_exhausted(what: str, image: Any, call: Callable[[], T]) -> T:
    """Return what `call` returns; where a device has no memory left, free what can be and call once more.

    The call must leave its arguments as they are.

    Raises
    ------
    MachineError
        Where memory does not suffice then either: with `what` was called, the size of its image, and how much of
        the device's memory was free.
    """
    try:
        return call()
    except Exception as error:
        if not is_exhausted(error):
            raise
    # Only now, when the traceback and the arrays in its frames are gone, is there anything to free.
    free_memory()
    try:
        return call()
    except Exception as error:
        if not is_exhausted(error):
            raise
        said = str(error).strip().partition("\n")[0].rstrip(".")
        raise MachineError(
            f"{what}: the memory of the device does not suffice for an image of {_size(image)} ({said}{_left()}). "
            "Let fewer jobs share the device, take one with more memory, or let the step work on smaller images "
            "(`slice_by_slice`)."
        ) from None


def is_exhausted(error: BaseException) -> bool:
    """Tell whether an error says that memory of a device ran out. Imports nothing.

    A `MemoryError` of NumPy or Python is none: there is nothing to free.
    """
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    if kinds & {("cupy", "OutOfMemoryError"), ("torch", "OutOfMemoryError")}:
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in _MESSAGES)


def free_memory() -> None:
    """Give back what cupy and torch hold for later, as far as they are in use at all."""
    gc.collect()
    if cupy := sys.modules.get("cupy"):
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _left() -> str:
    """Return how much memory of the current GPU is free, where a library in use can tell."""
    cupy, torch = sys.modules.get("cupy"), sys.modules.get("torch")
    try:
        if cupy and cupy.cuda.is_available():
            free, total = cupy.cuda.runtime.memGetInfo()
        elif torch and torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
        else:
            return ""
    except Exception:  # a device that is out of memory may not even answer that
        return ""
    return f"; {_bytes(free)} of {_bytes(total)} were free"


def _size(image: Any) -> str:
    shape = " × ".join(map(str, image.shape))
    return f"{shape} {image.dtype}, {_bytes(image.nbytes)}".replace("torch.", "")


def _bytes(number: float) -> str:
    units = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    unit, factor = next((known for known in units if number >= known[1]), ("bytes", 1))
    return f"{number / factor:.3g} {unit}"
