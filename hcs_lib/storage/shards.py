"""Shards of chunks that are encoded already."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from zarr.abc.codec import ArrayBytesCodec
from zarr.codecs import ShardingCodec
from zarr.storage import MemoryStore


@dataclass(frozen=True)
class _Encoded(ArrayBytesCodec):  # type: ignore[misc]
    """Encodes the number of a chunk as the bytes of that chunk."""

    chunks: Sequence[Any]
    is_fixed_size = False

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        return self.chunks[int(chunk_array.as_numpy_array().item())]

    def to_dict(self) -> dict[str, Any]:
        return {"name": "encoded"}


def write_shards(array: zarr.Array[Any], chunks: Sequence[Any]) -> None:
    """Write the shards of a new array, of which all chunks are encoded.

    A shard is its encoded chunks and an index, whatever their pixels: Zarr writes here an array of the numbers of the
    chunks, one number to a chunk.

    Parameters
    ----------
    array
        With shards.
    chunks
        Buffers of Zarr, in the order of their places in the array.
    """
    sizes = tuple(math.ceil(size / chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
    numbers = zarr.create_array(
        MemoryStore(),
        shape=sizes,
        chunks=tuple(shard // chunk for shard, chunk in zip(array.shards, array.chunks, strict=True)),
        dtype="uint64",
        filters=None,
        serializer=ShardingCodec(chunk_shape=[1] * len(sizes), codecs=[_Encoded(chunks)]),
        compressors=None,
        fill_value=len(chunks),
    )
    # The same array where the shards belong. What describes it there is not touched.
    placed = zarr.Array(zarr.AsyncArray(numbers.metadata, array.store_path))
    placed[...] = np.arange(len(chunks), dtype=np.uint64).reshape(sizes)
