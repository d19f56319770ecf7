"""What was executed of a plate: the receipts of its wells, each with the context it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import Problem, UserError


@dataclass(frozen=True, slots=True)
class WellRun:
    """One well: what was done in each of the `stages` that it reached. Nothing, where it was not executed.

    `shared` are the contexts of the plate's own stages.
    """

    well: str
    stages: int
    contexts: tuple[FrozenContext, ...]
    receipts: tuple[Receipt, ...]
    shared: tuple[FrozenContext, ...] = ()

    @property
    def failure(self) -> str:
        """Why it failed, or was left out; empty where it did not."""
        return self.receipts[-1].reason if self.receipts and self.receipts[-1].status == "failed" else ""

    @property
    def left_out(self) -> bool:
        """Whether the user's policy for bad planes left it out."""
        failure = self.receipts[-1].failure if self.receipts else None
        return failure is not None and failure.kind == "skipped"

    @property
    def done(self) -> bool:
        """Whether every stage was executed and ended well."""
        return len(self.receipts) == self.stages and not self.failure

    def steps(self) -> Iterator[tuple[FrozenContext, StepPlan]]:
        """Yield the steps of all stages in their order, each with its context."""
        pairs = [(context, plan) for context in (*self.shared, *self.contexts) for plan in context.step_plans.values()]
        yield from sorted(pairs, key=lambda pair: pair[1].step_index)


@dataclass(frozen=True, slots=True)
class PlateRun:
    """One plate: its plan, and what was executed of each of its wells."""

    folder: Path
    plan: PlatePlan
    wells: tuple[WellRun, ...]

    @property
    def executed(self) -> tuple[WellRun, ...]:
        """The wells with at least one receipt."""
        return tuple(well for well in self.wells if well.receipts)

    @property
    def done(self) -> tuple[WellRun, ...]:
        """The wells that ended well."""
        return tuple(well for well in self.wells if well.done)


def find_plates(folder: Path) -> list[Path]:
    """Return the results of each plate below `results`, or those of the one plate that `folder` is.

    Raises
    ------
    UserError
        Where there are no results.
    """
    if (folder / "plan.json").is_file() or (folder / "receipts").is_dir():
        return [folder]
    found = sorted(
        {path.parent for name in ("plan.json", "receipts") for path in folder.glob(f"*/{name}")}
    )  # a plan that was deleted is a difference, not the absence of results
    if not found:
        raise UserError(
            Problem(str(folder), "there are no results of a plate.", "Name results/, or results/PLATE, of a run.")
        )
    return found


def load_run(folder: Path) -> PlateRun:
    """Read the receipts of a plate, and the contexts that were executed.

    Parameters
    ----------
    folder
        `results/{plate}`.

    Raises
    ------
    UserError
        Where nothing was executed, or a receipt and the context beside it are not of each other.
    """
    plan = PlatePlan.load(folder / "plan.json")
    problems: list[Problem] = []
    wells = []
    for well in plan.wells:
        contexts: list[FrozenContext] = []
        receipts: list[Receipt] = []
        shared: list[FrozenContext] = []
        stages = 0
        for stage in plan.stages:
            axis_id = PLATE if stage.scope == "plate" else well
            if not any(axis_id in inside for inside in stage.batches.values()):
                continue
            stages += stage.scope == "well"
            receipt = Receipt.load(folder / "receipts" / stage.name / f"{axis_id}.json")
            if receipt is None:
                break
            path = folder / "receipts" / stage.name / "contexts" / f"{axis_id}.json"
            context = FrozenContext.load(path)
            if context.digest != receipt.context_digest:
                problems.append(Problem(str(path), "the receipt stands for another context.", "Run `hcs verify`."))
            if stage.scope == "well":
                contexts.append(context)
                receipts.append(receipt)
            else:
                shared.append(context)
            if receipt.status == "failed":
                break
        wells.append(WellRun(well, stages, tuple(contexts), tuple(receipts), tuple(shared)))
    if problems:
        raise UserError(problems)
    run = PlateRun(folder, plan, tuple(wells))
    if not run.executed:
        raise UserError(Problem(str(folder), "no well was executed.", "Run the workflow, or `hcs execute`."))
    return run
