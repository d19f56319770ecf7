"""How far the wells of a plate are, from its plan, manifests, receipts and journals alone."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from hcs_lib.contexts.context import PLATE, Scope
from hcs_lib.contexts.gates import GateFound, Waiting, waits_at_gate
from hcs_lib.contexts.manifests import Manifest, PlatePlan, Stage
from hcs_lib.contexts.receipts import BatchReceipt, Receipt
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import stamp
from hcs_lib.core.refusals import when_useless
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.journal import flight_of

Fate = Literal["done", "running", "failed", "to_do", "not_reached"]
"""Of a well in a stage. `failed` is a failure of its data; it does not reach the stages after."""

PLAN = "plan.json"
"""In a plate's results, once it is compiled, or was refused."""

_SAMPLE = 8
"""Receipts of a stage whose times are read."""


@dataclass(frozen=True, slots=True)
class FailedWell:
    """A well that failed on its data; `left_out`: the user's policy for bad planes left it out. `log` is of its job."""

    plate: str
    well: str
    stage: str
    reason: str
    log: Path
    left_out: bool


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that ended before its wells were finished: the machine failed, or a person ended it."""

    plate: str
    stage: str
    batch: str
    reason: str
    log: Path


@dataclass(frozen=True)
class StageProgress:
    """One stage: what became of its wells, batch by batch.

    `seconds` is what a well took from its beginning to its receipt, the median over some; None where none is done.
    """

    name: str
    scope: Scope
    batches: Mapping[str, Mapping[str, Fate]]
    seconds: float | None

    @cached_property
    def counts(self) -> Counter[str]:
        """How many wells have each fate."""
        return Counter(fate for wells in self.batches.values() for fate in wells.values())


@dataclass(frozen=True)
class PlateProgress:
    """One plate.

    `waits` says why it waits at its gate, behind which the stages `gated` lie.
    """

    folder: Path
    plan: PlatePlan
    stages: Sequence[StageProgress]
    failures: Sequence[FailedWell]
    ended: Sequence[EndedJob]
    waits: Waiting | None
    gated: Sequence[str]

    @cached_property
    def counts(self) -> Counter[str]:
        """How many wells are `done` with all their stages, `running`, `failed`, `left_out` and `to_do`."""
        return Counter(self._fates().values())

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done for its wells."""
        return not (self.counts["to_do"] or self.counts["running"])

    @property
    def passed(self) -> bool:
        """Whether no more wells failed than allowed, and none waits at a gate."""
        return self.counts["failed"] <= self.plan.allowed_failures and self.waits is None

    def _fates(self) -> dict[str, str]:
        fates: dict[str, str] = dict.fromkeys(self.plan.wells, "done")
        for stage in self.stages:
            for well, fate in ((well, fate) for wells in stage.batches.values() for well, fate in wells.items()):
                if well != PLATE and fate in ("to_do", "running") and fates[well] != "running":
                    fates[well] = fate
        for failed in self.failures:
            wells = self.plan.wells if failed.well == PLATE else (failed.well,)
            fates |= dict.fromkeys(wells, "left_out" if failed.left_out else "failed")
        return fates

    def to_json(self) -> dict[str, Any]:
        """Return counts as plain JSON values."""
        return {
            "plate": self.plan.plate,
            "wells": len(self.plan.wells),
            **{fate: self.counts[fate] for fate in ("done", "running", "failed", "left_out", "to_do")},
            "allowed_failures": self.plan.allowed_failures,
            "waits": self.waits.reason if self.waits else None,
            "stages": [
                {"stage": stage.name, "scope": stage.scope, "wells": stage.counts.total(), "seconds": stage.seconds}
                | {fate: stage.counts[fate] for fate in ("done", "running", "failed", "not_reached", "to_do")}
                for stage in self.stages
            ],
        }


def refusal_of(folder: Path) -> UserError | None:
    """Return why a plate was refused when it was indexed or compiled; None where it was not."""
    if not when_useless(folder / PLAN):
        return None
    try:
        PlatePlan.load(folder / PLAN)
    except UserError as refused:
        return refused
    return None


def look_at_plate(folder: Path) -> PlateProgress:
    """Say how far a plate is.

    Where the receipt of a batch stands for the contexts of its manifest, it speaks for its wells; elsewhere their own
    receipts and journals are read. Outputs are not looked at.

    Parameters
    ----------
    folder
        `results/{plate}`.

    Raises
    ------
    UserError
        Where the plate is not compiled or was refused, or its plan or a manifest is damaged.
    """
    plan = PlatePlan.load(folder / PLAN)
    failed: dict[str, FailedWell] = {}
    ended: list[EndedJob] = []
    stages = []
    for stage in plan.stages:
        look = _Look.at(folder, stage)
        batches = {batch: look.fates(batch, failed) for batch in stage.batches}
        ended += [job for batch, fates in batches.items() if (job := look.ended_job(plan.plate, batch, fates))]
        stages.append(StageProgress(stage.name, stage.scope, batches, look.seconds(batches)))
        failed |= {failure.well: failure for failure in look.failures}
    found = GateFound.load(folder)
    waits = waits_at_gate(folder, plan) if found is not None else None
    names = [stage.name for stage in plan.stages]
    gated = names[names.index(plan.gate.stage) + 1 :] if waits and plan.gate else []
    return PlateProgress(folder, plan, stages, list(failed.values()), ended, waits, gated)


