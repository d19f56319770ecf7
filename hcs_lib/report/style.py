"""How pictures look, and how they are saved: colours for the colour-blind, the same bytes from the same tables."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.core.files import write_atomic

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

    Grid = np.ndarray[Any, Any]

COLOUR_MAP = "viridis"

# Okabe and Ito, Color Universal Design, 2008.
NEGATIVE = "#0072B2"
POSITIVE = "#D55E00"
SAMPLE = "#7F7F7F"
FLAG = "#E69F00"

FAILED = "#9A9A9A"
NO_VALUE = "#DDDDDD"
EDGE = "#C8C8C8"
INK = "#222222"

DPI = 110


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with matplotlib's own defaults and ours: no settings of the user, no formulas in names."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings(), _all_kept():
        # A name in a script that the font lacks is drawn as boxes; the pages show it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "text.parse_math": False,
                "svg.hashsalt": "hcs",
                "svg.fonttype": "none",
                "font.family": "sans-serif",
                "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
                "font.size": 9,
                "axes.titlesize": 10,
                # Where it does not have to make way for ticks, which takes long: above all panels there is room.
                "axes.titley": 1.0,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.edgecolor": INK,
                "text.color": INK,
                "axes.labelcolor": INK,
                "xtick.color": INK,
                "ytick.color": INK,
                "legend.frameon": False,
                "legend.fontsize": 8.5,
                "figure.dpi": DPI,
                "hatch.linewidth": 0.6,
            }
        )
        yield


@contextmanager
def _all_kept() -> Iterator[None]:
    """Look for no garbage meanwhile: of the thousands of parts of a picture none is, and looking takes a tenth."""
    import gc

    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Room(NamedTuple):
    """Inches around a panel, for its title, ticks and labels; or around all panels."""

    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0


NO_ROOM = Room()


def panels(
    down: int, across: int, size: tuple[float, float], room: Room, margin: Room = NO_ROOM, *, sharey: bool = False
) -> tuple[Figure, Grid]:
    """Return a figure and its axes, an array of shape (down, across): each of one size, with room around it.

    The places follow from these inches. matplotlib's layout engines measure every label to find them, which takes
    longer than all the drawing.

    Parameters
    ----------
    down, across
        How many panels.
    size
        Width and height of the inside of each, in inches.
    room, margin
        Around each panel; around all of them.
    sharey
        Whether all have one vertical scale, whose ticks stand at the first column alone.
    """
    width, height = size
    whole_width = margin.left + across * (room.left + width + room.right) + margin.right
    whole_height = margin.bottom + down * (room.bottom + height + room.top) + margin.top
    figure = new_figure(whole_width, whole_height)
    grid: Grid = figure.subplots(
        down,
        across,
        squeeze=False,
        sharey=sharey,
        gridspec_kw={
            "left": (margin.left + room.left) / whole_width,
            "right": 1 - (margin.right + room.right) / whole_width,
            "bottom": (margin.bottom + room.bottom) / whole_height,
            "top": 1 - (margin.top + room.top) / whole_height,
            "wspace": (room.left + room.right) / width,
            "hspace": (room.top + room.bottom) / height,
        },
    )
    return figure, grid


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def offset_beside(axes: Axes) -> None:
    """Write the power of ten of the vertical scale, where there is one, above its labels and not into the title."""
    axes.yaxis.get_offset_text().set(x=-0.02, ha="right")


def say(text: str) -> Figure:
    """Return a picture that says in a line why there is nothing to see."""
    figure = new_figure(7, 0.9)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=INK)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a picture, SVG or PNG by its suffix; no date, no version: the same picture has the same bytes."""
    data = io.BytesIO()
    if path.suffix == ".svg":
        figure.savefig(data, format="svg", metadata={"Date": None})
    else:
        _drawn(figure).save(data, format="PNG")
    write_atomic(path, data.getvalue())


def save_photograph(figure: Figure, path: Path) -> None:
    """Write a picture that shows images as a PNG of 256 colours: a quarter of the size, and nobody sees it."""
    from PIL import Image

    data = io.BytesIO()
    # What a camera sees hardly compresses: more effort takes three times as long, for 4 % of the size.
    _drawn(figure).quantize(256, dither=Image.Dither.NONE).save(data, format="PNG", compress_level=3)
    write_atomic(path, data.getvalue())


def _drawn(figure: Figure) -> Image:
    """Draw, and return the pixels as RGB."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)  # its methods are not typed
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def shorten(text: str, length: int) -> str:
    """Return a name that fits: its end, which tells features apart, is kept."""
    return text if len(text) <= length else f"{text[: length // 3]}…{text[-(length - length // 3 - 1) :]}"
