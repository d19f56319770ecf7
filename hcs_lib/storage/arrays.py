"""Zarr arrays on disk: sharded ones of Zarr 3, and those of Zarr 2."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import DataError
from hcs_lib.storage.metadata import NAMES
from hcs_lib.storage.spec import ArraySpec

if TYPE_CHECKING:
    import numpy as np


class ArrayWriter:
    """A Zarr array in the making: pixels are compressed as they come, and written when all of them are there.

    Chunks and metadata are those of Zarr, byte for byte; memory is that of the compressed chunks.
    """

    def __init__(self, spec: ArraySpec) -> None:
        self._spec = spec
        self._codec = _blosc(spec)
        self._grid = tuple(math.ceil(size / chunk) for size, chunk in zip(spec.shape, spec.chunks, strict=True))
        self._chunks: dict[tuple[int, ...], bytes] = {}

    def put(self, place: tuple[int, ...], pixels: np.ndarray[Any, Any]) -> None:
        """Put the pixels at some place on the first axes, where chunks are 1, of the shape of the other axes.

        Raises
        ------
        ValueError
            Where they are not of the shape or dtype of `spec`.
        """
        import numpy as np

        first = len(place)
        shape = self._spec.shape[first:]
        if pixels.shape != shape or pixels.dtype.name != self._spec.dtype:
            raise ValueError(f"array of {pixels.shape} {pixels.dtype}, planned as {shape} {self._spec.dtype}")
        sides = self._spec.chunks[first:]
        for at in np.ndindex(self._grid[first:]):
            chunk = pixels[tuple(slice(n * side, (n + 1) * side) for n, side in zip(at, sides, strict=True))]
            if chunk.shape != sides:
                chunk = np.pad(chunk, [(0, side - size) for side, size in zip(sides, chunk.shape, strict=True)])
            little = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<"))
            self._chunks[*place, *at] = self._codec.encode(little)

    def write(self, folder: Path) -> None:
        """Write the array into a new folder.

        Every shard is written, those of zeros too: a file that is not there is a defect, not background.

        Raises
        ------
        ValueError
            Where some pixels were not put.
        """
        import numpy as np

        places = set(np.ndindex(self._grid))
        if self._chunks.keys() != places:
            found = len(self._chunks.keys() & places)
            raise ValueError(f"{folder}: {found} of {len(places)} chunks were put")
        folder.mkdir(parents=True)
        for name, document in _documents(self._spec).items():
            (folder / name).write_bytes(document)
        if self._spec.ome_zarr == "0.5":
            from hcs_lib.storage.shards import write_shards

            write_shards(folder, self._spec, self._chunks)
            return
        for at, encoded in self._chunks.items():
            file = folder.joinpath(*map(str, at))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded)


def _blosc(spec: ArraySpec) -> Any:
    from numcodecs import Blosc, blosc

    # With threads, chance would tell in which order the blocks of a chunk lie.
    blosc.use_threads = False
    return Blosc(**_options(spec) | {"shuffle": getattr(Blosc, _options(spec)["shuffle"].upper())})


def _options(spec: ArraySpec) -> dict[str, Any]:
    _, name, level, shuffle, block = spec.codec.split("-")
    return {"cname": name, "clevel": int(level), "shuffle": shuffle, "blocksize": int(block)}


@cache
def _documents(spec: ArraySpec) -> dict[str, bytes]:
    """Return the files that describe an array, by name, as Zarr writes them."""
    import zarr
    from zarr.codecs import BloscCodec
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    version: dict[str, Any] = (
        {
            "shards": spec.shards,
            # The names are the codec's own; it takes them as strings although it is typed by enumerations.
            "compressors": BloscCodec(**_options(spec)),
            "dimension_names": list(spec.axes),
        }
        if spec.ome_zarr == "0.5"
        else {
            "zarr_format": 2,
            "compressors": _blosc(spec),
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
        }
    )
    zarr.create_array(
        MemoryStore(files),
        shape=spec.shape,
        dtype=spec.dtype,
        chunks=spec.chunks,
        filters=None,
        fill_value=0,
        **version,
    )
    return {name: content.to_bytes() for name, content in files.items()}


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
