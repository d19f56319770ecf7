"""The files below a plate's folder, with size and time stamp. Imports nothing heavy: a workflow lists often."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import Problem, UserError


class ListedFile(NamedTuple):
    """Size and time stamp of a file; both are -1 where a link leads nowhere."""

    size: int
    mtime_ns: int


def list_files(folder: Path) -> dict[str, ListedFile]:
    """List every file below a folder by relative path (forward slashes), sorted; hidden ones are left out.

    Raises
    ------
    UserError
        Where the folder is not there, is no folder, or cannot be listed.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UserError(Problem(str(folder), f"the plate's folder {what}.", "Check the path."))
    found: dict[str, ListedFile] = {}
    pending = [(str(folder), "")]
    while pending:
        path, prefix = pending.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    elif not entry.is_dir():
                        found[prefix + entry.name] = _stat(entry)
        except OSError as error:
            raise UserError(Problem(path, f"the folder cannot be listed: {error.strerror}.")) from None
    return dict(sorted(found.items()))


def _stat(entry: os.DirEntry[str]) -> ListedFile:
    try:
        stat = entry.stat()
    except OSError:
        return ListedFile(-1, -1)
    return ListedFile(stat.st_size, stat.st_mtime_ns)


def snapshot(folder: Path) -> str:
    """Return a digest of path, size and time stamp of every file below a folder. No file is opened."""
    return digest([[file, *stat] for file, stat in list_files(folder).items()])
