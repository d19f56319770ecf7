"""From sizes and calibration to the description of an array on disk."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from hcs_lib.core.dtypes import itemsize
from hcs_lib.storage.spec import ArraySpec, OmeZarr

_CHUNK = 1024
"""Longest side of a chunk, and of the coarsest resolution level, in pixels."""

_SHARD_BYTES = 2**30
"""Pixels of one file, before compression: those of a site at one level, but for long series and large mosaics."""

_LARGEST = 2**20
"""Pixels along the side of an image."""

_CODEC = "blosc-zstd-1-bitshuffle-524288"
"""In blocks of 512 KiB. Those that Blosc chooses, of 32 KiB and less, take longer to write, up to twice as long to
read, and more space: `benchmarks/codec.py`."""

_DTYPE = re.compile(r"u?int(8|16|32|64)|float(16|32|64)|bool")


def plan_array(
    sizes: Mapping[str, int],
    dtype: str,
    *,
    labels: bool,
    channels: Sequence[str] = (),
    pixel_size_um: float | None = None,
    z_spacing_um: float | None = None,
    time_interval_s: float | None = None,
    ome_zarr: OmeZarr = "0.5",
) -> ArraySpec:
    """Describe the image or label image of one site.

    An image has the axes c, y, x, and t and z where they have more than one value. A label image has
    y, x, and t, c, z where they have more than one: labels made from one channel belong to all of them.

    Chunks are planes cut into equal parts of at most 1024 × 1024, so that no edge is padded by more than
    a pixel or two. A shard takes in whole axes, from x to t, up to 1 GiB: one file for the field of a camera.
    OME-Zarr 0.4 has a file for each chunk.

    Parameters
    ----------
    sizes
        Length of the axes `t c z y x`; those left out count as 1, y and x must be there.
    dtype
        Name of the dtype, `uint16`.
    labels
        Whether this is a label image.
    channels
        Names along `c`, for images.
    pixel_size_um, z_spacing_um, time_interval_s
        Micrometres, and seconds from one time point to the next; None where unknown.
    ome_zarr
        The version of OME-Zarr.

    Raises
    ------
    ValueError
        Where y or x is missing, a size is below 1, the dtype is unknown, or channels do not match `c`.
    """
    unknown = set(sizes) - set("tczyx")
    if unknown or not {"y", "x"} <= set(sizes) or min(sizes.values()) < 1:
        raise ValueError(f"sizes must give y and x, may give t, c and z, and be at least 1, not {dict(sizes)}")
    if not labels and len(channels) != sizes.get("c", 1):
        raise ValueError(f"{len(channels)} channel names for {sizes.get('c', 1)} channels")
    always = "yx" if labels else "cyx"
    axes = "".join(axis for axis in "tczyx" if axis in always or sizes.get(axis, 1) > 1)
    shape = tuple(sizes.get(axis, 1) for axis in axes)
    known = {"t": time_interval_s, "z": z_spacing_um, "y": pixel_size_um, "x": pixel_size_um}
    units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    chunks = _chunks(shape)
    return ArraySpec(
        ome_zarr=ome_zarr,
        axes=axes,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=_shards(ome_zarr, shape, chunks, _itemsize(dtype)),
        codec=_CODEC,
        scale=tuple(known.get(axis) or 1.0 for axis in axes),
        units=tuple(units[axis] if known.get(axis) else None for axis in axes),
        levels=_levels(shape),
        channels=() if labels else tuple(channels),
    )


def resize(spec: ArraySpec, rows: int, columns: int) -> ArraySpec:
    """Describe the same image with other sides: as `plan_array` would."""
    shape = (*spec.shape[:-2], rows, columns)
    chunks = _chunks(shape)
    shards = _shards(spec.ome_zarr, shape, chunks, _itemsize(spec.dtype))
    return spec.model_copy(update={"shape": shape, "chunks": chunks, "shards": shards, "levels": _levels(shape)})


def is_planned(spec: ArraySpec) -> bool:
    """Tell whether a description could come from `plan_array`: what a stranger wrote need not."""
    sizes = dict(zip(spec.axes, spec.shape, strict=False))
    lengths = {len(sizes), len(spec.axes), len(spec.shape), len(spec.scale), len(spec.units)}
    if len(lengths) != 1 or max(spec.shape, default=0) > _LARGEST:
        return False
    try:
        planned = plan_array(
            sizes, spec.dtype, labels=not spec.channels, channels=spec.channels, ome_zarr=spec.ome_zarr
        )
    except ValueError:
        return False
    return planned == spec.model_copy(update={"scale": planned.scale, "units": planned.units})


def plan_level(spec: ArraySpec, level: int) -> ArraySpec:
    """Describe one resolution level: half the size of the one before in y and x, rounded up."""
    if level == 0:
        return spec
    smaller = resize(spec, *(math.ceil(size / 2**level) for size in spec.shape[-2:]))
    scale = (*spec.scale[:-2], *(size * 2**level for size in spec.scale[-2:]))
    return smaller.model_copy(update={"scale": scale, "levels": spec.levels})


def _levels(shape: Sequence[int]) -> int:
    return 1 + max(0, math.ceil(math.log2(max(shape[-2:]) / _CHUNK)))


def _itemsize(dtype: str) -> int:
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"{dtype!r} is no dtype of an image")
    return itemsize(dtype)


def _chunks(shape: Sequence[int]) -> tuple[int, ...]:
    sides = (math.ceil(size / math.ceil(size / _CHUNK)) for size in shape[-2:])
    return (*(1 for _ in shape[:-2]), *sides)


def _shards(ome_zarr: OmeZarr, shape: Sequence[int], chunks: Sequence[int], itemsize: int) -> tuple[int, ...]:
    shards = list(chunks)
    if ome_zarr == "0.4":
        return tuple(shards)
    for axis in reversed(range(len(shape))):
        whole = [*shards]
        whole[axis] = math.ceil(shape[axis] / chunks[axis]) * chunks[axis]
        if math.prod(whole) * itemsize > _SHARD_BYTES:
            break
        shards = whole
    return tuple(shards)
