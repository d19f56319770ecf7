"""The gate: whether a plate's images are good enough to go on with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hcs_lib.contexts.gates import FlaggedSite, GateFound
from hcs_lib.contexts.manifests import APPROVALS, PlatePlan
from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, write_json
from hcs_lib.screening.sites import measured_quality
from hcs_lib.screening.wells import load_results


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate says of a plate.

    Attributes
    ----------
    found
        The sites whose flags count, and whether the plate goes on.
    digest
        Of the flagged sites and their flags: what an approval is for.
    approval
        Who let just these sites pass: `by`, `at`, `reason`; None where nobody did, and where nobody needs to.
    """

    found: GateFound
    digest: str
    approval: dict[str, str] | None


def judge(folder: Path) -> GateVerdict:
    """Judge a plate by its image quality, and write what was found to `gate.json`.

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
    counted = quality.only(plan.gate.flags)
    flagged = tuple(
        FlaggedSite(well=well, site=site, flags=counted.reasons((well, site)))
        for well, site in quality.sites
        if (well, site) in counted.flags
    )
    key = digest([site.model_dump() for site in flagged])
    within = len(flagged) <= plan.gate.max_flagged * len(quality.sites)
    approval = None if within else _approval(folder, key)
    found = GateFound(
        plate=plan.plate,
        sites=len(quality.sites),
        flagged=flagged,
        max_flagged=plan.gate.max_flagged,
        passed=within or approval is not None,
    )
    found.save(folder)
    return GateVerdict(found, key, approval)


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
    entry = {"digest": verdict.digest, "flagged": len(verdict.found.flagged), "by": by, "at": at}
    write_json(folder / APPROVALS, [*_approvals(folder), entry | {"reason": reason.strip()}])
    return judge(folder)


def _approvals(folder: Path) -> list[dict[str, Any]]:
    path = folder / APPROVALS
    found = read_json(path, "Approvals of the gate") if path.exists() else []
    if not isinstance(found, list) or not all(isinstance(item, dict) and "digest" in item for item in found):
        raise UserError(Problem(str(path), "These are no approvals.", "Remove the file and approve again."))
    return found


def _approval(folder: Path, found: str) -> dict[str, str] | None:
    last = next((item for item in reversed(_approvals(folder)) if item["digest"] == found), None)
    return {key: str(last.get(key, "")) for key in ("by", "at", "reason")} if last else None
