"""Memory types: which library an array belongs to, what it holds, and whether two arrays share their memory."""

from __future__ import annotations

from typing import Any

from hcs_lib.core.declare import MemoryType
from hcs_lib.core.errors import DataError

_ROOTS: dict[str, MemoryType] = {
    "numpy": "numpy",
    "cupy": "cupy",
    "torch": "torch",
    "pyclesperanto": "pyclesperanto",
    "pyclesperanto_opencl": "pyclesperanto",
    "pyclesperanto_cuda": "pyclesperanto",
    "pyclesperanto_metal": "pyclesperanto",
}


def memory_type_of(array: Any) -> MemoryType:
    """Return the memory type of an array, told by the root of its type's module. Imports nothing.

    Raises
    ------
    DataError
        For anything that is no array of a known library.
    """
    try:
        return _ROOTS[_root(array)]
    except KeyError:
        raise DataError(f"An array was expected, not a value of type {type(array).__name__}.", "output") from None


def is_array(value: Any) -> bool:
    """Tell whether a value is an array of any of the libraries."""
    return _root(value) in _ROOTS and hasattr(value, "dtype") and hasattr(value, "shape")


def dtype_name(array: Any) -> str:
    """Return the name of an array's dtype as NumPy calls it, whatever its library: `uint16`, `float32`."""
    name = getattr(array.dtype, "name", None)
    return name if isinstance(name, str) else str(array.dtype).removeprefix("torch.")


def copy_of(array: Any) -> Any:
    """Return a copy of an array, where it lies."""
    return array.clone() if memory_type_of(array) == "torch" else array.copy()


def shares_memory(left: Any, right: Any) -> bool:
    """Tell whether two arrays begin at the same place in memory: what is written into one, the other shows."""
    return left is right or _address(left) == _address(right)


def _address(array: Any) -> int:
    match memory_type_of(array):
        case "torch":
            return int(array.data_ptr())
        case "cupy":
            return int(array.data.ptr)
        case "numpy":
            return int(array.__array_interface__["data"][0])
        case "pyclesperanto":  # its buffers have no address that others could have too
            return id(array)


def _root(value: Any) -> str:
    return type(value).__module__.partition(".")[0]
