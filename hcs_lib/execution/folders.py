"""Where execution finds and leaves things: the results of one plate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WellFolders:
    """Paths of one well in one stage, below the results of its plate, `results/{plate}`."""

    results: Path
    stage: str
    well: str

    @property
    def context(self) -> Path:
        """The frozen context, written by compile."""
        return self.results / "contexts" / self.stage / f"{self.well}.json"

    @property
    def receipt(self) -> Path:
        """Written last: the only proof that the well is finished."""
        return self.results / "receipts" / self.stage / f"{self.well}.json"

    @property
    def executed_context(self) -> Path:
        """Copy of the context that the receipt stands for: says later what changed."""
        return self.results / "receipts" / self.stage / "contexts" / f"{self.well}.json"

    @property
    def work(self) -> Path:
        """Temporary: journal, and outputs until they are swapped into place."""
        return self.results / "work" / self.stage / self.well
