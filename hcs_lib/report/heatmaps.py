"""Plate heat maps: one square per well, controls marked, wells without a value told apart by why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.core.addresses import geometry_of, parse_well, row_name
from hcs_lib.report.style import COLOUR_MAP, EDGE, FAILED, INK, NO_VALUE, Room, panels, say, shorten
from hcs_lib.report.tables import Plate

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, np.dtype[np.float64]]


_ROOM = Room(left=0.35, right=0.2, top=0.75, bottom=0.55)
"""Around a plate: row names; title and column numbers; a legend of two lines."""


class Scale(NamedTuple):
    """What the colours stand for, and whether values lie beyond either end."""

    low: float
    high: float
    extend: str


def scale_of(values: Array) -> Scale | None:
    """Return the scale of a feature, over all wells that are compared; None where no well has a value.

    From the least to the greatest value, but no further than three interquartile ranges beyond the quartiles (Tukey's
    outer fences): one artefact must not take the contrast from all other wells. The colour bar ends in an arrow
    where values lie beyond.
    """
    import numpy as np

    values = values[np.isfinite(values)]
    if not values.size:
        return None
    least, greatest = float(values.min()), float(values.max())
    first, third = np.percentile(values, (25, 75)).tolist()
    reach = 3 * (third - first)
    low, high = (max(least, first - reach), min(greatest, third + reach)) if reach else (least, greatest)
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[low > least, high < greatest]
    if low == high:
        margin = abs(low) / 100 or 1.0
        low, high = low - margin, high + margin
    return Scale(low, high, extend)


def plate_heatmaps(plate: Plate, features: Sequence[str]) -> Figure:
    """Draw one heat map per feature, each on its own scale."""
    if not features:
        return say("There is no feature to show: no well has measured objects.")
    rows, columns = geometry_of(plate.plan.imaged)
    across = min(len(features), 2)
    down = -(-len(features) // across)
    room = _ROOM._replace(right=0.85)
    figure, grid = panels(down, across, _size(5.9 if across == 2 else 7.4, rows, columns), room)
    for axes, feature in zip(grid.flat, [*features, *[None] * (grid.size - len(features))], strict=True):
        if feature is None:
            axes.set_axis_off()
            continue
        values = plate.wells.feature(feature)
        scale = scale_of(values)
        image = draw_heatmap(axes, plate, values, scale)
        _title(axes, shorten(feature, 60), values)
        if scale is not None:
            bar = figure.colorbar(image, cax=axes.inset_axes((1.02, 0.1, 0.025, 0.8)), extend=scale.extend)
            bar.ax.yaxis.get_offset_text().set(x=0, ha="left")  # its power of ten, beside the plate
    return figure


def compare_plates(plates: Sequence[Plate], features: Sequence[str], limit: int = 20) -> Figure:
    """Draw plates below one another, features beside one another; each feature on one scale for all plates."""
    import numpy as np

    features = [feature for feature in features if all(feature in plate.wells.features for plate in plates)][:3]
    if not features:
        return say("The plates have no feature in common.")
    shown = plates[:limit]
    rows, columns = geometry_of([well for plate in shown for well in plate.plan.imaged])
    # Beside one another without a gap, titles and ticks stay apart.
    size = _size(5.4, rows, columns)
    figure, grid = panels(len(shown), len(features), size, _ROOM, Room(top=0.25, bottom=0.6))
    if len(shown) < len(plates):
        told = f"{len(shown)} of {len(plates)} plates are shown; the scales are those of all."
        figure.suptitle(told, ha="left", x=0.01, y=1 - 0.1 / figure.get_figheight(), va="top")
    for feature, column in zip(features, grid.T, strict=True):
        scale = scale_of(np.concatenate([plate.wells.feature(feature) for plate in plates]))
        for plate, axes in zip(shown, column, strict=True):
            values = plate.wells.feature(feature)
            image = draw_heatmap(axes, plate, values, scale)
            _title(axes, f"{plate.name}: {shorten(feature, 44)}", values)
        if scale is not None:
            bar = column[-1].inset_axes((0.1, -(_ROOM.bottom + 0.14) / size[1], 0.8, 0.14 / size[1]))
            figure.colorbar(image, cax=bar, extend=scale.extend, orientation="horizontal")
    return figure


def draw_heatmap(axes: Axes, plate: Plate, values: Array, scale: Scale | None) -> Any:
    """Draw the wells of a plate in its full geometry; return the image, for a colour bar.

    Wells with a value are coloured. Without one: hatched with a cross where the well failed, hatched where it was
    skipped, light grey where it is done and nothing was measured, an empty frame where there are no images.
    """
    import numpy as np
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle

    rows, columns = geometry_of(plate.plan.imaged)
    grid = np.full((rows, columns), np.nan)
    places = [parse_well(well) for well in plate.wells.column("well")]
    statuses = plate.wells.column("status")
    for well, value in zip(places, values, strict=True):
        grid[well] = value
    low, high = (scale.low, scale.high) if scale else (0.0, 1.0)
    image = axes.imshow(np.ma.masked_invalid(grid), cmap=COLOUR_MAP, vmin=low, vmax=high, interpolation="nearest")

    imaged = set(places)
    for row in range(rows):
        for column in range(columns):
            if (row, column) not in imaged:
                axes.add_patch(Rectangle((column - 0.4, row - 0.4), 0.8, 0.8, fill=False, ec=EDGE, lw=0.5))
    for well, status, value in zip(places, statuses, values, strict=True):
        if np.isnan(value):
            done = status == "done"
            look: dict[str, Any] = {"fc": NO_VALUE, "ec": "none"} if done else {"fc": "white", "ec": FAILED}
            hatch = None if done else "//////"
            axes.add_patch(Rectangle((well.column - 0.45, well.row - 0.45), 0.9, 0.9, hatch=hatch, lw=0.6, **look))

    dark = [not np.isnan(value) and (value - low) / (high - low) < 0.6 for value in values]
    failed = [status == "failed" for status in statuses]
    size = (200 / columns) ** 2 / 4
    handles: list[Any] = []
    for name, marker, chosen in (
        ("negative control", "_", plate.wells.wells_of("neg")),
        ("positive control", "+", plate.wells.wells_of("pos")),
        ("failed", "x", failed),
    ):
        marked = [(well, INK if fails or not on_dark else "white")
                  for well, on_dark, fails, take in zip(places, dark, failed, chosen, strict=True) if take]  # fmt: skip
        axes.scatter(
            [well.column for well, _ in marked], [well.row for well, _ in marked],
            s=size, marker=marker, c=[colour for _, colour in marked], linewidths=1.1,
        )  # fmt: skip
        handles.append(Line2D([], [], ls="", marker=marker, c=INK, ms=6, label=f"{name} ({len(marked)})"))
    looks: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("skipped", plate.statuses["skipped"], {"fc": "white", "ec": FAILED, "hatch": "//////"}),
        ("no value", _without_value(plate, values), {"fc": NO_VALUE, "ec": "none"}),
        ("no images", rows * columns - len(places), {"fc": "white", "ec": EDGE}),
    )
    for name, count, look in looks:
        if count:
            handles.append(Patch(label=f"{name} ({count})", **look))

    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    name_wells(axes, rows, columns, size=7 if columns <= 24 else 4.5)
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 0), ncols=3, columnspacing=1, handletextpad=0.3)
    return image


def name_wells(axes: Axes, rows: int, columns: int, size: float) -> None:
    """Write the names of columns above a plate and those of rows beside it, `size` points high.

    As texts: 40 ticks of an axis take ten times as long.
    """
    axes.set_axis_off()
    for column in range(columns):
        axes.annotate(str(column + 1), (column, 1), (0, 3), ("data", "axes fraction"), "offset points",
                      ha="center", va="bottom", fontsize=size)  # fmt: skip
    for row in range(rows):
        axes.annotate(row_name(row), (0, row), (-3, 0), ("axes fraction", "data"), "offset points",
                      ha="right", va="center_baseline", fontsize=size)  # fmt: skip


def _size(width: float, rows: int, columns: int) -> tuple[float, float]:
    """Return width and height of a panel in inches: square wells."""
    return width, width * rows / columns


def _without_value(plate: Plate, values: Array) -> int:
    import numpy as np

    done = np.array([status == "done" for status in plate.wells.column("status")], dtype=bool)
    return int((done & np.isnan(values)).sum())


def _title(axes: Axes, name: str, values: Array) -> None:
    import numpy as np

    axes.set_title(f"{name}\n{int(np.isfinite(values).sum())} of {len(values)} wells", loc="left", pad=17)
