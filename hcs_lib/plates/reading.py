"""Reading one raw plane."""

from __future__ import annotations

import errno
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
    """
    import numpy as np
    import tifffile

    from hcs_lib.plates.tiff import PlaneError, read_pages

    path = folder / file
    try:
        if page not in {found.number for found in read_pages(path)}:
            raise PlaneError("unreadable", f"the file has no page {page}.")
        return np.asarray(tifffile.imread(path, key=page, maxworkers=1))
    except PlaneError as fault:
        raise DataError(f"{file}, page {page}: {fault}", kind="bad_plane") from None
    except MemoryError:
        raise  # A failure of the machine says nothing about the plane.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ESTALE):
            raise
        # Decoders raise their own errors for damaged data; whatever it is, the plane cannot be read.
        raise DataError(f"{file}, page {page}: the pixels cannot be read: {error}.", kind="bad_plane") from None
