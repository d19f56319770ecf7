"""Arrays of Zarr (v2 and v3) as files of planes: page n is the nth (y, x) of the leading axes, in C order.

An absent chunk reads as its fill value, which is a black image. Whether it was lost, or left out because it is
empty, cannot be told: a plane of which a chunk is absent is no sound plane. Of chunks without compression, and of
Blosc, it is known how long they must be; what is wrong with others shows when they are decoded.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.core.errors import raise_machine_fault
from hcs_lib.plates.tiff import Page, PlaneError, fault_of
from hcs_lib.plates.vendorfiles import VendorFileError, read_json_file

if TYPE_CHECKING:
    import numpy as np

_BLOSC_HEADER = 16
"""Bytes; the first is the version of the format, the last four are the length of the chunk."""

_BLOSC_FORMAT = 5
"""The newest version of the format."""

_MOST_PLANES = 1_000_000
"""An array of more is no image of one site: its metadata are damaged."""


_LARGEST = 2**20
"""Pixels along the side of an image."""


class ArrayHeader(NamedTuple):
    """Shape, dtype and chunks (shards, where there are some) of an array; how the names of chunks begin and go on.

    `codec` is `none`, `blosc`, or anything else, of which the length of a chunk cannot be told.
    """

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...]
    prefix: str
    separator: str
    codec: str

    def place(self, page: int) -> tuple[int, ...]:
        """Return the indices along the leading axes of a page."""
        found = []
        for size in reversed(self.shape[:-2]):
            page, index = divmod(page, size)
            found.append(index)
        return tuple(reversed(found))

    def chunks_of(self, page: int) -> Iterator[str]:
        """Return the names of the chunks that hold a page."""
        leading = [index // size for index, size in zip(self.place(page), self.chunks, strict=False)]
        last = [range(-(-size // chunk)) for size, chunk in zip(self.shape[-2:], self.chunks[-2:], strict=True)]
        for row, column in product(*last):
            yield self.prefix + self.separator.join(map(str, (*leading, row, column)))


def read_array_header(path: Path) -> ArrayHeader:
    """Read the metadata of an array.

    Raises
    ------
    VendorFileError
        Where they cannot be read, or are not those of an array of planes.
    """
    import numpy as np

    v3 = (path / "zarr.json").is_file()
    meta = read_json_file(path / ("zarr.json" if v3 else ".zarray"))
    try:
        if v3:
            if meta["node_type"] != "array":
                raise VendorFileError("it is a group of Zarr, no array.")
            shape, dtype = meta["shape"], np.dtype(meta["data_type"])
            chunks = meta["chunk_grid"]["configuration"]["chunk_shape"]
            encoding = meta["chunk_key_encoding"]
            given = encoding.get("configuration", {}).get("separator")
            prefix = "c" + (given or "/") if encoding["name"] == "default" else ""
            separator = given or ("/" if encoding["name"] == "default" else ".")
            names = [codec["name"] for codec in meta["codecs"]]
            codec = {("bytes",): "none", ("bytes", "blosc"): "blosc"}.get(tuple(names), "other")
        else:
            shape, dtype, chunks = meta["shape"], np.dtype(meta["dtype"]), meta["chunks"]
            prefix, separator = "", meta.get("dimension_separator") or "."
            compressor = meta.get("compressor")
            codec = "none" if compressor is None else str(compressor["id"])
            codec = "other" if meta.get("filters") else codec
        sound = len(shape) == len(chunks) >= 2 and all(type(n) is int and n > 0 for n in (*shape, *chunks))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VendorFileError(f"its metadata are not those of an array of Zarr ({error!r}).") from None
    sound = sound and max(shape[-2:]) <= _LARGEST and math.prod(shape[:-2]) <= _MOST_PLANES
    if not sound or separator not in ("/", ".") or dtype.kind not in "uif":
        raise VendorFileError(f"it is no array of planes: shape {shape}, chunks {chunks}, dtype {dtype}.")
    return ArrayHeader(tuple(shape), dtype.name, tuple(chunks), prefix, separator, codec)


def read_array_pages(path: Path) -> tuple[Page, ...]:
    """Return the planes of an array; those of which a chunk is absent or short have a fault.

    Raises
    ------
    PlaneError
        Where its metadata cannot be read.
    """
    header = _header(path)
    checked: dict[str, PlaneError | None] = {}
    rows, columns = header.shape[-2:]
    return tuple(
        Page(page, (rows, columns), header.dtype, None, _fault(path, header, page, checked))
        for page in range(math.prod(header.shape[:-2]))
    )


def read_array_plane(path: Path, page: int) -> np.ndarray[tuple[int, int], Any]:
    """Read one plane of an array, in the byte order of the machine.

    Raises
    ------
    PlaneError
        As `read_array_pages`, and where a chunk is absent, or cannot be decoded.
    """
    import numpy as np
    import zarr

    header = _header(path)
    if page >= math.prod(header.shape[:-2]):
        raise PlaneError("unreadable", f"the array has shape {header.shape}: no plane {page}.")
    if fault := _fault(path, header, page, {}):
        raise fault
    try:
        pixels = np.asarray(zarr.open_array(path, mode="r")[header.place(page)])
    except Exception as error:  # Codecs fail in any way on damaged bytes, and ask for memory without end.
        raise_machine_fault(path, error)
        raise PlaneError("truncated", f"a chunk is cut short or damaged: {error}.") from None
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _header(path: Path) -> ArrayHeader:
    try:
        return read_array_header(path)
    except VendorFileError as error:
        raise PlaneError("unreadable", str(error)) from None


def _fault(path: Path, header: ArrayHeader, page: int, checked: dict[str, PlaneError | None]) -> PlaneError | None:
    """Return what is wrong with the first bad chunk of a page; `checked` keeps what was found of each chunk."""
    for name in header.chunks_of(page):
        if name not in checked:
            checked[name] = _check(path / name, name, header)
        if fault := checked[name]:
            return fault
    return None


def _check(file: Path, name: str, header: ArrayHeader) -> PlaneError | None:
    """Check that a chunk is there and, as far as its encoding tells, that it is whole."""
    import numpy as np

    try:
        with file.open("rb") as opened:
            head, size = opened.read(_BLOSC_HEADER), os.fstat(opened.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        return PlaneError("missing", f"chunk {name} is not there, and would read as black.")
    except OSError as error:
        return fault_of(file, error)
    if not size:
        return PlaneError("empty", f"chunk {name} has no bytes.")
    expected = 1
    if header.codec == "none":
        expected = math.prod(header.chunks) * np.dtype(header.dtype).itemsize
    elif header.codec == "blosc":
        if len(head) < _BLOSC_HEADER or not 0 < head[0] <= _BLOSC_FORMAT:
            return PlaneError("unreadable", f"chunk {name} holds no data of Blosc.")
        expected = int.from_bytes(head[-4:], "little")
    if size < expected:
        return PlaneError("truncated", f"chunk {name} has {size} of its {expected} bytes.")
    return None
