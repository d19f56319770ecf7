"""Files that hold many planes and are read by a library of their own: the library, and what is wrong with a file."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.plates.tiff import PlaneError, fault_of

EXTRAS = {"nd2": "nd2", "aicspylibczi": "czi"}
"""Library → the extra of this package that installs it."""


class MissingReaderError(UserError):
    """The library that reads a file is not installed."""


def reader_of(library: str, path: Path) -> ModuleType:
    """Import the library that reads a file.

    Raises
    ------
    MissingReaderError
        Where it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError:
        extra = EXTRAS[library]
        raise MissingReaderError(
            Problem(str(path), f"{extra.upper()} files are read by the library {library}, which is not installed.",
                    f"Install it: make setup EXTRAS={extra}, or pip install {library}.")
        ) from None  # fmt: skip


@contextmanager
def open_container(path: Path, magic: bytes, what: str) -> Iterator[BinaryIO]:
    """Open a file that begins with `magic`; what fails within is a PlaneError, a failing machine a MachineError."""
    try:
        with path.open("rb") as file:
            start = file.read(len(magic))
            if not start:
                raise PlaneError("empty", "the file has no bytes.")
            if start != magic:
                raise PlaneError("unreadable", f"this is not {what}.")
            yield file
    except (PlaneError, UserError, MemoryError):
        raise
    except OSError as error:
        raise fault_of(path, error) from None
    except Exception as error:
        # Parsers fail in any way on a damaged file, and repeat its bytes and where it lies.
        said = re.sub(r"\bb(['\"]).*?\1", "…", " ".join(str(error).split()).replace(str(path), path.name))
        raise PlaneError("truncated", f"the file is cut short or damaged: {said[:120].rstrip('.')}.") from None
