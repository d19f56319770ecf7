"""Hits: treatments whose replicates agree that a score is far from no effect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hcs_lib.screening.doses import read_doses

HIT_COLUMNS = (
    "plate", "well", "compound", "dose", "unit", "control", "feature", "method", "score", "beyond",
    "replicates_beyond", "replicates", "wells", "hit",
)  # fmt: skip
"""`beyond`: whether the well's own score passes the threshold. Of the `wells` of a treatment, `replicates` have a
score, and `replicates_beyond` of these pass it to the same side. `hit` is empty where the rule cannot be applied:
a control, or fewer replicates than it asks for."""


@dataclass(frozen=True, slots=True)
class HitRule:
    """When a treatment is a hit.

    Attributes
    ----------
    feature
        The feature whose score counts.
    threshold
        How far from no effect a score must be, in units of the score: robust standard deviations, or percent.
    direction
        Above no effect, below, or either; with `both`, replicates must go the same way.
    min_replicates
        How many replicates must pass the threshold.
    """

    feature: str
    threshold: float
    direction: Literal["up", "down", "both"] = "both"
    min_replicates: int = 1


@dataclass(frozen=True, slots=True)
class ScoredWell:
    """A well as hits are called: what is in it, in the words of the platemap, and its score (NaN: none)."""

    plate: str
    well: str
    compound: str
    dose: str
    unit: str
    control: str
    score: float

    @classmethod
    def of(cls, cells: Mapping[str, str], score: float) -> ScoredWell:
        """Make one of the cells of a table, by column; what the platemap does not say is empty."""
        known = {name: cells.get(name, "") for name in ("compound", "dose", "unit", "control")}
        return cls(plate=cells["plate"], well=cells["well"], score=score, **known)


def call_hits(wells: Sequence[ScoredWell], rule: HitRule, method: str, no_effect: float) -> list[dict[str, Any]]:
    """Apply a rule to the wells of one plate, or of several.

    Replicates are wells with the same compound at the same dose, converted where units differ. A well without a
    compound is a treatment of its own; so is one whose dose is missing where other wells of its compound have one.
    Controls are scored, and are no replicates of anything.

    Parameters
    ----------
    wells
        All wells, each with a score of the rule's feature.
    rule, method, no_effect
        The rule; how scores were normalised; the score of a well without effect.

    Returns
    -------
    list
        One row with `HIT_COLUMNS` per well: hits first, the farthest from no effect on top, then the others in
        their order.
    """
    keys = _treatments(wells)
    side = [_side(well.score - no_effect, rule) for well in wells]
    groups: dict[Any, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    rows = []
    for index, (well, key) in enumerate(zip(wells, keys, strict=True)):
        group = groups[key]
        scored = sum(not math.isnan(wells[other].score) for other in group)
        beyond = max(sum(side[other] == way for other in group) for way in (-1, 1))
        undecided = bool(well.control) or scored < rule.min_replicates
        rows.append(
            {
                "plate": well.plate, "well": well.well, "compound": well.compound, "dose": well.dose,
                "unit": well.unit, "control": well.control, "feature": rule.feature, "method": method,
                "score": well.score, "beyond": "" if math.isnan(well.score) else _yes(side[index] != 0),
                "replicates_beyond": beyond, "replicates": scored, "wells": len(group),
                "hit": "" if undecided else _yes(beyond >= rule.min_replicates),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: _rank(row, no_effect))


def _treatments(wells: Sequence[ScoredWell]) -> list[Any]:
    """Return a key per well, the same for replicates."""
    keys: list[Any] = [(well.plate, well.well) for well in wells]
    by_compound: dict[str, list[int]] = {}
    for index, well in enumerate(wells):
        if well.compound and not well.control:
            by_compound.setdefault(well.compound, []).append(index)
    for compound, indices in by_compound.items():
        doses = read_doses([wells[index].dose for index in indices], [wells[index].unit for index in indices])
        known = not all(map(math.isnan, doses.values))
        for index, value in zip(indices, doses.values, strict=True):
            well = wells[index]
            if math.isnan(value) and not well.dose and known:
                continue  # Its dose is missing where others have one: no replicate of anything.
            # What cannot be compared as a number is the same dose where it is spelled alike.
            dose: Any = (well.dose, well.unit) if math.isnan(value) else value
            keys[index] = (compound, dose, None)
    return keys


def _side(effect: float, rule: HitRule) -> int:
    """Return 1 above the threshold, -1 below it, 0 between or on a side that does not count."""
    if effect >= rule.threshold and rule.direction != "down":
        return 1
    return -1 if -effect >= rule.threshold and rule.direction != "up" else 0


def _rank(row: dict[str, Any], no_effect: float) -> tuple[bool, float]:
    """Hits first, by effect; a sort by this keeps the order of all others."""
    if row["hit"] != "yes":
        return True, 0.0
    return False, math.inf if math.isnan(row["score"]) else -abs(row["score"] - no_effect)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def count_hits(rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Return how many wells are hits, out of how many that the rule could judge."""
    judged = [row["hit"] for row in rows if row["hit"]]
    return judged.count("yes"), len(judged)
