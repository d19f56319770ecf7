"""The gate: whether a plate's images are good enough to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hcs_lib.contexts.manifests import APPROVALS, GATE, Gate, PlatePlan
from hcs_lib.core.canonical import canonical_json, digest
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, update_atomic, write_json
from hcs_lib.screening.sites import SiteQuality, measured_quality
from hcs_lib.screening.wells import load_results


@dataclass(frozen=True, slots=True)
class FlaggedSite:
    """A site whose flags count at the gate, with the channels of each flag."""

    well: str
    site: int
    reasons: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate says of a plate.

    Attributes
    ----------
    plate, gate
        The plate, and its gate.
    sites
        Number of sites that were measured.
    flagged
        Those whose flags count.
    digest
        Of the flagged sites and their flags: what an approval is for.
    approval
        Who let just these sites pass: `by`, `at`, `reason`; None where nobody did.
    """

    plate: str
    gate: Gate
    sites: int
    flagged: tuple[FlaggedSite, ...]
    digest: str
    approval: dict[str, str] | None

    @property
    def within(self) -> bool:
        """Whether no more sites are flagged than the configuration allows."""
        return len(self.flagged) <= self.gate.max_flagged * self.sites

    @property
    def passed(self) -> bool:
        """Whether the plate goes on."""
        return self.within or self.approval is not None


def judge(folder: Path) -> GateVerdict:
    """Judge a plate by its image quality; write `gate.json` where it passes, remove it where it does not.

    `gate.json` holds the flagged sites and what is allowed. It says nothing of an approval, so that what follows
    depends on the images alone.

    Parameters
    ----------
    folder
        The plate's results, `results/{plate}`.

    Raises
    ------
    UserError
        Where the plate has no gate, or image quality was not measured in all wells.
    """
    plan = PlatePlan.load(folder / "plan.json")
    if plan.gate is None:
        raise UserError(Problem(f"plate {plan.plate}", "There is no gate.", "Set qc_gate in the configuration."))
    results = load_results(folder, plan, until=plan.gate.stage)
    quality = measured_quality(folder, plan, results)
    flagged = tuple(_flagged(quality, plan.gate))
    rows = [{"well": site.well, "site": site.site, "flags": site.reasons} for site in flagged]
    found = digest(rows)
    verdict = GateVerdict(plan.plate, plan.gate, len(quality.sites), flagged, found, _approval(folder, found))
    if verdict.passed:
        value = {"plate": plan.plate, "sites": verdict.sites, "flagged": rows, "max_flagged": plan.gate.max_flagged}
        update_atomic(folder / GATE, canonical_json(value))
    else:
        (folder / GATE).unlink(missing_ok=True)
    return verdict


def approve(folder: Path, verdict: GateVerdict, *, by: str, reason: str) -> GateVerdict:
    """Let the flagged sites of a verdict pass, and judge again.

    The approval is kept in `approvals.json` beside the plan. It holds for these sites with these flags: where others
    are flagged after a rerun, the gate asks again.

    Raises
    ------
    UserError
        Where the reason is empty.
    """
    if not reason.strip():
        raise UserError("An approval needs a reason.")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"digest": verdict.digest, "flagged": len(verdict.flagged), "by": by, "at": at, "reason": reason.strip()}
    write_json(folder / APPROVALS, [*_approvals(folder), entry])
    return judge(folder)


def _flagged(quality: SiteQuality, gate: Gate) -> Sequence[FlaggedSite]:
    counted = quality.only(gate.flags)
    return [FlaggedSite(*site, counted.reasons(site)) for site in quality.sites if site in counted.flags]


def _approvals(folder: Path) -> list[dict[str, Any]]:
    path = folder / APPROVALS
    found = read_json(path, "Approvals of the gate") if path.exists() else []
    if not isinstance(found, list) or not all(isinstance(item, dict) and "digest" in item for item in found):
        raise UserError(Problem(str(path), "These are no approvals.", "Remove the file and approve again."))
    return found


def _approval(folder: Path, found: str) -> dict[str, str] | None:
    last = next((item for item in reversed(_approvals(folder)) if item["digest"] == found), None)
    return {key: str(last.get(key, "")) for key in ("by", "at", "reason")} if last else None
