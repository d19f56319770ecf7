"""How the sites of a well lie: rows and columns, from stage positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hcs_lib.plates.index import StagePosition

_SAME_LINE = 0.25
"""Sites whose centres differ by less than this part of a field stand in one row (or column)."""


def site_grid(
    positions: Iterable[StagePosition], sites: int, shape: tuple[int, int], pixel_size_um: float | None
) -> tuple[int, int] | None:
    """Return rows and columns of the sites of a well; None where positions do not make one full grid.

    Parameters
    ----------
    positions
        Stage positions of all wells, micrometres.
    sites
        How many sites a well has. Wells with fewer positions are left out.
    shape
        Rows and columns of a plane.
    pixel_size_um
        With the shape, the size of a field. Unknown: no grid.
    """
    if sites == 1:
        return 1, 1
    if pixel_size_um is None:
        return None
    wells: dict[str, list[StagePosition]] = {}
    for position in positions:
        wells.setdefault(position.well, []).append(position)
    height, width = shape[0] * pixel_size_um, shape[1] * pixel_size_um
    grids = {
        (_lines([site.y_um for site in well], height), _lines([site.x_um for site in well], width))
        for well in wells.values()
        if len(well) == sites
    }
    if len(grids) != 1:
        return None
    rows, columns = grids.pop()
    return (rows, columns) if rows * columns == sites else None


def _lines(values: Sequence[float], field: float) -> int:
    ordered = sorted(values)
    return 1 + sum(after - before > _SAME_LINE * field for before, after in pairwise(ordered))
