"""The errors of the project: what went wrong, where, and what to do about it.

Three kinds, told apart because they end differently:

- `UserError`: the input is wrong. Nothing was done. The program ends with status 2.
- `DataError`: a plane or a function failed on one well. It is recorded; the other wells go on.
- `MachineError`: memory, disk, device. The job fails and may be tried again. Status 3.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

MACHINE_FAULTS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
)
"""Errors of the system that say nothing about the data."""


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes
    ----------
    where
        File and line, plate, well, step or key: `pipeline.yaml:12`, `plate demo, well B03`.
    message
        What was found and what was expected.
    hint
        What to do. May be empty.
    """

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.hint}" if self.hint else text


class HcsError(Exception):
    """Root of all errors of this project."""

    exit_code = 1


class UserError(HcsError, ValueError):
    """The input is wrong: one or more problems, all that could be found at once."""

    exit_code = 2

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", problems)
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(HcsError):
    """The data of one well (or site) failed: a bad plane, a function that raised.

    Parameters
    ----------
    message
        What was found and what was expected.
    kind
        `bad_plane`, `function`, `output`: how tables and reports group failures.
    """

    def __init__(self, message: str, kind: str = "function", *, site: int | str | None = None, step: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.site = site
        self.step = step


class MachineError(HcsError, RuntimeError):
    """The machine failed: memory, disk, device, or software that differs from what was compiled for."""

    exit_code = 3


def raise_machine_fault(path: Path, error: Exception) -> None:
    """Raise a MachineError where what kept a file from being read says nothing about the file."""
    if isinstance(error, OSError) and error.errno in MACHINE_FAULTS:
        raise MachineError(f"{path}: {error.strerror}.") from error


class Terminated(BaseException):
    """The process was asked to end, by SIGTERM. No `except Exception`, a function's least of all, may swallow it."""

    exit_code = MachineError.exit_code


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return a sentence that offers the candidates most like `name`, or an empty string."""
    import difflib

    close = difflib.get_close_matches(name, list(candidates), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else ""
