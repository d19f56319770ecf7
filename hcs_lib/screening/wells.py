"""What became of each well: its receipts, checked against the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.context import PLATE
from hcs_lib.contexts.manifests import Manifest, PlatePlan
from hcs_lib.contexts.receipts import Failure, Receipt, SiteRecord
from hcs_lib.core.errors import Problem, UserError


@dataclass(frozen=True, slots=True)
class WellResult:
    """The receipts of one well, one per stage that it reached."""

    well: str
    receipts: tuple[Receipt, ...]

    @property
    def last(self) -> Receipt:
        """The receipt of the last stage reached: what the well ended with."""
        return self.receipts[-1]

    @property
    def failure(self) -> Failure | None:
        """Why the well failed; None where it did not."""
        return self.last.failure

    @property
    def status(self) -> str:
        """`done`, `failed`, or `skipped` where the user's policy for bad planes left the well out."""
        if self.last.status == "done":
            return "done"
        return "skipped" if self.failure is not None and self.failure.kind == "skipped" else "failed"

    @property
    def counts(self) -> dict[str, int]:
        """Objects by label image, over the whole well; a label that no step of this well made is absent."""
        return {label: count for receipt in self.receipts for label, count in receipt.counts.items()}

    @property
    def sites(self) -> tuple[SiteRecord, ...]:
        """What became of each site in the end, with planes and objects of all stages."""
        found: dict[int | str, SiteRecord] = {}
        for receipt in self.receipts:
            for site in receipt.sites:
                before = found.get(site.site)
                if before is not None and before.status == site.status == "done":
                    planes, counts = max(before.planes, site.planes), {**before.counts, **site.counts}
                    site = SiteRecord(site=site.site, status="done", planes=planes, counts=counts)
                found[site.site] = site
        return tuple(found.values())


def load_results(folder: Path, plan: PlatePlan, *, until: str | None = None) -> list[WellResult]:
    """Read the receipts of every well of the plan, in the order of the plan.

    Parameters
    ----------
    folder, plan
        The plate's results, and its plan.
    until
        The last stage that is read; by default all are. Wells without a stage so far are left out.

    Raises
    ------
    UserError
        Where a well has no receipt for the context that the plan compiled: it was not executed since. Where an
        output that a receipt names is absent, or of another number of files or bytes, or a table of other bytes.

    A well whose plate failed in a stage of the plate's scope ends there too, for that reason.
    """
    found: dict[str, list[Receipt]] = {axis_id: [] for axis_id in (*plan.wells, PLATE)}
    problems = []
    names = [stage.name for stage in plan.stages]
    for stage in plan.stages[: names.index(until) + 1 if until else None]:
        for batch in stage.batches:
            manifest = Manifest.load(folder / "manifests" / stage.name / f"{batch}.json")
            for well, digest in manifest.wells.items():
                if _has_failed(found[well]) or _has_failed(found[PLATE]):
                    continue
                receipt = Receipt.load(folder / "receipts" / stage.name / f"{well}.json")
                if receipt is None or receipt.context_digest != digest:
                    problems.append(
                        Problem(
                            f"plate {plan.plate}, well {well}, stage {stage.name}",
                            "there is no receipt for the compiled context: the well was not executed since.",
                            "Run the workflow, or `hcs execute` with its context; where it was executed, "
                            f"`hcs clean {folder} --damaged` before.",
                        )
                    )
                elif lost := receipt.missing(folder) or receipt.damaged(folder, _tables(receipt)):
                    problems.append(
                        Problem(
                            f"plate {plan.plate}, well {well}, stage {stage.name}",
                            f"{lost} is not there as the receipt has it.",
                            f"`hcs clean {folder} --damaged`, and the next run of the workflow makes it again.",
                        )
                    )
                else:
                    found[well].append(receipt)
        if stage.scope == "plate" and _has_failed(found[PLATE]):
            _fail_all(found, stage.name)
    if problems:
        raise UserError(problems)
    return [WellResult(well, tuple(found[well])) for well in plan.wells if found[well]]


def _tables(receipt: Receipt) -> set[str]:
    """Return the tables of a well: what is going to be read."""
    return {output.path for output in receipt.outputs if output.kind == "table"}


def _has_failed(receipts: Sequence[Receipt]) -> bool:
    return bool(receipts) and receipts[-1].status == "failed"


def _fail_all(found: Mapping[str, list[Receipt]], stage: str) -> None:
    """Let wells that came so far end with the failure of their plate."""
    failed = found[PLATE][-1]
    reason = f"stage {stage} of the plate failed: {failed.reason}"
    failure = failed.failure and failed.failure.model_copy(update={"message": reason, "site": None})
    for well, receipts in found.items():
        if well != PLATE and not _has_failed(receipts):
            told: dict[str, object] = {"well": well, "sites": (), "planes": {}, "reason": reason, "failure": failure}
            receipts.append(failed.model_copy(update=told))
