"""Heat maps: the colours of wells, read back from the drawn pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.figure import Figure

from hcs_lib.report.heatmaps import compare_plates, draw_heatmap, plate_heatmaps, scale_of
from hcs_lib.report.style import drawing, new_figure
from hcs_lib.report.tables import load_plate

WELLS = [
    {"well": "A01", "control": "neg", "x": 0.0},
    {"well": "A02", "x": 5.0},
    {"well": "A03", "control": "pos", "x": 10.0},
    {"well": "B01", "status": "failed", "reason": "bad"},
    {"well": "B02"},
]


def pixel(figure: Figure, axes: object, column: float, row: float) -> tuple[int, int, int]:
    """Return the colour that was drawn at a place of the plate, in wells."""
    buffer = np.asarray(figure.canvas.buffer_rgba())
    x, y = axes.transData.transform((column, row))
    return tuple(int(value) for value in buffer[buffer.shape[0] - 1 - int(y), int(x), :3])


def colour(place: float) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in colormaps["viridis"](place)[:3])


def drawn(folder: Path) -> tuple[Figure, object]:
    plate = load_plate(folder)
    with drawing():
        figure = new_figure(6, 5)
        axes = figure.subplots()
        values = plate.wells.feature("x")
        draw_heatmap(axes, plate, values, scale_of(values))
        figure.canvas.draw()
    return figure, axes


def test_wells_have_the_colour_of_their_value(write: Callable[..., Path]) -> None:
    figure, axes = drawn(write(WELLS))
    for column, value in ((0, 0.0), (1, 0.5), (2, 1.0)):
        # Beside the middle, where controls have their marks.
        np.testing.assert_allclose(pixel(figure, axes, column + 0.35, 0.35), colour(value), atol=2)


def test_wells_without_a_value_look_like_no_value(write: Callable[..., Path]) -> None:
    figure, axes = drawn(write(WELLS))
    assert pixel(figure, axes, 1.2, 1.2) == (0xDD, 0xDD, 0xDD), "done, without a value"
    assert pixel(figure, axes, 2.2, 1.2) == (255, 255, 255), "without images"
    hatched = {pixel(figure, axes, x, y) for x in np.linspace(-0.4, 0.4, 60) for y in np.linspace(0.6, 1.4, 60)}
    assert (255, 255, 255) in hatched
    corner = {pixel(figure, axes, x, y) for x in np.linspace(-0.42, -0.3, 20) for y in np.linspace(0.58, 0.7, 20)}
    assert any(red < 0xF0 for red, *_ in corner), "failed: hatched"
    assert (0x22, 0x22, 0x22) in hatched, "failed: crossed"


def test_legend_counts_each_kind(write: Callable[..., Path]) -> None:
    _, axes = drawn(write(WELLS))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "negative control (1)", "positive control (1)", "failed (1)", "no value (1)", "no images (1)",
    ]  # fmt: skip


def test_plates_that_are_compared_have_one_scale(write: Callable[..., Path]) -> None:
    one = load_plate(write([{"well": "A01", "x": 0.0}, {"well": "A02", "x": 1.0}], "one"))
    two = load_plate(write([{"well": "A01", "x": 3.0}, {"well": "A02", "x": 4.0}], "two"))
    with drawing():
        figure = compare_plates([one, two], ["x"])
    limits = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
    assert limits == [(0.0, 4.0), (0.0, 4.0)]


def test_one_artefact_does_not_take_the_contrast() -> None:
    scale = scale_of(np.array([*np.arange(20.0), 1e6]))
    assert scale is not None
    assert scale.low == 0
    assert scale.high == 15 + 3 * 10
    assert scale.extend == "max"


def test_scale_of_nothing_and_of_a_constant() -> None:
    assert scale_of(np.full(3, np.nan)) is None
    scale = scale_of(np.full(3, 7.0))
    assert scale is not None
    assert (scale.low, scale.high) == pytest.approx((6.93, 7.07))


@given(st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), min_size=1, max_size=50))
def test_scale_holds_the_middle_half_and_has_a_width(values: list[float]) -> None:
    array = np.array(values)
    scale = scale_of(array)
    there = array[~np.isnan(array)]
    if scale is None:
        assert not there.size
        return
    assert scale.low < scale.high
    first, third = np.percentile(there, (25, 75))
    assert scale.low <= first + 1e-6 * abs(first)
    assert third <= scale.high + 1e-6 * abs(third)


@pytest.mark.parametrize("wells", [["A01"], ["H12"], ["P24"], ["AF48"]])
def test_every_common_plate_is_drawn_whole(write: Callable[..., Path], wells: list[str]) -> None:
    plate = load_plate(write([{"well": well, "x": 1.0} for well in wells]))
    with drawing():
        figure = plate_heatmaps(plate, ["x"])
    rows, columns = {"A01": (2, 3), "H12": (8, 12), "P24": (16, 24), "AF48": (32, 48)}[wells[0]]
    assert figure.axes[0].images[0].get_array().shape == (rows, columns)
