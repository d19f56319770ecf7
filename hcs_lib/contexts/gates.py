"""What the gate of a plate found, `gate.json`: whether the plate goes on, or waits for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from hcs_lib.contexts.manifests import GATE, PlatePlan
from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, update_atomic
from hcs_lib.core.frozen import Frozen

_SHOWN = 5
"""How many flagged sites a reason names."""


class FlaggedSite(Frozen):
    """A site whose flags count at the gate, with the channels of each flag."""

    well: str
    site: int | str
    flags: str


class GateFound(Frozen):
    """What the gate found.

    It says nothing of an approval, so that what follows depends on the images alone: `passed` is true where a person
    let the flagged sites pass, too. `sites` were measured, and the share `max_flagged` of them may be flagged.
    """

    schema_version: Literal[1] = 1
    plate: str
    sites: int
    flagged: tuple[FlaggedSite, ...]
    max_flagged: float
    passed: bool

    @property
    def count(self) -> str:
        """How many sites are flagged, and how many may be."""
        share = len(self.flagged) / self.sites if self.sites else 0.0
        return f"{len(self.flagged)} of {self.sites} sites flagged ({share:.0%}), {self.max_flagged:.0%} allowed"

    def save(self, folder: Path) -> None:
        """Write `gate.json` to a plate's results, as canonical JSON, and only where it differs."""
        update_atomic(folder / GATE, canonical_json(self.model_dump(mode="json")))

    @classmethod
    def load(cls, folder: Path) -> GateFound | None:
        """Read `gate.json` of a plate's results; None where the gate has not judged them."""
        path = folder / GATE
        if not path.is_file():
            return None
        try:
            return cls.model_validate(read_json(path, "What the gate found (`hcs gate` writes it)"))
        except ValidationError as error:
            told = f"This is not what a gate found: {str(error).splitlines()[0]}."
            raise UserError(Problem(str(path), told, f"Run `hcs gate {folder}`.")) from None


class Waiting(Frozen):
    """Why a plate is held up, as at its gate, and what lets it go on."""

    plate: str
    reason: str
    command: str


def waits_at_gate(folder: Path, plan: PlatePlan) -> Waiting | None:
    """Return why a plate waits at its gate; None where it has none, or went through.

    What lies in the plate's results beyond the gate is then of an earlier run.

    Parameters
    ----------
    folder, plan
        The plate's results, `results/{plate}`, and its plan.
    """
    found = GateFound.load(folder) if plan.gate is not None else None
    if plan.gate is None or (found is not None and found.passed):
        return None
    if found is None:
        return Waiting(plate=plan.plate, reason="the gate has not judged the plate", command=f"hcs gate {folder}")
    sites = [f"{site.well} site {site.site}: {site.flags}" for site in found.flagged]
    more = f"; and {len(sites) - _SHOWN} more" if len(sites) > _SHOWN else ""
    return Waiting(
        plate=plan.plate,
        reason=f"stopped at the gate: {found.count} ({'; '.join(sites[:_SHOWN])}{more})",
        command=f'hcs gate {folder} --approve "REASON"',
    )
