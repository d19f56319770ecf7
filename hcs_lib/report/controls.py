"""Control strips: every well of the plate, by what it is, and how far the controls are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hcs_lib.report.style import INK, NEGATIVE, POSITIVE, SAMPLE, Room, offset_beside, panels, say, shorten
from hcs_lib.report.tables import Plate, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GOLDEN = 0.6180339887498949


def control_strips(plate: Plate, features: Sequence[str]) -> Figure:
    """Draw one panel per feature: wells that are negative controls, samples, positive controls; Z′ in the title."""
    if not (plate.wells.wells_of("neg").any() or plate.wells.wells_of("pos").any()):
        return say("There are no controls: the platemap has no `neg` or `pos` in a column `control`.")
    across = min(len(features), 3)
    down = -(-len(features) // 3)
    figure, grid = panels(down, across, (3.1 if across > 1 else 4.6, 2.4), Room(0.7, 0.15, 0.55, 0.5))
    for axes, feature in zip(grid.flat, [*features, *[None] * (grid.size - len(features))], strict=True):
        if feature is None:
            axes.set_axis_off()
        else:
            _draw(axes, plate, feature)
    return figure


def _draw(axes: Axes, plate: Plate, feature: str) -> None:
    """Draw a feature: wells as points, median as a line, and mean ± 3 SD of controls, between which Z′ looks."""
    import numpy as np

    values = plate.wells.feature(feature)
    negative, positive = plate.wells.wells_of("neg"), plate.wells.wells_of("pos")
    groups = (("neg", negative, NEGATIVE, "s"), ("samples", ~(negative | positive), SAMPLE, "o"),
              ("pos", positive, POSITIVE, "^"))  # fmt: skip
    labels = []
    for place, (name, chosen, colour, marker) in enumerate(groups):
        there = values[chosen & ~np.isnan(values)]
        labels.append(f"{name}\n{there.size} of {int(chosen.sum())}")
        if not there.size:
            continue
        # Spread by the golden ratio: even, and the same in each run.
        spread = (np.arange(there.size) * _GOLDEN) % 1 - 0.5
        axes.scatter(place + 0.5 * spread, there, s=15, marker=marker, color=colour, alpha=0.75, lw=0)
        axes.hlines(float(np.median(there)), place - 0.36, place + 0.36, color=INK, lw=1.6, zorder=1)
        if name != "samples" and there.size > 1:
            mean, reach = float(there.mean()), 3 * float(there.std(ddof=1))
            axes.vlines(place + 0.4, mean - reach, mean + reach, color=colour, lw=1.4)
            axes.hlines([mean - reach, mean + reach], place + 0.35, place + 0.45, color=colour, lw=1.4)
    offset_beside(axes)
    axes.set_xlim(-0.6, 2.6)
    axes.set_xticks(range(3), labels)
    quality = number(plate.quality_of(feature).get("z_prime"))
    found = f"Z′ = {quality:.2f}".replace("-", "−") if np.isfinite(quality) else "no Z′"
    axes.set_title(f"{shorten(feature, 42)}\n{found}", loc="left")
