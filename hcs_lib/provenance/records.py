"""The records of a plate (plan, manifests, contexts, receipts): read, and held against each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.gates import waits_at_gate
from hcs_lib.contexts.manifests import GATE, Manifest, PlatePlan
from hcs_lib.contexts.receipts import BatchReceipt, Receipt
from hcs_lib.core.errors import UserError
from hcs_lib.provenance.differences import Difference, Kind, Tell

_Say = Callable[[str, Kind, Path, str], None]
"""Told of well, kind, path and what was found."""


@dataclass(frozen=True, slots=True)
class Records:
    """What the records of a plate say.

    Attributes
    ----------
    receipts
        By stage and well; only what can be read and stands where it belongs.
    held
        Stages that the plate's gate has not let it reach.
    unknown
        Wells with a receipt that is missing or cannot be trusted: what lies there for them is not judged.
    """

    plan: PlatePlan
    receipts: dict[tuple[str, str], Receipt]
    held: frozenset[str] = frozenset()
    unknown: set[str] = field(default_factory=set)


def check_records(folder: Path, tell: Tell) -> Records | None:
    """Read the records of a plate's results and tell where they contradict each other; None without a plan."""
    plate = folder.name

    def say(well: str, kind: Kind, path: Path, message: str) -> None:
        tell(Difference(plate, well, kind, path.relative_to(folder).as_posix(), message))

    try:
        plan = PlatePlan.load(folder / "plan.json")
    except UserError as error:
        say("", "damaged", folder / "plan.json", error.problems[0].message)
        return None
    try:
        waiting = waits_at_gate(folder, plan) is not None
    except UserError as error:
        say("", "damaged", folder / GATE, error.problems[0].message)
        waiting = False
    held = _held_back(folder, plan, plan.gate.stage) if plan.gate and waiting else frozenset()
    records = Records(plan, {}, held)
    ended: set[str] = set()
    if waiting and not held:
        kind: Kind = "stale" if (folder / GATE).is_file() else "missing"
        say("", kind, folder / GATE, "stages after the gate were executed, and nothing says that it was passed.")
    for stage in plan.stages:
        if stage.name in held:
            continue
        folder_of_stage = folder / "receipts" / stage.name
        for batch, wells in stage.batches.items():
            path = folder / "manifests" / stage.name / f"{batch}.json"
            digests = _manifest(path, plan, stage.name, batch, say)
            for well in wells:
                context = folder / "contexts" / stage.name / f"{well}.json"
                _check_context(context, well, digests.get(well), "the manifest", say)
                if well in ended or PLATE in ended:
                    continue
                receipt = _receipt(folder_of_stage / f"{well}.json", plan.plate, stage.name, well, say)
                if receipt is None:
                    records.unknown.add(well)
                    continue
                records.receipts[stage.name, well] = receipt
                if well in digests and receipt.context_digest != digests[well]:
                    say(
                        well,
                        "stale",
                        folder_of_stage / f"{well}.json",
                        "it stands for another context than the compiled one.",
                    )
                executed = folder_of_stage / "contexts" / f"{well}.json"
                _check_context(executed, well, receipt.context_digest, "the receipt", say)
                if receipt.status == "failed":
                    ended.add(well)
            _check_batch(folder_of_stage / "batches" / f"{batch}.json", records, stage.name, batch, wells, say)
    _check_extra(folder, plan, say)
    return records


def _held_back(folder: Path, plan: PlatePlan, gate: str) -> frozenset[str]:
    """Return the stages after that of the gate, where the plate waits; none where something of them was executed."""
    names = [stage.name for stage in plan.stages]
    after = names[names.index(gate) + 1 :]
    executed = any(path.is_file() for name in after for path in (folder / "receipts" / name).rglob("*.json"))
    return frozenset() if executed else frozenset(after)


def _manifest(path: Path, plan: PlatePlan, stage: str, batch: str, say: _Say) -> dict[str, str]:
    if not path.exists():
        say("", "missing", path, "the plan names this manifest.")
        return {}
    try:
        manifest = Manifest.load(path)
    except UserError as error:
        say("", "damaged", path, error.problems[0].message)
        return {}
    wells = next(found.batches[batch] for found in plan.stages if found.name == stage)
    belongs = (manifest.plate, manifest.stage, manifest.batch) == (plan.plate, stage, batch)
    if not belongs or set(manifest.wells) != set(wells):
        say("", "damaged", path, "the manifest is of other wells than the plan says.")
        return {}
    return dict(manifest.wells)


def _check_context(path: Path, well: str, expected: str | None, by: str, say: _Say) -> None:
    if not path.exists():
        say(well, "missing", path, "there is no such context.")
        return
    try:
        found = FrozenContext.load(path)
    except UserError as error:
        say(well, "damaged", path, error.problems[0].message)
        return
    if expected is not None and found.digest != expected:
        say(well, "changed", path, f"context {found.digest[:12]}, {by} names {expected[:12]}.")


def _receipt(path: Path, plate: str, stage: str, well: str, say: _Say) -> Receipt | None:
    receipt = Receipt.load(path)
    if receipt is None:
        if path.exists():
            say(well, "damaged", path, f"the receipt cannot be read ({path.stat().st_size} bytes).")
        else:
            say(well, "missing", path, "there is no receipt: the well was not executed.")
    elif (receipt.plate, receipt.stage, receipt.well) != (plate, stage, well):
        say(well, "changed", path, f"this is the receipt of {receipt.plate} {receipt.well}, stage {receipt.stage}.")
        return None
    return receipt


def _check_batch(path: Path, records: Records, stage: str, batch: str, wells: tuple[str, ...], say: _Say) -> None:
    try:
        found = BatchReceipt.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        say("", "missing", path, "there is no receipt of the batch.")
        return
    except (OSError, ValueError, ValidationError):
        say("", "damaged", path, "the receipt of the batch cannot be read.")
        return
    if (found.stage, found.batch) != (stage, batch) or not set(wells) <= set(found.wells):
        say("", "changed", path, "the receipt is of another batch, or of other wells.")
        return
    for well in wells:
        receipt = records.receipts.get((stage, well))
        if receipt is None or well in records.unknown:
            continue
        if dict(found.wells[well]) != {"context_digest": receipt.context_digest, "status": receipt.status}:
            say(well, "stale", path, "the batch records another context or status than the receipt of the well.")


def _check_extra(folder: Path, plan: PlatePlan, say: _Say) -> None:
    stages = {stage.name: stage for stage in plan.stages}
    for receipt in sorted((folder / "receipts").glob("*/*.json")):
        stage = stages.get(receipt.parent.name)
        if stage is None or receipt.stem not in (plan.wells if stage.scope == "well" else (PLATE,)):
            say(receipt.stem, "extra", receipt, "a receipt of no well or stage of the plan.")
