"""Files that are complete or absent: atomic writing, reading JSON with a clear error, and locks."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import MachineError, Problem, UserError

_POLL_SECONDS = 0.2

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""As `tempfile` completes `.NAME.`."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    A temporary sibling is written, flushed to the disk and renamed. Folders are made.
    """
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def leftovers(folder: Path) -> list[Path]:
    """Return what writers that died have left in a folder: temporary siblings of files, by their names."""
    return [path for path in folder.glob(".*") if _TEMPORARY.fullmatch(path.name)]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one file from the next of its name, unread; None where none can be looked at."""
    try:
        found = path.stat()
    except OSError:  # whoever reads it says so
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def update_atomic(path: Path, data: bytes) -> bool:
    """Write as `write_atomic` where the file does not hold these bytes already; return whether it was written."""
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    write_atomic(path, data)
    return True


def write_json(path: Path, value: Any) -> None:
    """Write a value as canonical JSON, atomically."""
    write_atomic(path, canonical_json(value))


def read_json(path: Path, what: str) -> Any:
    """Read JSON; `what` names the file's role in the error.

    Raises
    ------
    UserError
        Where the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(Problem(str(path), f"{what} not found.")) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(Problem(str(path), f"{what} cannot be read: {error}.")) from None


@contextmanager
def locked(path: Path, busy: str, wait_seconds: float) -> Iterator[IO[str]]:
    """Open a file under a lock that ends with the process, whatever ends it.

    The folder is made. The holder may remove the file at the end: those who wait then lock a new one.

    Parameters
    ----------
    path
        The file; it is not emptied.
    busy
        What another process that holds the lock does, as a sentence: it is told while waiting.
    wait_seconds
        How long to wait for that process.

    Raises
    ------
    MachineError
        Where it holds the lock still.
    """
    until = time.monotonic() + wait_seconds
    told = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("a+")
        except FileNotFoundError:
            continue  # The holder before us has just removed the folder.
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise MachineError(f"{path.parent}: {busy} Wait for it, or end it, and run again.") from None
                if not told:
                    # Imported here: the catalogue of functions is loaded without it.
                    from logging import getLogger

                    getLogger("hcs").warning("%s: %s Waiting for it.", path.parent, busy)
                    told = True
                time.sleep(_POLL_SECONDS)
                continue
            try:
                same = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                same = False
            if same:
                file.seek(0)
                yield file
                return
