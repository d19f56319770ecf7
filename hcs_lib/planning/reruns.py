"""Which wells would be executed, in which stages, and why. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hcs_lib.compiler.compile import draft_plate, execution_settings, index_anew
from hcs_lib.compiler.difference import Change, compare_contexts
from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.gates import GateFound
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import read_json
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.receipts import kept
from hcs_lib.pipeline.settings import PlateSettings, Settings
from hcs_lib.storage.work import work_path

At = tuple[str, str]
"""A stage, and a well (or `plate`)."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A well that would be executed in a stage."""

    plate: str
    well: str
    stage: str
    changes: tuple[Change, ...]

    @property
    def why(self) -> str:
        """Why, in one line."""
        return "; ".join(change.text for change in self.changes)

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values."""
        return {"plate": self.plate, "well": self.well, "stage": self.stage, "why": self.why}


@dataclass
class Forecast:
    """What a run would do with one plate.

    Attributes
    ----------
    plan
        The plate's plan as it would be compiled.
    run
        By stage and well, in the order of execution.
    keep
        How many wells are left as they are, counted in each stage.
    failed
        Those of them that failed on their data, and stay so until asked for.
    waits
        Stages behind a gate that has not let the plate through: nothing of them runs now.
    """

    plan: PlatePlan
    run: list[Rerun] = field(default_factory=list)
    keep: int = 0
    failed: list[At] = field(default_factory=list)
    waits: tuple[str, ...] = ()


def forecast(plate: PlateSettings, settings: Settings, results: Path, registry: Path | None = None) -> Forecast:
    """Compile a plate in memory, and compare each context with the one that was executed.

    Parameters
    ----------
    plate, settings
        From `load_settings`.
    results, registry
        The folders of results, and of the registry's files (by default `results/registry`).

    Raises
    ------
    UserError
        Where the plate cannot be indexed or compiled.
    """
    index = index_anew(plate, settings)
    plan, parts = draft_plate(plate, settings, index, registry or results / "registry")
    folder, execution = results / plate.name, execution_settings(settings)
    digests: dict[At, str] = {}
    wells = _Wells(folder)
    for part in parts:
        for context in part.freeze(execution, digests):
            digests[context.stage, context.axis_id] = wells.look(context)
    found = Forecast(plan, waits=_waiting(folder, plan, wells))
    batches = {(stage.name, well): batch for stage in plan.stages for batch, members in stage.batches.items()
               for well in members}  # fmt: skip
    finished = {(stage.name, batch): _is_finished(folder, stage.name, batch, members, digests)
                for stage in plan.stages for batch, members in stage.batches.items()}  # fmt: skip
    for at, changes in wells.changes.items():
        stage, well = at
        if wells.failed_before(at, plan) or stage in found.waits or not changes:
            found.keep += 1
            continue
        if at not in wells.differ and finished[stage, batches[at]]:
            file = folder / "manifests" / stage / f"{batches[at]}.json"
            changes = (*changes, Change(f"Snakemake does not see it: `hcs execute {file}`"))
        found.run.append(Rerun(plan.plate, well, stage, changes))
    found.failed = sorted(wells.failed)
    return found


@dataclass
class _Wells:
    """What was found for each stage and well. `differ`: it would be executed for its context; `failed`: kept so."""

    folder: Path
    changes: dict[At, tuple[Change, ...]] = field(default_factory=dict)
    takes: dict[At, tuple[At, ...]] = field(default_factory=dict)
    differ: set[At] = field(default_factory=set)
    failed: set[At] = field(default_factory=set)

    def look(self, context: FrozenContext) -> str:
        """Decide as the executor will; return the digest of the context."""
        at, digest = (context.stage, context.axis_id), context.digest
        folders = WellFolders(self.folder, *at)
        self.takes[at] = tuple(dict.fromkeys((passed.stage, passed.axis_id) for passed in context.takes))
        receipt = kept(folders, context, digest, retry_failed=False)
        if receipt is not None:
            self.changes[at] = ()
            if receipt.status == "failed":
                self.failed.add(at)
            return digest
        self.changes[at] = tuple(_why(folders, context, digest))
        if (found := Receipt.load(folders.receipt)) is not None and found.context_digest != digest:
            self.differ.add(at)
        self._bring_back(at)
        return digest

    def _bring_back(self, at: At) -> None:
        """Have done again what the stages before passed on and is there no more, as the executor does."""
        for earlier in self.takes[at]:
            folders = WellFolders(self.folder, *earlier)
            if self.changes[earlier] or earlier in self.failed or self._has_passed(folders):
                continue
            self.changes[earlier] = (Change(f"stage {at[0]} needs what it passes on, which was removed"),)
            self.differ.add(earlier)
            self._bring_back(earlier)

    @staticmethod
    def _has_passed(folders: WellFolders) -> bool:
        return (folders.results / work_path(folders.stage, folders.well)).is_dir()

    def failed_before(self, at: At, plan: PlatePlan) -> bool:
        """Tell whether the well, or the plate, failed in a stage before, and stays so."""
        scopes = {stage.name: stage.scope for stage in plan.stages}
        names = list(scopes)
        before = names[: names.index(at[0])]
        return any((name, PLATE if scopes[name] == "plate" else at[1]) in self.failed for name in before)


def _why(folders: WellFolders, context: FrozenContext, digest: str) -> list[Change]:
    """Say why a receipt does not stand for a context."""
    receipt = Receipt.load(folders.receipt)
    if receipt is None:
        there = folders.receipt.exists()
        return [Change("its receipt cannot be read") if there else Change("no receipt yet")]
    if receipt.context_digest != digest:
        executed = _executed(folders, receipt.context_digest)
        if executed is None:
            return [Change("its context changed; the one that was executed is not there to compare")]
        try:
            return compare_contexts(executed, context.to_json())
        except (KeyError, TypeError, AttributeError):
            return [Change("its context changed; the one that was executed has another schema")]
    missing = receipt.missing(folders.results)
    return [Change(f"output missing or of another size: {missing}", about="outputs missing")
            if missing else Change("it did not write all that is planned")]  # fmt: skip


def _executed(folders: WellFolders, digest: str) -> Mapping[str, object] | None:
    """Return the context that a receipt stands for, as plain JSON; None where it is not there."""
    try:
        found = read_json(folders.executed_context, "Executed context")
        context: Mapping[str, object] | None = found["context"] if found["context_digest"] == digest else None
    except (UserError, KeyError, TypeError):
        return None
    return context


def _is_finished(folder: Path, stage: str, batch: str, wells: tuple[str, ...], digests: Mapping[At, str]) -> bool:
    """Tell whether the receipt of a batch names the wells and contexts that its manifest will: it is not started."""
    try:
        done = json.loads((folder / "receipts" / stage / "batches" / f"{batch}.json").read_bytes())["wells"]
        return {well: entry["context_digest"] for well, entry in done.items()} == {
            well: digests[stage, well] for well in wells
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _waiting(folder: Path, plan: PlatePlan, wells: _Wells) -> tuple[str, ...]:
    """Return the stages behind a gate that will not let the plate through: what it judges stays as it is."""
    if plan.gate is None:
        return ()
    names = [stage.name for stage in plan.stages]
    last = names.index(plan.gate.stage)
    found = GateFound.load(folder)
    if (
        found is None
        or found.passed
        or any(changes for at, changes in wells.changes.items() if at[0] in names[: last + 1])
    ):
        return ()
    before = PlatePlan.load(folder / "plan.json")
    same = (before.gate, before.qc_flags, before.wells) == (plan.gate, plan.qc_flags, plan.wells)
    return tuple(names[last + 1 :]) if same else ()
