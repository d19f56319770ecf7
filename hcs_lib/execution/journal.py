"""The journal of a well in flight: which well was being done when its process died, and how often."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from hcs_lib.core.files import locked

MAX_DEATHS = 2
"""A well that brought its process down so often is recorded as failed, so that its neighbours finish."""

_NAME = "journal.json"


@contextmanager
def in_flight(folder: Path, digest: str, *, forget: bool = False, wait_seconds: float = 0) -> Iterator[int]:
    """Hold a well's work folder, and yield how many processes died on this context before.

    The folder is empty but for the journal, and is removed at the end. The journal stays only where the process
    dies (a crash of a library, SIGKILL) or runs out of memory; other errors of the machine are not the well's fault.

    Parameters
    ----------
    folder
        Work folder of the well.
    digest
        Of the context; deaths on another context do not count.
    forget
        Do not count earlier deaths.
    wait_seconds
        How long to wait where another living process executes the well: Snakemake may have been killed, and its jobs
        go on.

    Raises
    ------
    MachineError
        Where it still does then.
    """
    with locked(folder / _NAME, "another process executes this well.", wait_seconds) as file:
        try:
            deaths = 0 if forget else _deaths(file, digest)
            _record(file, digest, deaths)
            _empty(folder)
            yield deaths
        except MemoryError:
            _empty(folder)
            raise
        except BaseException:
            with suppress(OSError):
                _remove(folder)
            raise
        _remove(folder)


def flight_of(folder: Path) -> Literal["running", "died"] | None:
    """Tell whether a well is in flight: a living process executes it, or died on it; None: neither.

    Nothing is changed. A process on another machine is seen where locks of the file system reach there.

    Parameters
    ----------
    folder
        Work folder of the well.
    """
    try:
        with (folder / _NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BlockingIOError:
        return "running"
    return "died"


def _deaths(file: IO[str], digest: str) -> int:
    try:
        past = json.load(file)
    except ValueError:
        return 0
    match past:
        case {"context_digest": str(executed), "deaths": int(deaths)} if executed == digest:
            return deaths + 1
    return 0


def _record(file: IO[str], digest: str, deaths: int) -> None:
    file.seek(0)
    file.truncate()
    json.dump({"context_digest": digest, "deaths": deaths}, file)
    file.flush()


def _remove(folder: Path) -> None:
    """Remove the folder. Once the journal is gone, another process may begin, and the folder is its own."""
    _empty(folder)
    (folder / _NAME).unlink()
    with suppress(OSError):
        folder.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _NAME:
            path.unlink()
