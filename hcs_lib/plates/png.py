"""PNG files of one grey plane, as some plates of CellVoyager are kept."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hcs_lib.plates.tiff import Page, PlaneError, fault_of

if TYPE_CHECKING:
    import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">8sI4sIIBB")
"""Signature; length and name of the first chunk; width, height, bits a sample, colour type."""
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_GREY = 0


def read_pages(path: Path) -> tuple[Page]:
    """Read the header of a PNG file: its one plane.

    Raises
    ------
    PlaneError
        For a file that is empty, no PNG, cut short, or in colour.
    """
    with _opened(path) as (file, size):
        head = file.read(_HEAD.size)
        file.seek(max(0, size - len(_END)))
        end = file.read()
    if not head.startswith(_SIGNATURE):
        raise PlaneError("unreadable", "this is not a PNG file.")
    if len(head) < _HEAD.size or end != _END:
        raise PlaneError("truncated", f"the file breaks off after {size} bytes: it has no end mark.")
    _, _, first, columns, rows, bits, kind = _HEAD.unpack(head)
    if first != b"IHDR" or not rows or not columns:
        raise PlaneError("unreadable", "the header of the PNG file is damaged.")
    if kind != _GREY or bits not in (8, 16):
        found = f"colour type {kind} and {bits} bits a sample"
        raise PlaneError("not_a_plane", f"the image has {found}; expected one grey plane of 8 or 16 bits.")
    return (Page(0, (rows, columns), f"uint{bits}", None),)


def read_pixels(path: Path, number: int) -> np.ndarray[tuple[int, int], Any]:
    """Read the plane (y, x), after the same check of its header.

    Raises
    ------
    PlaneError
        As `read_pages`, and where the page is not the first or cannot be decoded.
    """
    import imagecodecs
    import numpy as np

    (page,) = read_pages(path)
    if number != page.number:
        raise PlaneError("unreadable", f"a PNG file has one plane, none of number {number}.")
    with _opened(path) as (file, _):
        data = file.read()
    try:
        pixels = np.asarray(imagecodecs.png_decode(data))
    except Exception as error:  # the decoder has errors of its own
        raise PlaneError("truncated", f"the file is cut short or damaged: {error}.") from None
    if pixels.shape != page.shape or pixels.dtype.name != page.dtype:
        raise PlaneError("unreadable", f"the file holds {pixels.dtype} of {pixels.shape}, its header says otherwise.")
    return pixels


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file that has bytes; whatever is wrong with it is a PlaneError, a failing machine a MachineError."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise PlaneError("empty", "the file has no bytes.")
            yield file, size
    except OSError as error:
        raise fault_of(path, error) from None
