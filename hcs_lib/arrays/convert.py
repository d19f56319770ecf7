"""Conversion of arrays between memory types. Values never change: what would narrow them is refused."""

from __future__ import annotations

from typing import Any

from hcs_lib.arrays.memory import memory_type_of
from hcs_lib.core.declare import MemoryType
from hcs_lib.core.errors import DataError, MachineError

# torch keeps these but computes nothing with them.
_TORCH_WIDENED = {"uint16": "int32", "uint32": "int64"}
_TORCH = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
                    "complex64", "complex128"})  # fmt: skip
_OPENCL_WIDENED = {"bool": "uint8"}
_OPENCL = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"})


def convert(array: Any, memory_type: MemoryType) -> Any:
    """Return an array in another memory type; the array itself where it already is of that type.

    Between two accelerators it goes by way of NumPy. Dtypes stay, but for those that the other side has no
    arithmetic for, which become the next one that holds every value: uint16 → int32 and uint32 → int64 in torch,
    bool → uint8 in pyclesperanto. Memory is shared between NumPy and torch where the array is contiguous,
    writable and of native byte order; otherwise it is a copy.

    Raises
    ------
    DataError
        Where a value could change, or the shape is not supported. It says what to cast to.
    MachineError
        Where the other library cannot be used here.
    """
    source = memory_type_of(array)
    if source == memory_type:
        return array
    host = _to_numpy(array, source)
    if memory_type == "torch":
        return _to_torch(host)
    if memory_type == "pyclesperanto":
        return _to_pyclesperanto(host)
    return _library("cupy").asarray(host) if memory_type == "cupy" else host


def _to_numpy(array: Any, source: MemoryType) -> Any:
    if source == "torch":
        if str(array.dtype) == "torch.bfloat16":
            raise DataError("NumPy has no bfloat16. Cast to float32 first.")
        return array.detach().cpu().resolve_conj().resolve_neg().numpy()
    if source == "pyclesperanto":
        return _library("pyclesperanto").pull(array)
    return _library("cupy").asnumpy(array) if source == "cupy" else array


def _to_torch(array: Any) -> Any:
    import numpy as np

    host = _as_dtype(array, "torch", _TORCH, _TORCH_WIDENED)
    # torch aborts on negative strides, refuses foreign byte orders, and would write into read-only memory.
    if not host.flags.writeable or any(stride < 0 for stride in host.strides):
        host = np.array(host, order="C")
    return _library("torch").from_numpy(host)


def _to_pyclesperanto(array: Any) -> Any:
    import numpy as np

    if not 1 <= array.ndim <= 3:
        raise DataError(f"pyclesperanto takes arrays of one to three dimensions, not of shape {array.shape}.")
    host = np.ascontiguousarray(_as_dtype(array, "pyclesperanto", _OPENCL, _OPENCL_WIDENED))
    cle = _library("pyclesperanto")
    if not (hasattr(cle, "list_available_devices") and cle.list_available_devices()):
        raise MachineError("pyclesperanto finds no OpenCL device. Install a driver (pocl gives one on the CPU).")
    return cle.push(host)


def _as_dtype(array: Any, name: MemoryType, known: frozenset[str], widened: dict[str, str]) -> Any:
    import numpy as np

    array = np.asarray(array)
    if array.dtype.name not in known | widened.keys():
        advice = "float32 or int32" if name == "pyclesperanto" else "float32 or int64"
        raise DataError(
            f"{name} cannot hold {array.dtype.name} without a change of values. Cast to {advice} in a step before."
        )
    return array.astype(widened.get(array.dtype.name, array.dtype.newbyteorder("=")), copy=False)


def _library(name: MemoryType) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MachineError(f"{name} is needed but cannot be imported: {error}.") from None
