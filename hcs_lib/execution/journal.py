"""The journal of a well in flight: which well was being done when its process died, and how often."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from hcs_lib.core.errors import MachineError

MAX_DEATHS = 2
"""A well that brought its process down so often is recorded as failed, so that its neighbours finish."""

_NAME = "journal.json"
_POLL_SECONDS = 0.2

_log = logging.getLogger("hcs.execution")


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
    with _locked(folder, wait_seconds) as file:
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


@contextmanager
def _locked(folder: Path, wait_seconds: float) -> Iterator[IO[str]]:
    """Open the journal under a lock that ends with the process, whatever ends it."""
    until = time.monotonic() + wait_seconds
    told = False
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = (folder / _NAME).open("a+")
        except FileNotFoundError:
            continue  # The holder before us has just removed the folder.
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise MachineError(
                        f"{folder}: another process executes this well. Wait for it, or end it, and run again."
                    ) from None
                if not told:
                    _log.warning("%s: another process executes this well. Waiting for it.", folder)
                    told = True
                time.sleep(_POLL_SECONDS)
                continue
            try:
                same = os.path.samestat(os.fstat(file.fileno()), (folder / _NAME).stat())
            except FileNotFoundError:
                same = False
            if same:
                file.seek(0)
                yield file
                return
