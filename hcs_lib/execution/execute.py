"""Execute: contexts in, outputs and receipts out. Knows the context, the raw plate and the results; nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.gates import GateFound
from hcs_lib.contexts.manifests import GATE, Manifest
from hcs_lib.contexts.receipts import BatchReceipt, Receipt
from hcs_lib.core.errors import HcsError, Problem, UserError
from hcs_lib.core.files import write_json
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.job import Job, Report, Worker


def execute_well(
    context_path: Path,
    *,
    results: Path | None = None,
    raw: Path | None = None,
    retry_failed: bool = False,
    report: Report | None = None,
) -> Receipt:
    """Execute the context of one well, unless its receipt and outputs are there already.

    Parameters
    ----------
    context_path
        `results/{plate}/contexts/{stage}/{well}.json`.
    results
        The folder that holds the plate's results, `results`; needed where the context lies elsewhere.
    raw
        The raw plate; by default where `plan.json` says it was when compiled.
    retry_failed
        Do a well again whose receipt says that it failed on its data.
    report
        Told of the well when it is finished.

    Returns
    -------
        The receipt. A failure of the data is recorded in it and raises nothing.

    Raises
    ------
    UserError
        Where the context is damaged, contradicts itself, or leaves its plate; nothing was done.
    MachineError, MemoryError
        Where the machine failed: the well is not finished, and is to be tried again.
    """
    context = FrozenContext.load(context_path)
    folders = _folders(context_path, context, results)
    with Worker(raw, retry_failed=retry_failed, report=report) as worker:
        return worker.execute(Job.look(context_path, context, folders, retry_failed=retry_failed))


def execute_manifest(
    manifest_path: Path, *, raw: Path | None = None, retry_failed: bool = False, report: Report | None = None
) -> BatchReceipt:
    """Execute the wells of a batch, one after another, and write the receipt of the batch last.

    Parameters are those of `execute_well`; the manifest lies in `results/{plate}/manifests/{stage}/{batch}.json`,
    and the contexts beside it. A well that failed in a stage before, or whose plate did, is not executed, and stands as
    failed in the receipt of the batch.

    Raises
    ------
    UserError
        As `execute_well`; and where the gate before this stage has not let the plate through.
    """
    manifest = Manifest.load(manifest_path)
    plate = manifest_path.absolute().parents[2]
    if (manifest.plate, manifest.stage, manifest.batch) != (plate.name, manifest_path.parent.name, manifest_path.stem):
        raise UserError(
            Problem(
                str(manifest_path),
                f"the manifest is of plate {manifest.plate}, stage {manifest.stage}, batch {manifest.batch}, "
                "and does not lie where that belongs.",
                "Run `hcs compile` again.",
            )
        )
    gate = GateFound.load(plate) if manifest.gated else None
    if manifest.gated and not (gate and gate.passed):
        raise UserError(
            Problem(str(plate / GATE), "The gate has not let the plate through.", f"Run `hcs gate {plate}`.")
        )
    wells = {}
    with Worker(raw, retry_failed=retry_failed, report=report) as worker:
        for well, job, following in _with_following(_jobs(plate, manifest, retry_failed=retry_failed)):
            if job is None:
                wells[well] = {"context_digest": manifest.wells[well], "status": "failed"}
                continue
            receipt = worker.execute(job, following)
            wells[well] = {"context_digest": receipt.context_digest, "status": receipt.status}
    batch = BatchReceipt(plate=manifest.plate, stage=manifest.stage, batch=manifest.batch, wells=wells)
    write_json(plate / "receipts" / manifest.stage / "batches" / f"{manifest.batch}.json", batch.to_json())
    return batch


def _jobs(plate: Path, manifest: Manifest, *, retry_failed: bool) -> Iterator[tuple[str, Job | HcsError | None]]:
    """Yield the job of each well, or what is wrong with its context; None where it failed in a stage before."""
    for well, digest in manifest.wells.items():
        if any(
            _failed(WellFolders(plate, stage, PLATE if scope == "plate" else well))
            for stage, scope in manifest.after.items()
        ):
            yield well, None
            continue
        folders = WellFolders(plate, manifest.stage, well)
        try:
            context = FrozenContext.load(folders.context)
            job = Job.look(folders.context, context, folders, retry_failed=retry_failed)
            if job.digest != digest:
                raise UserError(
                    Problem(
                        str(folders.context), "The context is not the one in the manifest.", "Run `hcs compile` again."
                    )
                )
            yield well, job
        except HcsError as error:
            yield well, error


def _with_following(
    jobs: Iterator[tuple[str, Job | HcsError | None]],
) -> Iterator[tuple[str, Job | None, Job | None]]:
    """Yield wells with their job and that of the well after. What is wrong with a well waits until its turn."""
    upcoming = next(jobs, None)
    while upcoming is not None:
        (well, job), upcoming = upcoming, next(jobs, None)
        if isinstance(job, HcsError):
            raise job
        following = upcoming[1] if upcoming else None
        yield well, job, following if isinstance(following, Job) else None


def _folders(context_path: Path, context: FrozenContext, results: Path | None) -> WellFolders:
    if results is not None:
        return WellFolders(results.absolute() / context.plate, context.stage, context.axis_id)
    path = context_path.absolute()
    if path.parents[1].name != "contexts":
        raise UserError(
            Problem(str(context_path), "the context does not lie in results/PLATE/contexts/STAGE.", "Name --results.")
        )
    return WellFolders(path.parents[2], path.parent.name, path.stem)


def _failed(folders: WellFolders) -> bool:
    receipt = Receipt.load(folders.receipt)
    return receipt is not None and receipt.status == "failed"
