"""Conversion of arrays between memory types. Values never change: what would narrow them is refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from hcs_lib.arrays.memory import dtype_name, is_array, memory_type_of
from hcs_lib.core.declare import MemoryType
from hcs_lib.core.errors import DataError, MachineError, UserError


class _Holds(NamedTuple):
    """The dtypes that a library computes with, and what others become without a change of values."""

    known: frozenset[str]
    widened: Mapping[str, str] = {}
    advice: str = "float32 or int64"


_COMMON = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
                     "complex64", "complex128"})  # fmt: skip
_UNSIGNED = frozenset({"uint16", "uint32", "uint64"})
_HOLDS: dict[MemoryType, _Holds] = {
    "cupy": _Holds(_COMMON | _UNSIGNED),
    # It stores these unsigned integers too, but computes nothing with them.
    "torch": _Holds(_COMMON, {"uint16": "int32", "uint32": "int64"}),
    "pyclesperanto": _Holds(
        frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"}),
        {"bool": "uint8"},
        "float32 or int32",
    ),
}


def to(array: Any, memory_type: MemoryType, device: str | None = None) -> Any:
    """Return an array in another memory type, on a device; the array itself where it already is that.

    Dtypes stay, but for those that the other side has no arithmetic for, which become the next one that holds every
    value: uint16 → int32 and uint32 → int64 in torch, bool → uint8 in pyclesperanto.

    Memory is shared, and nothing copied, between NumPy and torch on the CPU where the array is writable, of native
    byte order and without negative strides, and between cupy and torch on one GPU. Everything else is a copy, by way
    of NumPy. `hcs_lib.arrays.memory.shares_memory` tells which it was.

    Parameters
    ----------
    device
        `cpu`, `cuda` or `cuda:1`; for pyclesperanto, `cuda` is any GPU that speaks OpenCL. None: where the array is,
        else the CPU for torch, and the current device for cupy and pyclesperanto.

    Raises
    ------
    DataError
        Where a value could change, or the shape is not supported. It says what to cast to.
    MachineError
        Where the other library, or the device, cannot be used here.
    UserError
        For a device that the memory type has nothing to do with.
    """
    source = memory_type_of(array)
    if memory_type == "numpy" and device not in (None, "cpu"):
        raise UserError(f"{memory_type} has no arrays on {device}.")
    if memory_type == "torch":
        tensor = array if source == "torch" else _to_torch(array, source)
        return tensor if device is None else _placed(tensor, device)
    if memory_type == "cupy":
        return _to_cupy(array, source, device)
    if source == memory_type:
        return array
    host = _to_numpy(array, source)
    return host if memory_type == "numpy" else _to_pyclesperanto(host, device)


def all_to(value: Any, memory_type: MemoryType, device: str | None = None) -> Any:
    """Return a value with every array in it, also in tuples, lists and mappings, where `to` puts it."""
    match value:
        case tuple():
            return tuple(all_to(item, memory_type, device) for item in value)
        case list():
            return [all_to(item, memory_type, device) for item in value]
        case Mapping():
            return {key: all_to(item, memory_type, device) for key, item in value.items()}
    return to(value, memory_type, device) if is_array(value) else value


def _to_numpy(array: Any, source: MemoryType) -> Any:
    if source == "torch":
        return _plain(array).cpu().numpy()
    if source == "pyclesperanto":
        return _library("pyclesperanto").pull(array)
    return _library("cupy").asnumpy(array) if source == "cupy" else array


def _plain(tensor: Any) -> Any:
    """Return a tensor as its values: without gradients, and nothing left to be conjugated or negated."""
    if dtype_name(tensor) not in _COMMON | _UNSIGNED or tensor.is_sparse:
        raise DataError(
            f"NumPy has no {'sparse arrays' if tensor.is_sparse else dtype_name(tensor)}. Cast to float32 first."
        )
    return tensor.detach().resolve_conj().resolve_neg()


def _to_torch(array: Any, source: MemoryType) -> Any:
    torch = _library("torch")
    if source == "cupy":
        # DLPack shares the memory; torch aborts the process on negative strides.
        own = _as_dtype(array, "torch")
        return torch.from_dlpack(_library("cupy").ascontiguousarray(own) if _is_reversed(own) else own)
    import numpy as np

    host = _as_dtype(np.asarray(_to_numpy(array, source)), "torch")
    odd = any(stride % host.itemsize for stride in host.strides) or not host.flags.aligned
    # torch takes neither of these, and would write into memory that is read-only.
    if odd or _is_reversed(host) or not host.flags.writeable:
        host = np.array(host, order="C")
    return torch.from_numpy(host)


def _placed(tensor: Any, device: str) -> Any:
    kind, number = _parse(device)
    if kind == "cuda":
        found = _library("torch").cuda.device_count()
        if number >= found:
            raise MachineError(f"There is no device {device} here: torch finds {found} CUDA devices.")
    return tensor.to(device)


def _to_cupy(array: Any, source: MemoryType, device: str | None) -> Any:
    if source == "cupy" and device is None:
        return array
    cupy = _library("cupy")
    kind, number = _parse(device or "cuda")
    if kind != "cuda":
        raise UserError(f"cupy has no arrays on {device}.")
    found = cupy.cuda.runtime.getDeviceCount() if cupy.cuda.is_available() else 0
    if number >= found:
        raise MachineError(f"There is no device {device or 'cuda'} here: cupy finds {found} CUDA devices.")
    if source == "torch" and array.is_cuda:
        array = cupy.from_dlpack(_plain(array))
    elif source != "cupy":
        import numpy as np

        array = _as_dtype(np.asarray(_to_numpy(array, source)), "cupy")
    if device is None:
        return cupy.asarray(array)
    with cupy.cuda.Device(number):
        return cupy.asarray(array)


def _to_pyclesperanto(array: Any, device: str | None) -> Any:
    import numpy as np

    if not 1 <= array.ndim <= 3 or not array.size:
        raise DataError(
            f"pyclesperanto takes arrays of one to three dimensions that are not empty, not of shape {array.shape}."
        )
    host = np.ascontiguousarray(_as_dtype(array, "pyclesperanto"))
    return _library("pyclesperanto").push(host, device=_opencl_device(device and _parse(device)[0]))


@cache
def _opencl_device(kind: str | None) -> Any:
    """Return the current device, or the first of a kind: what computed a result is never left to chance."""
    cle = _library("pyclesperanto")
    if hasattr(cle, "list_available_devices") and cle.list_available_devices(_OPENCL[kind]):
        return None if kind is None else cle.select_device(device_type=_OPENCL[kind])
    if kind == "cuda":
        raise MachineError("pyclesperanto finds no GPU that speaks OpenCL here.")
    raise MachineError(
        f"pyclesperanto finds no OpenCL device{' on the CPU' if kind else ''}. Install a driver (pocl gives one on the "
        "CPU), or compile with a GPU (`device: auto`, `gpus: 1`)."
    )


_OPENCL = {None: "all", "cpu": "cpu", "cuda": "gpu"}


def _as_dtype(array: Any, name: MemoryType) -> Any:
    """Return an array of NumPy or cupy in the dtype, of native byte order, that it has in another library."""
    holds = _HOLDS[name]
    if array.dtype.name not in holds.known | holds.widened.keys():
        raise DataError(
            f"{name} cannot hold {array.dtype.name} without a change of values. "
            f"Cast to {holds.advice} in a step before."
        )
    return array.astype(holds.widened.get(array.dtype.name, array.dtype.newbyteorder("=")), copy=False)


def _is_reversed(array: Any) -> bool:
    return any(stride < 0 for stride in array.strides)


def _parse(device: str) -> tuple[str, int]:
    """Return kind and number of a device, `cuda:1`."""
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdecimal():
        raise UserError(f"{device!r} is no device; there are cpu, cuda, and cuda:1 for the second of several.")
    return kind, int(number or 0)


def _library(name: MemoryType) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except Exception as error:  # one that is half installed raises anything
        raise MachineError(f"{name} is needed but cannot be imported: {error}.") from None
