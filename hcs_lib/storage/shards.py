"""Shards of Zarr: many chunks in one file, with an index at its end that says where each lies.

Source: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/. Zarr itself makes a shard from pixels;
here its chunks are encoded already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np

from hcs_lib.storage.spec import ArraySpec

_MISSING = 2**64 - 1
"""Offset and length of a chunk that is not there: a shard may reach beyond the array."""


def write_shards(folder: Path, spec: ArraySpec, chunks: Mapping[tuple[int, ...], bytes]) -> None:
    """Write the files of an array, each with its chunks in the order of their places.

    Parameters
    ----------
    folder
        Of the array.
    spec
        What is planned.
    chunks
        Encoded, all of the array, by their places in it, counted in chunks.
    """
    inner = tuple(shard // chunk for shard, chunk in zip(spec.shards, spec.chunks, strict=True))
    for shard in np.ndindex(*(math.ceil(size / side) for size, side in zip(spec.shape, spec.shards, strict=True))):
        path = folder.joinpath("c", *map(str, shard))
        path.parent.mkdir(parents=True, exist_ok=True)
        index = np.full((*inner, 2), _MISSING, "<u8")
        with path.open("wb") as file:
            for at in np.ndindex(inner):
                place = tuple(n * size + k for n, size, k in zip(shard, inner, at, strict=True))
                if place in chunks:
                    index[at] = file.tell(), len(chunks[place])
                    file.write(chunks[place])
            end = index.tobytes()
            file.write(end + google_crc32c.value(end).to_bytes(4, "little"))
