"""Arrays of Zarr (v2 and v3) as files of planes: page n is the nth (y, x) of the leading axes, in C order.

An absent chunk reads as its fill value, which is a black image. Whether it was lost, or left out because it is
empty, cannot be told: a plane of which a chunk is absent is no sound plane.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.plates.listing import list_files
from hcs_lib.plates.tiff import Page, PlaneError
from hcs_lib.plates.vendorfiles import VendorFileError, read_json_file

if TYPE_CHECKING:
    import numpy as np

_MOST_PLANES = 1_000_000
"""An array of more is no image of one site: its metadata are damaged."""


class ArrayHeader(NamedTuple):
    """Shape, dtype and chunks (shards, where there are some) of an array; how the names of chunks begin and go on."""

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...]
    prefix: str
    separator: str

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
        else:
            shape, dtype, chunks = meta["shape"], np.dtype(meta["dtype"]), meta["chunks"]
            prefix, separator = "", meta.get("dimension_separator") or "."
        sound = len(shape) == len(chunks) >= 2 and all(type(n) is int and n > 0 for n in (*shape, *chunks))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VendorFileError(f"its metadata are not those of an array of Zarr ({error!r}).") from None
    if not sound or separator not in ("/", ".") or dtype.kind not in "uif" or math.prod(shape[:-2]) > _MOST_PLANES:
        raise VendorFileError(f"it is no array of planes: shape {shape}, chunks {chunks}, dtype {dtype}.")
    return ArrayHeader(tuple(shape), dtype.name, tuple(chunks), prefix, separator)


def read_array_pages(path: Path) -> tuple[Page, ...]:
    """Return the planes of an array; those of which a chunk is absent have a fault.

    Raises
    ------
    PlaneError
        Where its metadata cannot be read.
    """
    header = _header(path)
    there = _there(path)
    rows, columns = header.shape[-2:]
    return tuple(
        Page(page, (rows, columns), header.dtype, None, _fault(header, page, there))
        for page in range(math.prod(header.shape[:-2]))
    )


def read_array_plane(path: Path, page: int) -> np.ndarray[tuple[int, int], Any]:
    """Read one plane of an array.

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
    if fault := _fault(header, page, {name for name in header.chunks_of(page) if _size(path / name)}):
        raise PlaneError("missing", fault)
    try:
        return np.asarray(zarr.open_array(path, mode="r")[header.place(page)])
    except Exception as error:  # Codecs fail in any way on damaged bytes.
        raise PlaneError("truncated", f"a chunk is cut short or damaged: {error}.") from None


def _header(path: Path) -> ArrayHeader:
    try:
        return read_array_header(path)
    except VendorFileError as error:
        raise PlaneError("unreadable", str(error)) from None


def _there(path: Path) -> set[str]:
    return {file for file, (size, _) in list_files(path).items() if size > 0}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _fault(header: ArrayHeader, page: int, there: Collection[str]) -> str | None:
    absent = next((name for name in header.chunks_of(page) if name not in there), None)
    return absent and f"chunk {absent} is not there or empty, and would read as black."
