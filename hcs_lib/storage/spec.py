"""What an array on disk will be, known before anything runs."""

from __future__ import annotations

from typing import Literal

from hcs_lib.core.frozen import Frozen

OmeZarr = Literal["0.4", "0.5"]
"""Versions of OME-Zarr that are written: 0.4 is of Zarr 2, which has no shards, 0.5 of Zarr 3."""


class ArraySpec(Frozen):
    """One image or label image of one site, fully described.

    Attributes
    ----------
    ome_zarr
        The version of OME-Zarr.
    axes
        A subset of `tczyx`, in that order.
    shape, chunks, shards
        At full resolution, in the order of `axes`. A shard is what one file holds: in 0.4, a chunk.
    codec
        Compression, as `storage` names it: Blosc's compressor, level and shuffle, and bytes in a block,
        `blosc-zstd-1-bitshuffle-524288`.
    scale
        Size of a pixel along each axis: in the axis' unit, 1 where that is unknown.
    units
        `micrometer` for each axis in space, and `second` for time, where the scale is known; None for the others.
    levels
        Number of resolution levels, each half the one before in y and x.
    channels
        Names along `c`; empty for label images.
    """

    ome_zarr: OmeZarr
    axes: str
    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    codec: str
    scale: tuple[float, ...]
    units: tuple[str | None, ...]
    levels: int
    channels: tuple[str, ...]
