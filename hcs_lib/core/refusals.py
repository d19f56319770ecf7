"""A refusal: in the place of what a command was to write, why there is none. Files that were cut are no better.

The rules `index` and `compile` leave one where the input is wrong, so that other plates go on and only this one fails,
at its verdict. Whatever reads the file raises the same error again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, write_json

_BEGIN, _END = b'{"refused":', b"\n"


def refuse(path: Path, error: UserError) -> None:
    """Write the problems of `error` in place of the file."""
    write_json(path, {"refused": [problem._asdict() for problem in error.problems]})


def when_useless(path: Path) -> int:
    """Return the time stamp (ns) of a refusal, or of a file that was cut; 0 of one that is whole, or absent.

    Only the first and last bytes are read: canonical JSON ends with its only newline.
    """
    try:
        with path.open("rb") as file:
            refused = file.read(len(_BEGIN)) == _BEGIN
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_END)))
            return os.fstat(file.fileno()).st_mtime_ns if refused or file.read() != _END else 0
    except FileNotFoundError:
        return 0


def read_accepted(path: Path, what: str) -> Any:
    """Read JSON as `read_json` does.

    Raises
    ------
    UserError
        Where the file is missing or is no JSON; with the problems of the refusal, where it is one.
    """
    document = read_json(path, what)
    if isinstance(document, dict) and "refused" in document:
        raise UserError(Problem(**problem) for problem in document["refused"])
    return document
