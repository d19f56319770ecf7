"""Files that are complete or absent: atomic writing, and reading JSON with a clear error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import Problem, UserError


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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
