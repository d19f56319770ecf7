"""The verdict: whether more wells failed than allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.storage.collected import read_csv


@dataclass(frozen=True, slots=True)
class Verdict:
    """Failed wells against what is allowed.

    `failures` are the rows of `failures.csv`; `failed` counts the wells among them that count. `left_out` are
    wells that the user's own policy for bad planes left out: they do not.
    """

    plate: str
    wells: int
    failed: int
    left_out: int
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
        header, rows = read_csv(path)
    except FileNotFoundError:
        raise UserError(Problem(str(path), "the plate was not collected.", "Run `hcs collect` first.")) from None
    failures = tuple(dict(zip(header, row, strict=True)) for row in rows)
    failed = len({row["well"] for row in failures if row["counts"] == "yes"})
    left_out = len({row["well"] for row in failures if row["kind"] == "skipped"})
    return Verdict(plan.plate, len(plan.wells), failed, left_out, plan.allowed_failures, failures)
