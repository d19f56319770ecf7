"""TIFF files: whether each page is a whole 2D plane, found without reading pixels; and the pixels."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.core.errors import raise_machine_fault
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import read_metaseries

if TYPE_CHECKING:
    import numpy as np
    from tifffile import TiffFile, TiffPage

    from hcs_lib.plates.index import ProblemKind

# tifffile logs what is wrong with a file beside what we report of it; without a handler that goes to the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class PlaneError(Exception):
    """Why a file is not the plane(s) it should be: kind of problem and message."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind: ProblemKind = kind


def fault_of(path: Path, error: OSError) -> PlaneError:
    """Return what is wrong with a file that the system does not let us read.

    Raises
    ------
    MachineError
        Where the disk or the machine fails.
    """
    raise_machine_fault(path, error)
    return PlaneError("unreadable", f"the file cannot be opened: {error.strerror or error}.")


class Page(NamedTuple):
    """One plane of a file: page number, (rows, columns), dtype, what its file says of it, and what is wrong with it."""

    number: int
    shape: tuple[int, int]
    dtype: str
    metadata: PlaneMetadata | None
    fault: PlaneError | None = None


def read_pages(path: Path) -> tuple[Page, ...]:
    """Read the header of a TIFF file: its full-resolution pages, each a sound 2D plane.

    Raises
    ------
    PlaneError
        For a file that is empty, no TIFF, cut short or damaged, or whose pages are no planes of one sample.
    """
    with _opened(path) as (tif, size):
        pages = list(tif.pages)
        if not pages or _continues(tif, pages[-1], size):
            raise PlaneError(
                "truncated", f"the file breaks off: its {size} bytes hold {len(pages)} whole page(s) only."
            )
        return tuple(_page(tif, number, page, size) for number, page in enumerate(pages) if not page.is_reduced)


def read_description(path: Path) -> str:
    """Read the description of the first page.

    Raises
    ------
    PlaneError
        For a file that is no TIFF, or is damaged.
    """
    with _opened(path) as (tif, _):
        return str(tif.pages[0].description)


def read_pixels(path: Path, number: int) -> np.ndarray[tuple[int, int], Any]:
    """Read one page (y, x), in its own dtype, after the same check of its header.

    Raises
    ------
    PlaneError
        As `read_pages`, and where the page is not there or cannot be decoded.
    """
    import numpy as np

    with _opened(path) as (tif, size):
        if number >= len(tif.pages):
            raise PlaneError("unreadable", f"the file has {len(tif.pages)} page(s), none of number {number}.")
        page = tif.pages[number]
        _page(tif, number, page, size)
        return np.asarray(page.asarray(maxworkers=1))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[TiffFile, int]]:
    """Open a file; whatever is wrong with it is a PlaneError, a failing machine a MachineError."""
    import tifffile

    try:
        size = path.stat().st_size
        if size == 0:
            raise PlaneError("empty", "the file has no bytes.")
        with tifffile.TiffFile(path) as tif:
            yield tif, size
    except (PlaneError, MemoryError):
        raise
    except OSError as error:
        raise fault_of(path, error) from None
    except Exception as error:
        # Parser and decoders fail in any way on a damaged file: division by zero, bad unpacking, errors of their own.
        with path.open("rb") as file:
            if file.read(4) not in _MAGIC:
                raise PlaneError("unreadable", "this is not a TIFF file.") from None
        raise PlaneError("truncated", f"the file is cut short or damaged: {error}.") from None


def _continues(tif: TiffFile, last: TiffPage, size: int) -> bool:
    """Tell whether the last page that could be read names one more: then the rest of the file is gone."""
    layout, handle = tif.tiff, tif.filehandle
    handle.seek(last.offset)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(last.offset + layout.tagnosize + tags * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    return bool(following >= size)


def _page(tif: TiffFile, number: int, page: TiffPage, size: int) -> Page:
    if page.ndim != 2 or page.samplesperpixel != 1:
        found = f"shape {page.shape} and {page.samplesperpixel} sample(s) a pixel"
        raise PlaneError("not_a_plane", f"page {number} has {found}; expected one 2D image (y, x) of one sample.")
    if page.dtype is None:
        found = f"{page.bitspersample} bits, sample format {page.sampleformat}"
        raise PlaneError("unreadable", f"page {number} has pixels of a type that cannot be read ({found}).")
    _check_segments(number, page, size)
    metadata = read_metaseries(page.description) or (read_metaseries(tif.pages[0].description) if number else None)
    return Page(number, (int(page.shape[0]), int(page.shape[1])), page.dtype.name, metadata)


def _check_segments(number: int, page: TiffPage, size: int) -> None:
    """Check that every strip or tile lies within the file, and that there are as many as the shape asks for."""
    expected = math.prod(page.chunked)
    offsets, counts = page.dataoffsets, page.databytecounts
    listed = min(len(offsets), len(counts))
    # Some writers list one strip whatever their rows per strip: it is whole where it holds the image.
    in_one_piece = len(offsets) == len(counts) == 1 and counts[0] == page.nbytes
    if listed < expected and not in_one_piece:
        raise PlaneError("truncated", f"page {number} lists {listed} strips or tiles, expected {expected}.")
    end = max(offset + count for offset, count in zip(offsets, counts, strict=False))
    if end > size:
        raise PlaneError("truncated", f"page {number} needs {end} bytes of the file, which has {size}.")
    if min(counts) <= 0 or (page.compression == 1 and sum(counts) < page.nbytes):
        raise PlaneError("truncated", f"page {number} holds less data than its shape {page.shape} asks for.")
