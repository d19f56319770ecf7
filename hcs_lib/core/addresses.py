"""Wells and plane addresses: `A01` … `AF48`, and (well, site, channel, z, t)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_WELL = re.compile(r"([A-Za-z]{1,2})0*([1-9]\d{0,2})")

GEOMETRIES = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
"""Rows and columns of plates with 6, 12, 24, 48, 96, 384 and 1536 wells."""


class Well(NamedTuple):
    """Row and column of a well, both from 0."""

    row: int
    column: int


class PlaneAddress(NamedTuple):
    """Where one 2D image stands in a plate. `channel` is the plate's own channel id."""

    well: str
    site: int
    channel: str
    z: int
    t: int


def parse_well(text: str) -> Well:
    """Read a well name, `A1`, `a01` or `A001` alike.

    Raises
    ------
    ValueError
        Where the text is no well of a plate of up to 32 rows and 48 columns.
    """
    match = _WELL.fullmatch(text.strip())
    if match:
        row = row_index(match[1])
        column = int(match[2]) - 1
        if row < GEOMETRIES[-1][0] and column < GEOMETRIES[-1][1]:
            return Well(row, column)
    raise ValueError(f"{text!r} is no well name; expected a row letter and a column number, such as A01 or AF48")


def row_index(letters: str) -> int:
    """Return the row of its letters, from 0: A is 0, Z is 25, AA is 26."""
    value = 0
    for letter in letters.upper():
        value = value * 26 + ord(letter) - ord("A") + 1
    return value - 1


def row_name(row: int) -> str:
    """Return the letters of a row: 0 is A, 26 is AA."""
    return chr(ord("A") + row) if row < 26 else row_name(row // 26 - 1) + row_name(row % 26)


def well_name(well: Well) -> str:
    """Return the canonical name: row letters and a column of at least two digits, `A01`."""
    return f"{row_name(well.row)}{well.column + 1:02d}"


@lru_cache(maxsize=4096)
def canonical_well(text: str) -> str:
    """Return the canonical name of a well written in any accepted way."""
    return well_name(parse_well(text))


class Area(NamedTuple):
    """A rectangle of wells: rows and columns from 0, both ends included."""

    first: Well
    last: Well

    def __contains__(self, well: object) -> bool:
        """Tell whether a well lies inside."""
        return isinstance(well, Well) and all(
            low <= place <= high for low, place, high in zip(self.first, well, self.last, strict=True)
        )


def parse_area(text: str) -> Area:
    """Read what stands for one well or several: `B03`, a row `B`, a column `3`, or from one to another, `A01-C06`.

    Raises
    ------
    ValueError
        Where it is none of these.
    """
    first, dash, last = (part.strip() for part in text.partition("-"))
    start = _area(first)
    end = _area(last) if dash else start
    if start is None or end is None or _sides(start) != _sides(end):
        raise ValueError(
            f"{text!r} stands for no wells; expected a well (B03), a row (B), a column (3), "
            "or a range of these (A01-C06, A-C, 1-6)"
        )
    corners = zip(start.first, start.last, end.first, end.last, strict=True)
    (top, bottom), (left, right) = ((min(ends), max(ends)) for ends in corners)
    return Area(Well(top, left), Well(bottom, right))


def _sides(area: Area) -> tuple[bool, bool]:
    """Tell whether an area runs over rows, and over columns."""
    return area.first.row != area.last.row, area.first.column != area.last.column


def _area(text: str) -> Area | None:
    rows, columns = GEOMETRIES[-1]
    if text.isascii() and text.isdigit() and 1 <= int(text) <= columns:
        return Area(Well(0, int(text) - 1), Well(rows - 1, int(text) - 1))
    if text.isascii() and text.isalpha() and len(text) <= 2 and row_index(text) < rows:
        return Area(Well(row_index(text), 0), Well(row_index(text), columns - 1))
    try:
        well = parse_well(text)
    except ValueError:
        return None
    return Area(well, well)


def geometry_of(wells: Iterable[str]) -> tuple[int, int]:
    """Return rows and columns of the smallest common plate which holds all these wells."""
    parsed = [parse_well(well) for well in wells]
    rows = max((well.row for well in parsed), default=0) + 1
    columns = max((well.column for well in parsed), default=0) + 1
    return next(size for size in GEOMETRIES if rows <= size[0] and columns <= size[1])
