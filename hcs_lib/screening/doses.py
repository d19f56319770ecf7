"""Doses: numbers in one unit per compound, from the text of the platemap."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_UNIT = re.compile(r"[^\W\d_]+(/[^\W\d_]+)?|%")
"""`nM`, `ug/ml`, `%`: pint would evaluate any arithmetic."""


@dataclass(frozen=True, slots=True)
class Doses:
    """Doses of the wells of one compound.

    Attributes
    ----------
    values
        One per well: 0 for vehicle, a positive number, or NaN where there is no usable dose (none, no number,
        negative, not finite, or in a unit that cannot be converted).
    unit
        The unit of all values: that of the first well with a dose above zero.
    problem
        Why there are no doses to compare, empty where there are: `units … cannot be converted`.
    """

    values: tuple[float, ...]
    unit: str
    problem: str = ""


def read_doses(texts: Sequence[str], units: Sequence[str]) -> Doses:
    """Read the doses of one compound's wells, and bring them to one unit where they have several.

    Parameters
    ----------
    texts, units
        Cells of the platemap's columns `dose` and `unit`, one of each per well. The unit of a dose of zero
        does not matter.

    Notes
    -----
    Units that are spelled alike are never interpreted, so that any text may be one. Units that differ are
    converted by pint, and all are refused where one cannot be.
    """
    numbers = [_number(text) for text in texts]
    given = [unit for number, unit in zip(numbers, units, strict=True) if number > 0]
    if not given:
        return Doses(tuple(numbers), next(iter(units), ""))
    target = given[0]
    factors = {unit: _factor(unit, target) for unit in dict.fromkeys(given)}
    if None in factors.values():
        named = ", ".join(unit or "none" for unit in factors)
        values = tuple(0.0 if number == 0 else math.nan for number in numbers)
        return Doses(values, target, f"units {named} cannot be converted")
    return Doses(
        tuple(
            # Six digits: what was converted must equal what was written in the other unit.
            float(f"{number * (factors[unit] or 1):.6g}") if number > 0 and unit != target else number
            for number, unit in zip(numbers, units, strict=True)
        ),
        target,
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value >= 0 else math.nan


@cache
def _factor(unit: str, target: str) -> float | None:
    """Return by what a number in `unit` is multiplied to be in `target`; None where that has no meaning."""
    if unit == target:
        return 1.0
    if not (_UNIT.fullmatch(unit) and _UNIT.fullmatch(target)):
        return None
    import pint  # half a CPU second: only platemaps that mix units pay for it

    try:
        factor = float(_registry().Quantity(1, unit).to(target).magnitude)
    except (pint.PintError, ArithmeticError, ValueError, TypeError):
        return None
    return factor if math.isfinite(factor) and factor > 0 else None


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()
