"""The user's own file names: a pattern such as `Channel{channel}-{n}-{row}-{col}.tif`, or a regular expression."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from pathlib import Path, PurePosixPath
from string import Formatter

from hcs_lib.core.addresses import Well, canonical_well, row_index, well_name
from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.plates.formats.base import Find, Found, PlaneFile, channel_id

FIELDS = {
    "well": r"[A-Za-z]{1,2}\d{1,3}",
    "row": r"[A-Za-z]{1,2}|\d{1,2}",
    "col": r"\d{1,3}",
    "site": r"\d+",
    "channel": r"[^/]+?",
    "z": r"\d+",
    "t": r"\d+",
    "plate": r"[^/]+?",
    "n": r"[^/]+?",
}
"""What a pattern may name, and what each matches. `n` is any text that does not matter."""

_KNOWN = ", ".join(FIELDS)

CONTAINERS = (".nd2", ".czi")
"""Files with metadata of their own on channels, z and t; a pattern takes pages for z."""


def find_by_pattern(pattern: str) -> Find:
    r"""Return the format of a pattern.

    The pattern names a file: fields in braces, the rest literally (`{{` is a brace), case and all. With
    slashes it names the last parts of the path; the folder above them is the plate's. Without, the plate's
    folder is the file's own. A row may be a letter or a number; a field named twice must be the same twice,
    `n` excepted. Site and t are 1 and the channel is `1` where the pattern has none; without z, the pages of
    a file are z.

    A pattern with named groups, such as `(?P<well>[A-P]\d\d)_f(?P<site>\d+)\.tif`, is a regular expression
    of Python for the same parts of the path; its groups have the names of the fields.

    Raises
    ------
    UserError
        For a field that is unknown, braces that do not match, a pattern that gives no well, or no sound expression.
    """
    regex = _expression(pattern) if "(?P<" in pattern else re.compile(_regex(pattern))
    depth = re.sub(r"\[[^\]]*\]", "", pattern).count("/") + 1

    def find(_folder: Path, files: Sequence[str]) -> Found:
        planes = tuple(plane for plane in (_parse(file, regex, depth) for file in files) if plane)
        for plane in planes:
            if plane.file.lower().endswith(CONTAINERS):
                raise _refuse(pattern, f"{plane.file} tells itself what its planes are.", "Leave the pattern out.")
        return Found(planes)

    return find


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise _refuse(pattern, f"is no regular expression: {error}.", "Correct it.") from None
    for field in regex.groupindex:
        if field not in FIELDS or field == "n":
            raise _refuse(pattern, f"unknown field {field!r}.", f"{nearest(field, FIELDS)} Fields: {_KNOWN}.".strip())
    _check_well(pattern, set(regex.groupindex))
    return regex


def _check_well(pattern: str, fields: Set[str]) -> None:
    if fields & {"well", "row", "col"} not in ({"well"}, {"row", "col"}):
        hint = f"It needs either {{well}} or both {{row}} and {{col}}. Fields: {_KNOWN}."
        raise _refuse(pattern, "does not give the well.", hint)


def _regex(pattern: str) -> str:
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise _refuse(pattern, f"cannot be read: {error}.", "Write a literal brace twice: {{ or }}.") from None
    regex = ""
    seen: set[str] = set()
    for literal, field, spec, conversion in parts:
        regex += re.escape(literal)
        if field is None:
            continue
        if field not in FIELDS or spec or conversion:
            written = field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            hint = f"{nearest(field, FIELDS)} Fields: {_KNOWN}.".strip()
            raise _refuse(pattern, f"unknown field {{{written}}}.", hint)
        if field == "n":
            regex += f"(?:{FIELDS[field]})"
        elif field in seen:
            regex += f"(?P={field})"
        else:
            regex += f"(?P<{field}>{FIELDS[field]})"
        seen.add(field)
    _check_well(pattern, seen)
    return regex


def _refuse(pattern: str, message: str, hint: str) -> UserError:
    return UserError(Problem(f"pattern {pattern!r}", message, hint))


def _parse(file: str, regex: re.Pattern[str], depth: int) -> PlaneFile | None:
    parts = PurePosixPath(file).parts
    match = regex.fullmatch("/".join(parts[-depth:]))
    if match is None or len(parts) < depth:
        return None
    values = {field: value for field, value in match.groupdict().items() if value is not None}
    try:
        well = canonical_well(values["well"] if "well" in values else _well(values["row"], values["col"]))
        numbers = {field: int(values[field]) for field in ("site", "z", "t") if field in values}
    except (ValueError, KeyError):
        return None
    return PlaneFile(
        file=file,
        root="/".join(parts[:-depth]) or ".",
        plate=values.get("plate"),
        well=well,
        site=numbers.get("site", 1),
        channel=channel_id(values.get("channel", "1")),
        z=numbers.get("z"),
        t=numbers.get("t", 1),
    )


def _well(row: str, column: str) -> str:
    index = int(row) - 1 if row.isdecimal() else row_index(row)
    if index < 0:
        raise ValueError(row)
    return well_name(Well(index, int(column) - 1))
