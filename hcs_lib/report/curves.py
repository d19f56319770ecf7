"""Dose-response curves: the wells, and the fit where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hcs_lib.report.style import FLAG, INK, NEGATIVE, POSITIVE, SAMPLE, Room, offset_beside, panels, say, shorten
from hcs_lib.report.tables import Plate, number
from hcs_lib.screening.dose_response import wells_of_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = 12


def dose_response_curves(plate: Plate, feature: str) -> Figure:
    """Draw one panel per compound with doses, all on one scale of values; the surest fits first."""
    if not plate.curves.rows:
        return say("There are no dose-response curves: the platemap gives no compound doses above zero.")
    rows = [row for row in plate.curves.rows if row["feature"] == feature]
    if not rows:
        return say(f"No dose-response curve was fitted for {feature}.")
    rows.sort(key=lambda row: (bool(row["flag"]), -number(row["r2"] or "-1")))
    shown = rows[:_PANELS]
    across = min(len(shown), 4)
    down = -(-len(shown) // across)
    width = 5.5 if across == 1 else 3.6
    room, margin = Room(left=0.2, right=0.15, top=0.6, bottom=0.6), Room(left=0.75, top=0.2, bottom=0.3)
    figure, grid = panels(down, across, (width, 0.65 * width), room, margin, sharey=True)
    for axes, row in zip(grid.flat, [*shown, *[None] * (grid.size - len(shown))], strict=True):
        if row is None:
            axes.set_axis_off()
        else:
            _draw(axes, plate, row)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="lower left", ncols=2)
    for axes in grid[:, 0]:
        axes.set_ylabel(shorten(feature, 40))
        offset_beside(axes)
    if len(shown) < len(rows):
        figure.suptitle(f"{len(shown)} of {len(rows)} compounds; all are in dose_response.csv", ha="left", x=0.01)
    return figure


def _draw(axes: Axes, plate: Plate, row: dict[str, str]) -> None:
    """Draw a compound: wells by dose, its vehicle left of the axis' gap, controls as lines, fit, EC50 with interval."""
    import numpy as np
    from matplotlib.ticker import NullLocator

    wells = wells_of_curve(plate.wells, row["compound"])
    doses, values = wells.doses, plate.wells.feature(row["feature"])
    responses = values[wells.rows]
    positive = doses > 0
    name = shorten(row["compound"], 44)
    axes.set_title(f"{name}\nno EC50", loc="left")
    if not positive.any():
        axes.text(0.5, 0.5, wells.problem or "no dose above zero", ha="center", transform=axes.transAxes, color=INK)
        return
    low, high = float(doses[positive].min()), float(doses[positive].max())
    zero = low / 10**0.6
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda dose, _: f"{dose:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(zero / 2, high * 2)

    for kind, colour, style in (("neg", NEGATIVE, (0, (4, 2))), ("pos", POSITIVE, (0, (1, 1.5)))):
        controls = values[plate.wells.wells_of(kind)]
        controls = controls[~np.isnan(controls)]
        if controls.size:
            label = f"{kind} median (n = {controls.size})"
            axes.axhline(float(np.median(controls)), color=colour, lw=1, ls=style, label=label, zorder=1)
    at = np.where(doses == 0, zero, doses)
    axes.scatter(at, responses, s=16, color=SAMPLE, alpha=0.85, lw=0, zorder=2)
    if (doses == 0).any():
        axes.axvline(low / 10**0.3, color=INK, lw=0.5, ls=":")
        axes.annotate("0", (zero, 0), (0, -4), ("data", "axes fraction"), "offset points", ha="center", va="top")

    ec50, hill, bottom, top = (number(row[name]) for name in ("ec50", "hill", "bottom", "top"))
    if np.isfinite([ec50, hill, bottom, top]).all():
        grid = np.geomspace(low / 10**0.2, high * 1.6, 200)
        with np.errstate(over="ignore"):
            fit = bottom + (top - bottom) / (1 + (ec50 / grid) ** hill)
        axes.plot(grid, fit, color=FLAG if row["flag"] else INK, lw=1.5, ls="--" if row["flag"] else "-", zorder=3)
        middle = (bottom + top) / 2
        interval = [max(number(row["ec50_low"]), zero / 2), min(number(row["ec50_high"]), high * 2)]
        if zero / 2 < ec50 < high * 2 and interval[0] <= interval[1]:
            axes.plot(interval, [middle, middle], color=INK, lw=1, zorder=4)
            axes.plot([ec50], [middle], marker="D", ms=5, color=INK, ls="", zorder=4)
        interval_text = f"{_digits(row['ec50_low'])} to {_digits(row['ec50_high'])}"
        axes.set_title(f"{name}\nEC50 {ec50:.3g} {row['unit']} (95 %: {interval_text})", loc="left")
    axes.set_xlabel(f"dose ({row['unit'] or 'no unit'}); n = {row['n_wells']} wells", labelpad=8)
    if row["flag"]:
        axes.text(0.02, 0.98, _wrap(row["flag"]), transform=axes.transAxes, va="top", fontsize=7.5, color=INK,
                  bbox={"fc": "#FFF4D6", "ec": FLAG, "lw": 0.8, "boxstyle": "round,pad=0.3"}, zorder=5)  # fmt: skip


def _digits(text: str) -> str:
    return f"{number(text):.3g}" if text else "?"


def _wrap(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 44))
