"""What an array on disk will be, known before anything runs."""

from __future__ import annotations

from hcs_lib.core.frozen import Frozen


class ArraySpec(Frozen):
    """One image or label image of one site, fully described.

    Attributes
    ----------
    axes
        A subset of `tczyx`, in that order.
    shape, chunks, shards
        At full resolution, in the order of `axes`.
    codec
        Compression, as `storage` names it: `blosc-zstd-1-bitshuffle`.
    scale
        Size of a pixel along each axis: in the axis' unit, 1 where that is unknown.
    units
        `micrometer` for each axis in space whose scale is known, None for the others.
    levels
        Number of resolution levels, each half the one before in y and x.
    channels
        Names along `c`; empty for label images.
    """

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
