"""The files below a plate's folder, with size and time stamp. Imports nothing heavy: a workflow lists often."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import Problem, UserError


class ListedFile(NamedTuple):
    """Size and time stamp of a file; both are -1 where a link leads nowhere."""

    size: int
    mtime_ns: int


_ZARR = frozenset({".zattrs", ".zgroup", ".zarray"})
"""Hidden files that are part of a plate."""


def name_of(file: str) -> str:
    """Return the last part of a relative path; `pathlib` takes a second for the files of a plate."""
    return file.rpartition("/")[2]


def parent_of(file: str) -> str:
    """Return the folder of a relative path, `.` where it has none."""
    return file.rpartition("/")[0] or "."


def list_files(folder: Path) -> dict[str, ListedFile]:
    """List every file below a folder by relative path (forward slashes), sorted; hidden ones (but Zarr's) are left out.

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
                    name = entry.name if entry.name.isascii() else _text(entry.name)
                    if name.startswith(".") and name not in _ZARR:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{name}/"))
                    elif not _leads_to_folder(entry):
                        found[prefix + name] = _stat(entry)
        except OSError as error:
            raise UserError(Problem(path, f"the folder cannot be listed: {error.strerror}.")) from None
    return dict(sorted(found.items()))


def stats_of(files: Mapping[str, ListedFile], paths: Iterable[str]) -> dict[str, ListedFile]:
    """Return size and time stamp of files and, of folders, all bytes and the newest stamp of what is below them.

    `files` is sorted, as `list_files` gives it. Paths at which nothing is are left out.
    """
    names = list(files)
    found: dict[str, ListedFile] = {}
    for path in set(paths):
        # "0" follows "/": between the two lies what is below the folder.
        below = names[bisect_left(names, f"{path}/") : bisect_left(names, f"{path}0")]
        stat = files.get(path) or _sum(files[name] for name in below)
        if stat:
            found[path] = stat
    return found


def stat_path(path: Path) -> ListedFile:
    """Return what `stats_of` tells of a path, from the disk.

    Raises
    ------
    OSError
        Where nothing is there.
    """
    stat = path.stat()
    return (path.is_dir() and _sum(list_files(path).values())) or ListedFile(stat.st_size, stat.st_mtime_ns)


def _text(name: str) -> str:
    """Return a name whose bytes are no UTF-8 with these written out: it can be told, and no file is opened by it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _sum(stats: Iterable[ListedFile]) -> ListedFile | None:
    found = list(stats)
    return ListedFile(sum(size for size, _ in found), max(time for _, time in found)) if found else None


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _stat(entry: os.DirEntry[str]) -> ListedFile:
    try:
        stat = entry.stat()
    except OSError:
        return ListedFile(-1, -1)
    return ListedFile(stat.st_size, stat.st_mtime_ns)


def snapshot(folder: Path) -> str:
    """Return a digest of path, size and time stamp of every file below a folder. No file is opened."""
    return digest([[file, *stat] for file, stat in list_files(folder).items()])
