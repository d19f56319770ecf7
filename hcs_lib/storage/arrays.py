"""Sharded Zarr arrays on disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import DataError
from hcs_lib.storage.spec import ArraySpec

if TYPE_CHECKING:
    import numpy as np


def write_array(folder: Path, spec: ArraySpec, array: np.ndarray[Any, Any]) -> None:
    """Write an array of the shape and dtype of `spec` as one Zarr 3 array.

    Every shard is written, those of zeros too: a file that is not there is a defect, not background.
    """
    import zarr
    from zarr.codecs import BloscCodec
    from zarr.storage import LocalStore

    if array.shape != spec.shape or array.dtype.name != spec.dtype:
        raise ValueError(f"array of {array.shape} {array.dtype}, planned as {spec.shape} {spec.dtype}")
    _, name, level, shuffle = spec.codec.split("-")
    # The names are the codec's own; it takes them as strings although it is typed by enumerations.
    options: dict[str, Any] = {"cname": name, "clevel": int(level), "shuffle": shuffle}
    stored = zarr.create_array(
        LocalStore(folder),
        shape=spec.shape,
        dtype=spec.dtype,
        chunks=spec.chunks,
        shards=spec.shards,
        filters=None,
        compressors=BloscCodec(**options),
        fill_value=0,
        dimension_names=list(spec.axes),
        config={"write_empty_chunks": True},
    )
    stored[...] = array


def read_array(folder: Path, place: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
    """Read an array, or the part of it at some place on its first axes.

    Raises
    ------
    DataError
        Where a shard is gone: Zarr itself would give zeros for it.
    """
    import numpy as np
    import zarr
    from zarr.storage import LocalStore

    array = zarr.open_array(LocalStore(folder, read_only=True), mode="r", zarr_format=3)
    parts = array.shards or array.chunks
    expected = math.prod(math.ceil(size / part) for size, part in zip(array.shape, parts, strict=True))
    found = sum(file.is_file() for file in (folder / "c").rglob("*"))
    if found != expected:
        raise DataError(f"{folder}: {found} of {expected} files of pixels are there.", kind="output")
    return np.asarray(array[(*place, ...)])
