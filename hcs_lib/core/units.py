"""Lengths and areas with units, turned into pixels: `8 um`, `2 px`, `30 um2`."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any, NamedTuple

Pixels = float
"""Annotation of a parameter that is a length in pixels, 0 or more: pipelines may give it as `8 um`."""

SquarePixels = float
"""Annotation of a parameter that is an area in pixels, 0 or more: pipelines may give it as `30 um2`."""

Fraction = float
"""Annotation of a parameter that is a part of a whole, from 0 to 1."""

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]+)\s*(?:\^|\*\*)?\s*([²\d]*)\s*")


class Quantity(NamedTuple):
    """A number with a unit and the unit's power: `30 um2` is (30.0, "um", 2)."""

    value: float
    unit: str
    power: int

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}{self.power if self.power != 1 else ''}"


def parse_quantity(text: str) -> Quantity | None:
    """Read a number that a unit follows; None where the text is nothing of the kind."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    power = match[3].replace("²", "2") or "1"
    return Quantity(float(match[1]), match[2], int(power)) if len(power) == 1 else None


def to_pixels(quantity: Quantity, pixel_size_um: float | None) -> float:
    """Convert a length into pixels, an area into square pixels.

    Parameters
    ----------
    quantity
        In pixels (`px`, `pixel`) or a metric length (`nm`, `um`, `mm`, …), of power 1 or 2.
    pixel_size_um
        Side of a pixel in micrometres; None where the plate does not tell.

    Raises
    ------
    ValueError
        Where the unit is neither a length nor an area, or the pixel size is needed and unknown.
    """
    if not math.isfinite(quantity.value):
        raise ValueError(f"'{quantity}' is no finite number")
    if quantity.power not in (1, 2):
        raise ValueError(f"'{quantity}' is neither a length nor an area; expected such as '8 um', '2 px' or '30 um2'")
    if quantity.unit in ("px", "pixel", "pixels"):
        return quantity.value
    micrometres = _in_micrometres(quantity.unit)
    if micrometres is None:
        raise ValueError(f"the unit of '{quantity}' is no length; expected px, nm, um or mm (or px2, um2 for an area)")
    if pixel_size_um is None:
        raise ValueError(
            f"'{quantity}' cannot be converted to pixels, because the plate's pixel size is unknown: "
            "write it into the column `pixel_size_um` of the table of plates"
        )
    return float(quantity.value * (micrometres / pixel_size_um) ** quantity.power)


@cache
def _in_micrometres(unit: str) -> float | None:
    import pint  # half a CPU second: only pipelines with physical units pay for it

    try:
        return float(_registry().Quantity(1, unit).to("um").magnitude)
    except (pint.UndefinedUnitError, pint.DimensionalityError):
        return None


@cache
def _registry() -> Any:
    import pint

    units = pint.UnitRegistry(None)
    for definition in (
        "nano- = 1e-9 = n-",
        "micro- = 1e-6 = u- = µ- = μ-",
        "milli- = 1e-3 = m-",
        "centi- = 1e-2 = c-",
        "meter = [length] = m = metre",
        "micron = 1e-6 * meter",
    ):
        units.define(definition)
    return units
