"""Zarr arrays on disk: sharded ones of Zarr 3, and those of Zarr 2."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import DataError
from hcs_lib.storage.metadata import NAMES
from hcs_lib.storage.spec import ArraySpec

if TYPE_CHECKING:
    import numpy as np


class ArrayWriter:
    """A Zarr array in the making: pixels are compressed as they come, and written when all of them are there.

    The files are those of Zarr for the whole array at once, byte for byte; memory is that of the compressed chunks, and
    of a shard while it is written.
    """

    def __init__(self, spec: ArraySpec) -> None:
        from zarr.storage import MemoryStore

        self._spec = spec
        self._store: dict[str, Any] = {}
        self._array = _create(MemoryStore(self._store), spec, None)

    def put(self, place: tuple[int, ...], pixels: np.ndarray[Any, Any]) -> None:
        """Put the pixels at some place on the first axes, of the shape of the other axes.

        Raises
        ------
        ValueError
            Where they are not of the shape or dtype of `spec`.
        """
        shape = self._spec.shape[len(place) :]
        if pixels.shape != shape or pixels.dtype.name != self._spec.dtype:
            raise ValueError(f"array of {pixels.shape} {pixels.dtype}, planned as {shape} {self._spec.dtype}")
        self._array[(*place, ...)] = pixels

    def write(self, folder: Path) -> None:
        """Write the array into a new folder.

        Every shard is written, those of zeros too: a file that is not there is a defect, not background.

        Raises
        ------
        ValueError
            Where some pixels were not put.
        """
        from zarr.storage import LocalStore

        sizes = tuple(math.ceil(size / chunk) for size, chunk in zip(self._spec.shape, self._spec.chunks, strict=True))
        prefix = "" if self._spec.ome_zarr == "0.4" else "c/"
        keys = [f"{prefix}{'/'.join(map(str, place))}" for place in product(*map(range, sizes))]
        missing = [key for key in keys if key not in self._store]
        if missing:
            raise ValueError(f"{folder}: {len(missing)} of {len(keys)} chunks were not put")
        array = _create(LocalStore(folder), self._spec, self._spec.shards)
        if self._spec.ome_zarr == "0.4":
            for key in keys:
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                (folder / key).write_bytes(self._store[key].to_bytes())
        else:
            from hcs_lib.storage.shards import write_shards

            write_shards(array, [self._store[key] for key in keys])


def _create(store: Any, spec: ArraySpec, shards: tuple[int, ...] | None) -> Any:
    import zarr

    _, name, level, shuffle = spec.codec.split("-")
    # The names are the codec's own; it takes them as strings although it is typed by enumerations.
    options: dict[str, Any] = {"cname": name, "clevel": int(level), "shuffle": shuffle}
    if spec.ome_zarr == "0.4":
        from numcodecs import Blosc

        return zarr.create_array(
            store,
            zarr_format=2,
            shape=spec.shape,
            dtype=spec.dtype,
            chunks=spec.chunks,
            filters=None,
            compressors=Blosc(**options | {"shuffle": getattr(Blosc, shuffle.upper())}),
            fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "/"},
            config={"write_empty_chunks": True},
        )
    from zarr.codecs import BloscCodec

    return zarr.create_array(
        store,
        shape=spec.shape,
        dtype=spec.dtype,
        chunks=spec.chunks,
        shards=shards,
        filters=None,
        compressors=BloscCodec(**options),
        fill_value=0,
        dimension_names=list(spec.axes),
        config={"write_empty_chunks": True},
    )


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

    zarr_format = 2 if (folder / ".zarray").is_file() else 3
    array = zarr.open_array(LocalStore(folder, read_only=True), mode="r", zarr_format=zarr_format)
    parts = array.shards or array.chunks
    expected = math.prod(math.ceil(size / part) for size, part in zip(array.shape, parts, strict=True))
    found = sum(file.is_file() and file.name not in NAMES for file in folder.rglob("*"))
    if found != expected:
        raise DataError(f"{folder}: {found} of {expected} files of pixels are there.", kind="output")
    return np.asarray(array[(*place, ...)])
