"""Which files of a folder are the plate: its format, and the one plate that the folder holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.plates.containers import MissingReaderError
from hcs_lib.plates.formats import FORMATS, Found, PlaneFile, PlateFacts, find_by_pattern
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import parent_of


class Located(NamedTuple):
    """The plane files of one plate, and what its index files say.

    `strays` are TIFF files beside the planes which are nothing the format knows; `recorded` tells that an index
    file lists all planes.
    """

    format: str
    planes: tuple[PlaneFile, ...]
    strays: tuple[str, ...]
    problems: tuple[PlaneProblem, ...]
    facts: PlateFacts
    recorded: bool


def locate(folder: Path, files: Sequence[str], *, plate: str, format: str, pattern: str | None) -> Located:  # noqa: A002
    """Find the one plate among the files of a folder.

    A plate that lies directly in the folder is taken before those in folders below; of several, the one
    whose name in the file names is `plate`.

    Raises
    ------
    UserError
        For an unknown format, a bad pattern, no plate, or several.
    """
    name, found = _detect(folder, files, format, pattern)
    if not found.planes:
        hint = "Copy it again from the microscope, or give a pattern for the names of the images."
        unread = [Problem(problem.file or "", problem.message, hint) for _, problem in found.problems]
        raise UserError(unread[0] if unread else _nothing(folder, files, name, pattern))
    planes = _choose(folder, found.planes, plate)
    roots = {plane.root for plane in planes}
    folders = {parent_of(plane.file) for plane in planes}
    known = found.others.union((plane.file for plane in found.planes), (p.file for _, p in found.problems if p.file))
    strays = [file for file in _tiffs(files) if file not in known and parent_of(file) in folders]
    problems = tuple(problem for root, problem in found.problems if root in roots)
    facts = next((found.facts[root] for root in sorted(roots) if root in found.facts), PlateFacts())
    return Located(name, planes, tuple(strays), problems, facts, roots <= found.recorded)


def _detect(folder: Path, files: Sequence[str], format: str, pattern: str | None) -> tuple[str, Found]:  # noqa: A002
    known = ("auto", "pattern", *FORMATS)
    if format not in known:
        hint = f"{nearest(format, known)} Formats: {', '.join(known)}.".strip()
        raise UserError(Problem("format", f"unknown format {format!r}.", hint))
    if pattern:
        if format not in ("auto", "pattern"):
            raise UserError(Problem("format", f"a pattern was given together with format {format!r}.",
                                    "Leave out the one or the other."))  # fmt: skip
        return "pattern", find_by_pattern(pattern)(folder, files)
    if format == "pattern":
        raise UserError(Problem("format", "format 'pattern' needs a pattern.",
                                "Give one, such as Channel{channel}-{n}-{row}-{col}.tif."))  # fmt: skip
    if format != "auto":
        return format, FORMATS[format](folder, files)
    tried: dict[str, Found] = {}
    lacking: MissingReaderError | None = None
    for name, find in FORMATS.items():
        try:
            tried[name] = find(folder, files)
        except MissingReaderError as error:
            lacking = error
    best = max(tried, key=lambda name: len(tried[name].planes))
    if tried[best].planes:
        return best, tried[best]
    if lacking:
        raise lacking
    return "auto", Found((), problems=tuple(problem for found in tried.values() for problem in found.problems))


def _choose(folder: Path, planes: Iterable[PlaneFile], plate: str) -> tuple[PlaneFile, ...]:
    groups: dict[tuple[str, str | None], list[PlaneFile]] = {}
    for plane in planes:
        groups.setdefault((plane.root, plane.plate), []).append(plane)
    keys = [key for key in groups if key[0] == "."] or list(groups)
    if len(keys) > 1:
        keys = [key for key in keys if key[1] == plate] or keys
    if len(keys) > 1 and _is_one(groups, keys):
        return tuple(plane for key in keys for plane in groups[key])
    if len(keys) > 1:
        shown = "; ".join(f"{name or 'files'} in {root}" for root, name in keys[:4]) + ("; …" if len(keys) > 4 else "")
        raise UserError(
            Problem(str(folder), f"the folder holds {len(keys)} plates, expected one: {shown}.",
                    "Name the folder of one plate, or give the plate the name it has in the file names.")
        )  # fmt: skip
    return tuple(groups[keys[0]])


def _is_one(groups: dict[tuple[str, str | None], list[PlaneFile]], keys: Sequence[tuple[str, str | None]]) -> bool:
    """Tell whether folders are one plate, acquired in parts: of one name, and no plane is in two of them."""
    addresses = [(p.well, p.site, p.channel, p.z, p.t) for key in keys for p in groups[key]]
    return len({name for _, name in keys} - {None}) == 1 == len({name for _, name in keys}) and (
        len(set(addresses)) == len(addresses)
    )


def _nothing(folder: Path, files: Sequence[str], name: str, pattern: str | None) -> Problem:
    if not files:
        return Problem(str(folder), "the folder holds no files, so there is no plate.", "Check the path.")
    shown = (_tiffs(files) or list(files))[:2]
    such_as = f"{len(files)} file{'s' if len(files) > 1 else ''}, such as {' and '.join(repr(file) for file in shown)}"
    if pattern:
        return Problem(str(folder), f"the pattern {pattern!r} matches none of its {such_as}.",
                       "Correct the pattern: fields in braces, everything else exactly as in the names.")  # fmt: skip
    expected = f"format {name!r}" if name != "auto" else f"a known format ({', '.join(FORMATS)})"
    return Problem(str(folder), f"no plate of {expected} among its {such_as}.",
                   "Give a pattern for the names, such as Channel{channel}-{n}-{row}-{col}.tif"
                   " (`--pattern`, or the column `pattern` of plates.tsv).")  # fmt: skip


def _tiffs(files: Iterable[str]) -> list[str]:
    return [file for file in files if file.lower().endswith((".tif", ".tiff"))]
