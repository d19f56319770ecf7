"""Platemaps: what is in each well, as a table of text that joins by well."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.core.addresses import canonical_well, geometry_of, parse_well
from hcs_lib.core.errors import Problem, UserError

_DELIMITERS = (",", "\t", ";")
_KNOWN = ("well", "control", "compound", "dose", "unit")
_CONTROLS = ("neg", "pos", "")
_BENCH = "H12"
"""Platemaps are often made for all 96 wells where few are imaged: no smaller plate is assumed."""


@dataclass(frozen=True, slots=True)
class Platemap:
    """A platemap as it was read.

    Attributes
    ----------
    path
        Where it came from.
    columns
        Its columns in order, without `well`. `control`, `compound`, `dose` and `unit` are lower-case however
        they were written.
    wells
        Canonical well (`A01`) to the text of each column, in the order of the file; empty cells are empty text.
    lines
        Canonical well to its line in the file.
    """

    path: Path
    columns: tuple[str, ...]
    wells: dict[str, dict[str, str]]
    lines: dict[str, int]

    def unknown(self, imaged: Iterable[str]) -> tuple[str, ...]:
        """Return the wells that cannot be on the plate.

        Those outside the smallest plate, of 96 wells or more, which holds the imaged wells.
        """
        rows, columns = geometry_of([*imaged, _BENCH])
        return tuple(well for well in self.wells if parse_well(well).row >= rows or parse_well(well).column >= columns)

    def not_imaged(self, imaged: Iterable[str]) -> tuple[str, ...]:
        """Return the wells that may be on the plate but were not imaged."""
        there = {*imaged}
        outside = {*self.unknown(there)}
        return tuple(well for well in self.wells if well not in there and well not in outside)

    def check(self, imaged: Sequence[str], plate: str) -> None:
        """Refuse a platemap with wells that cannot be on the plate, or with none that was imaged.

        Raises
        ------
        UserError
            With the line of each such well.
        """
        rows, columns = geometry_of([*imaged, _BENCH])
        problems = [
            Problem(f"{self.path}:{self.lines[well]}",
                    f"well {well} is not on plate {plate}: a plate of {rows} x {columns} wells.",
                    "Remove the line, or name the platemap of this plate.")
            for well in self.unknown(imaged)
        ]  # fmt: skip
        if not problems and not {*imaged} & {*self.wells}:
            problems.append(
                Problem(str(self.path), f"none of its {len(self.wells)} wells was imaged on plate {plate}.",
                        "Name the platemap of this plate.")
            )  # fmt: skip
        if problems:
            raise UserError(problems)


def read_platemap(path: Path) -> Platemap:
    """Read a platemap: a table with a header, separated by commas, tabs or semicolons.

    The column `well` is needed (in any case); `A1` and `A01` are the same well. `control` takes `neg`, `pos`
    or nothing. Any other column is kept as text. Empty lines do not count.

    Raises
    ------
    UserError
        With every line that is wrong: no well, a well twice, cells beyond the header, an unknown control.
    """
    lines = _decode(path).splitlines()
    try:
        table = [(number, [cell.strip() for cell in row]) for number, row in _rows(lines, _delimiter(path, lines))]
    except csv.Error as error:
        raise UserError(
            Problem(str(path), f"it is no sound table: {error}.", "Look for a quote without end.")
        ) from None
    (header_line, written), *rows = table
    while written and not written[-1]:
        written.pop()
    header = [name.lower() if name.lower() in _KNOWN else name for name in written]
    problems = [
        Problem(f"{path}:{header_line}", f"the column {name!r} is there twice." if name else "a column has no name.")
        for name in sorted({name for name in header if not name or header.count(name) > 1})
    ]
    wells: dict[str, dict[str, str]] = {}
    found_at: dict[str, int] = {}
    for number, cells in rows:
        where = f"{path}:{number}"
        if any(cells[len(header) :]):
            problems.append(Problem(where, f"{len(cells)} cells, but the header has {len(header)}.",
                                    "Put text that holds the separator in double quotes."))  # fmt: skip
            continue
        row = dict(zip(header, cells + [""] * len(header), strict=False))
        try:
            well = canonical_well(row.pop("well"))
        except ValueError as error:
            problems.append(Problem(where, f"{error}."))
            continue
        if well in wells:
            problems.append(Problem(where, f"well {well} is there twice; first in line {found_at[well]}."))
            continue
        if "control" in row:
            row["control"] = row["control"].lower()
            if row["control"] not in _CONTROLS:
                problems.append(Problem(where, f"well {well}: control is {row['control']!r}, expected neg, pos or"
                                               " nothing."))  # fmt: skip
        wells[well], found_at[well] = row, number
    if not wells and not problems:
        problems.append(Problem(str(path), "the platemap has no wells: no line under its header."))
    if problems:
        raise UserError(problems)
    return Platemap(path, tuple(name for name in header if name != "well"), wells, found_at)


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(Problem(str(path), f"the platemap cannot be read: {error.strerror}.",
                                "Check the path; it is relative to the file that names it.")) from None  # fmt: skip
    # Excel's "Unicode text" is UTF-16.
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(Problem(f"{path}:{line}", f"byte 0x{data[error.start]:02x} is no UTF-8.",
                                "Save the platemap as CSV UTF-8.")) from None  # fmt: skip


def _delimiter(path: Path, lines: Sequence[str]) -> str:
    """Return the separator with which the header has a column `well`, and most columns."""
    headers = {}
    for delimiter in _DELIMITERS:
        number, cells = next(_rows(lines, delimiter), (1, [""]))
        headers[delimiter] = [cell.strip().lower() for cell in cells]
    fitting = [delimiter for delimiter, header in headers.items() if "well" in header]
    if not fitting:
        shown = next((line.strip() for line in lines if line.strip()), "nothing")
        raise UserError(Problem(f"{path}:{number}", f"the header has no column `well`; it is: {shown[:80]}",
                                "Columns are separated by comma, tab or semicolon."))  # fmt: skip
    return max(fitting, key=lambda delimiter: len(headers[delimiter]))


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each line that is not empty."""
    reader = csv.reader(lines, delimiter=delimiter)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells
