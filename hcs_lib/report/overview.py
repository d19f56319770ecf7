"""Quality overview: objects in each well, and what became of wells and sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hcs_lib.report.style import FLAG, INK, NEGATIVE, POSITIVE, SAMPLE, Room, offset_beside, panels, shorten
from hcs_lib.report.tables import Plate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def quality_overview(plate: Plate) -> Figure:
    """Draw counts of wells and sites by what became of them, and objects per well in the order of the plate."""
    bars = _bars(plate)
    names = [shorten(name, 40) for name, *_ in bars]
    size = (4.6, max(2.4, 0.3 * len(bars)))
    # A letter is 0.075 inches wide, on average.
    margin = Room(left=max(0.0, 0.075 * max(map(len, names)) - 0.4))
    figure, ((shares, objects),) = panels(1, 2, size, Room(0.6, 0.15, 0.4, 0.95), margin)
    places = range(len(bars))
    shares.barh(places, [100 * count / total if total else 0 for _, count, total, _ in bars],
                color=[colour for *_, colour in bars], height=0.7)  # fmt: skip
    for place, (_, count, total, _) in zip(places, bars, strict=True):
        share = 100 * count / total if total else 0
        shares.annotate(f"{count} of {total}", (share, place), (4, 0), textcoords="offset points", va="center")
    shares.set_yticks(places, names)
    shares.invert_yaxis()
    shares.set_xlim(0, 128)
    shares.set_xticks((0, 25, 50, 75, 100))
    shares.set_xlabel("percent")
    shares.set_title("Wells and sites", loc="left")
    _objects(objects, plate)
    return figure


def _bars(plate: Plate) -> list[tuple[str, int, int, str]]:
    """Return (what, how many, of how many, colour)."""
    wells = len(plate.wells.values)
    sites = plate.sites
    left_out = sum(site["status"] != "done" for site in sites)
    bars = [
        ("wells done", plate.statuses["done"], wells, NEGATIVE),
        ("wells failed", plate.statuses["failed"], wells, POSITIVE),
        ("wells skipped", plate.statuses["skipped"], wells, SAMPLE),
    ]
    if plate.count_column:
        empty = int((plate.wells.feature(plate.count_column) == 0).sum())
        bars.append(("done wells without objects", empty, plate.statuses["done"], SAMPLE))
    bars.append(("sites not done", left_out, len(sites), SAMPLE))
    return bars + [(f"sites flagged: {flag}", count, looked, FLAG) for flag, count, looked in plate.site_flags()[:12]]


def _objects(axes: Axes, plate: Plate) -> None:
    import numpy as np

    column = plate.count_column
    if column is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "The pipeline labels no objects.", ha="center", transform=axes.transAxes)
        return
    counts = plate.wells.feature(column)
    places = np.arange(len(counts))
    negative, positive = plate.wells.wells_of("neg"), plate.wells.wells_of("pos")
    for name, chosen, colour, marker in (
        ("samples", ~(negative | positive), SAMPLE, "o"),
        ("neg", negative, NEGATIVE, "s"),
        ("pos", positive, POSITIVE, "^"),
    ):
        there = chosen & ~np.isnan(counts)
        if chosen.any():
            axes.scatter(places[there], counts[there], s=16, marker=marker, color=colour, lw=0,
                         label=f"{name} ({int(there.sum())} of {int(chosen.sum())})")  # fmt: skip
    without = np.isnan(counts)
    if without.any():
        axes.scatter(places[without], np.zeros(int(without.sum())), s=22, marker="x", color=INK, lw=1.1,
                     label=f"failed or skipped ({int(without.sum())} of {len(counts)})")  # fmt: skip
    wells = plate.wells.column("well")
    rows = [index for index, well in enumerate(wells) if index == 0 or well[:-2] != wells[index - 1][:-2]]
    axes.set_xticks(rows, [wells[index][:-2] for index in rows])
    axes.set_xlabel("wells, row by row")
    offset_beside(axes)
    axes.set_ylim(bottom=0 if np.nanmax(counts, initial=0) > 0 else -0.5)
    axes.margins(x=0.02)
    axes.set_title(f"{column.removeprefix('count_')} per well", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
