"""Reading raw planes: the headers of a file, and the pixels of one plane."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from hcs_lib.core.errors import DataError, MachineError

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
        Where the disk or the machine fails.
    """
    path = folder / file
    if path.is_dir():
        from hcs_lib.plates.zarr_arrays import read_array_pages

        return read_array_pages(path)
    return _reader(path).read_pages(path)


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
        Where the disk or the machine fails, or the library that reads such files is not installed.
    """
    from hcs_lib.plates.containers import MissingReaderError
    from hcs_lib.plates.tiff import PlaneError

    path = folder / file
    try:
        if path.is_dir():
            from hcs_lib.plates.zarr_arrays import read_array_plane

            return read_array_plane(path, page)
        return _reader(path).read_pixels(path, page)
    except MissingReaderError as error:
        raise MachineError(str(error)) from None
    except PlaneError as error:
        raise DataError(f"{file}, page {page}: {error}", kind="bad_plane") from None


_READERS = {".png": "png", ".nd2": "nd2_files", ".czi": "czi_files"}
"""Module by the end of a file's name; every other file is read as TIFF."""


class _Reader(Protocol):
    def read_pages(self, path: Path) -> tuple[Page, ...]: ...
    def read_pixels(self, path: Path, number: int) -> np.ndarray[tuple[int, int], Any]: ...


def _reader(path: Path) -> _Reader:
    module: Any = importlib.import_module(f"hcs_lib.plates.{_READERS.get(path.suffix.lower(), 'tiff')}")
    return cast("_Reader", module)


def digest_plane(folder: Path, file: str) -> str:
    """Return the SHA-256 of the bytes of a file, or of the names and bytes of all files of a folder."""
    from hcs_lib.core.canonical import digest_file, digest_tree

    path = folder / file
    return digest_tree(path).digest if path.is_dir() else digest_file(path)
