"""The verdict: whether more wells failed than allowed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.errors import Problem, UserError


@dataclass(frozen=True, slots=True)
class Verdict:
    """Failed wells against what is allowed.

    `failures` are the rows of `failures.csv`; `failed` counts the wells among them that count (wells left
    out by the user's own policy do not).
    """

    plate: str
    wells: int
    failed: int
    allowed: int
    failures: tuple[dict[str, str], ...]

    @property
    def passed(self) -> bool:
        """Whether no more wells failed than allowed."""
        return self.failed <= self.allowed


def verdict(folder: Path) -> Verdict:
    """Judge a collected plate.

    Raises
    ------
    UserError
        Where the plate was not collected.
    """
    plan = PlatePlan.load(folder / "plan.json")
    path = folder / "tables" / "failures.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            failures = tuple(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(Problem(str(path), "the plate was not collected.", "Run `hcs collect` first.")) from None
    failed = len({row["well"] for row in failures if row["counts"] == "yes"})
    return Verdict(plan.plate, len(plan.wells), failed, plan.allowed_failures, failures)
