"""The time from one time point of a plate to the next, from when its planes were acquired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median

from hcs_lib.plates.index import PlateIndex

_UNEVEN = 0.1
"""An interval that differs from the median one by a larger share is another one."""


def time_offsets_s(index: PlateIndex) -> dict[int, float]:
    """Return when each time point was taken, in seconds after the first: the median over planes.

    Time points for which the files do not tell are left out.
    """
    if len(index.t) < 2:
        return {}
    taken: dict[tuple[str, int, str, int], dict[int, datetime]] = {}
    for plane in index.planes:
        moment = _moment(plane.acquired)
        if moment is not None:
            taken.setdefault((plane.well, plane.site, plane.channel, plane.z), {})[plane.t] = moment
    offsets: dict[int, list[float]] = {}
    for moments in taken.values():
        start = moments.get(index.t[0])
        if start is not None:
            for t, moment in moments.items():
                offsets.setdefault(t, []).append((moment - start).total_seconds())
    return {t: median(found) for t, found in offsets.items()}


def interval_s(offsets: Mapping[int, float], points: Sequence[int | None]) -> float | None:
    """Return the seconds from one of some time points to the next.

    None where that is unknown, or not the same within a tenth: an image has one scale.
    """
    known = [offsets[point] for point in points if point is not None and point in offsets]
    if len(points) < 2 or len(known) < len(points):
        return None
    intervals = [after - before for before, after in pairwise(known)]
    middle = median(intervals)
    even = middle > 0 and all(abs(interval - middle) <= _UNEVEN * middle for interval in intervals)
    return round(middle, 6) if even else None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None) if text else None
    except ValueError:
        return None
