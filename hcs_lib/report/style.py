"""How pictures look, and how they are saved: colours for the colour-blind, the same bytes from the same tables."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.core.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    with mpl.rc_context(), warnings.catch_warnings():
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


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Titles above ticks are placed after the layout: the padding keeps them within the picture.
    layout = ConstrainedLayoutEngine(h_pad=0.14, w_pad=0.08)
    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def say(text: str) -> Figure:
    """Return a picture that says in a line why there is nothing to see."""
    figure = new_figure(7, 0.9)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=INK)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a picture, SVG or PNG by its suffix; no date, no version: the same picture has the same bytes."""
    data = io.BytesIO()
    kind = path.suffix[1:]
    figure.savefig(data, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    write_atomic(path, data.getvalue())


def save_photograph(figure: Figure, path: Path) -> None:
    """Write a picture that shows images as a PNG of 256 colours: a quarter of the size, and nobody sees it."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    data = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(data, format="PNG")
    write_atomic(path, data.getvalue())


def shorten(text: str, length: int) -> str:
    """Return a name that fits: its end, which tells features apart, is kept."""
    return text if len(text) <= length else f"{text[: length // 3]}…{text[-(length - length // 3 - 1) :]}"
