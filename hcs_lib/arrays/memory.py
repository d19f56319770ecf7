"""Memory types: which library an array belongs to."""

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
    root = type(array).__module__.partition(".")[0]
    try:
        return _ROOTS[root]
    except KeyError:
        raise DataError(f"An array was expected, not a value of type {type(array).__name__}.", "output") from None
