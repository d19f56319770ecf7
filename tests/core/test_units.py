import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.units import Quantity, parse_quantity, to_pixels


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("8 um", (8, "um", 1)),
        ("8um", (8, "um", 1)),
        (" 0.5 mm ", (0.5, "mm", 1)),
        ("-2 px", (-2, "px", 1)),
        ("30 um2", (30, "um", 2)),
        ("30 µm²", (30, "µm", 2)),
        ("30 um^2", (30, "um", 2)),
        ("30 um**2", (30, "um", 2)),
        ("1e3 nm", (1000, "nm", 1)),
    ],
)
def test_quantities(text: str, quantity: tuple[float, str, int]) -> None:
    assert parse_quantity(text) == quantity


@pytest.mark.parametrize("text", ["8", "um", "", "8 um 2 px", "eight um", "um 8", "otsu", "8 um22"])
def test_what_is_none(text: str) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "pixels"),
    [("8 um", 16), ("8 µm", 16), ("8 μm", 16), ("1 mm", 2000), ("500 nm", 1), ("1 micron", 2), ("2 px", 2),
     ("3 pixel", 3), ("30 um2", 120), ("30 px2", 30), ("1 cm", 20000)],
)  # fmt: skip
def test_conversion_at_half_a_micrometre_a_pixel(text: str, pixels: float) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    assert to_pixels(quantity, 0.5) == pytest.approx(pixels, rel=1e-12)


@given(st.floats(1e-3, 1e6), st.floats(1e-2, 100))
def test_areas_are_squares_of_lengths(value: float, pixel: float) -> None:
    length = to_pixels(Quantity(value, "um", 1), pixel)
    assert to_pixels(Quantity(value * value, "um", 2), pixel) == pytest.approx(length**2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8 s", "no length"),
        ("8 apples", "no length"),
        ("3 um3", "neither a length nor an area"),
        ("1e999 px", "finite"),
    ],
)
def test_units_that_cannot_be_converted(text: str, message: str) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    with pytest.raises(ValueError, match=message):
        to_pixels(quantity, 0.5)


def test_pixels_need_no_pixel_size_and_micrometres_do() -> None:
    assert to_pixels(Quantity(2, "px", 1), None) == 2
    with pytest.raises(ValueError, match="pixel size is unknown"):
        to_pixels(Quantity(2, "um", 1), None)


@given(st.text(max_size=12))
def test_any_text_is_converted_or_refused_in_words(text: str) -> None:
    quantity = parse_quantity(text)
    message = ""
    try:
        pixels = to_pixels(quantity, 0.65) if quantity else 0
    except ValueError as error:
        message = str(error)
    assert message or math.isfinite(pixels)