@dataclass
class _Look:
    """A look at one stage: which receipts and work folders there are is asked once."""

    folder: Path
    stage: str
    receipts: set[str]
    work: set[str]
    failures: list[FailedWell]

    @classmethod
    def at(cls, folder: Path, stage: Stage) -> _Look:
        return cls(
            folder, stage.name, _names(folder / "receipts" / stage.name), _names(folder / "work" / stage.name), []
        )

    def fates(self, batch: str, failed: Mapping[str, FailedWell]) -> dict[str, Fate]:
        """Return what became of the wells of a batch; `failed` did so in stages before."""
        manifest = self.folder / "manifests" / self.stage / f"{batch}.json"
        receipt = self.folder / "receipts" / self.stage / "batches" / f"{batch}.json"
        wells, known = _told_by_batch(manifest, receipt, stamp(manifest), stamp(receipt))
        return {
            well: "not_reached"
            if well in failed or PLATE in failed
            else "done"
            if known.get(well) == "done"
            else self._fate(batch, well, digest)
            for well, digest in wells.items()
        }

    def _fate(self, batch: str, well: str, digest: str) -> Fate:
        folders = WellFolders(self.folder, self.stage, well)
        receipt = Receipt.load(folders.receipt) if f"{well}.json" in self.receipts else None
        if receipt is None or receipt.context_digest != digest:
            return "running" if well in self.work and flight_of(folders.work) == "running" else "to_do"
        if receipt.status == "failed":
            left_out = receipt.failure is not None and receipt.failure.kind == "skipped"
            self.failures.append(
                FailedWell(receipt.plate, well, self.stage, receipt.reason, self._log(batch), left_out)
            )
        return receipt.status

    def _log(self, batch: str) -> Path:
        return self.folder / "logs" / self.stage / f"{batch}.log"

    def ended_job(self, plate: str, batch: str, fates: Mapping[str, Fate]) -> EndedJob | None:
        """Return why the job of a batch ended before its wells were finished; None where nothing says that it did."""
        if "to_do" not in fates.values() or "running" in fates.values():
            return None
        log = self._log(batch)
        for well in fates:
            if well in self.work and flight_of(WellFolders(self.folder, self.stage, well).work) == "died":
                reason = f"its process died while it executed {well} (killed, out of memory, or a crash)"
                return EndedJob(plate, self.stage, batch, reason, log)
        try:
            lines = log.read_text(errors="replace").splitlines()
        except OSError:
            return None
        told = next((line for line in reversed(lines) if line.startswith("hcs: ")), None)
        return EndedJob(plate, self.stage, batch, told.removeprefix("hcs: "), log) if told else None

    def seconds(self, batches: Mapping[str, Mapping[str, Fate]]) -> float | None:
        """Return the median seconds of some wells, evenly spread over those that are done."""
        done = [well for wells in batches.values() for well, fate in wells.items() if fate == "done"]
        step = max(1, -(-len(done) // _SAMPLE))
        sample = done[step // 2 :: step]  # not the first of a batch, which loads libraries
        receipts = (Receipt.load(WellFolders(self.folder, self.stage, well).receipt) for well in sample)
        taken = [_wall_seconds(receipt) for receipt in receipts if receipt is not None]
        return round(statistics.median(taken), 3) if taken else None


@lru_cache(maxsize=512)
def _told_by_batch(manifest: Path, receipt: Path, *_stamps: object) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the contexts of the wells of a batch, and their status by its receipt.

    There is no status where the receipt is not of these contexts. While the files are the same they are read once:
    a plate is looked at whenever a job of it ends.
    """
    wells = dict(Manifest.load(manifest).wells)
    found = BatchReceipt.load(receipt)
    try:
        told = {well: (each["context_digest"], each["status"]) for well, each in (found.wells if found else {}).items()}
    except (KeyError, TypeError):
        return wells, {}
    if {well: digest for well, (digest, _) in told.items()} != wells:
        return wells, {}
    return wells, {well: status for well, (_, status) in told.items()}


def _wall_seconds(receipt: Receipt) -> float:
    return (datetime.fromisoformat(receipt.finished) - datetime.fromisoformat(receipt.started)).total_seconds()


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
