"""Reading one raw plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def read_plane(folder: Path, file: str, page: int) -> np.ndarray[tuple[int, int], Any]:
    """Read one plane (y, x) of a plate, in its own dtype.

    Parameters
    ----------
    folder
        The plate's folder.
    file, page
        As in the index: relative path, and page from 0.

    Raises
    ------
    DataError
        Of kind `bad_plane`, where the file is not there, is damaged, or has no such page.
    MachineError
        Where the disk fails.
    """
    from hcs_lib.plates.tiff import PlaneError, read_pixels

    try:
        return read_pixels(folder / file, page)
    except PlaneError as error:
        raise DataError(f"{file}, page {page}: {error}", kind="bad_plane") from None
