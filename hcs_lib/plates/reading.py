"""Reading raw planes: the headers of a file, and the pixels of one plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from hcs_lib.plates.tiff import Page


def read_headers(folder: Path, file: str) -> tuple[Page, ...]:
    """Read what a file says of its planes; no pixel is read.

    Raises
    ------
    PlaneError
        Where the file holds no sound planes.
    MachineError
        Where the disk fails.
    """
    from hcs_lib.plates import png, tiff

    path = folder / file
    if path.is_dir():
        from hcs_lib.plates.zarr_arrays import read_array_pages

        return read_array_pages(path)
    return png.read_pages(path) if path.suffix.lower() == ".png" else tiff.read_pages(path)


def read_plane(folder: Path, file: str, page: int) -> np.ndarray[tuple[int, int], Any]:
    """Read one plane (y, x) of a plate, in its own dtype.

    Parameters
    ----------
    folder
        The plate's folder.
    file, page
        As in the index: relative path, and page from 0. The file of an OME-Zarr plate is the folder of an array.

    Raises
    ------
    DataError
        Of kind `bad_plane`, where the file is not there, is damaged, or has no such page.
    MachineError
        Where the disk fails.
    """
    from hcs_lib.plates import png, tiff

    path = folder / file
    try:
        if path.is_dir():
            from hcs_lib.plates.zarr_arrays import read_array_plane

            return read_array_plane(path, page)
        return png.read_pixels(path, page) if path.suffix.lower() == ".png" else tiff.read_pixels(path, page)
    except tiff.PlaneError as error:
        raise DataError(f"{file}, page {page}: {error}", kind="bad_plane") from None


def digest_plane(folder: Path, file: str) -> str:
    """Return the SHA-256 of the bytes of a file, or of the names and bytes of all files of a folder."""
    from hcs_lib.core.canonical import digest_file, digest_tree

    path = folder / file
    return digest_tree(path).digest if path.is_dir() else digest_file(path)
