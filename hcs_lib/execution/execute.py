"""Execute: contexts in, outputs and receipts out. Knows the context, the raw plate and the results; nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.engine import current_engine
from hcs_lib.contexts.gates import GateFound
from hcs_lib.contexts.manifests import GATE, Manifest, PlatePlan
from hcs_lib.contexts.receipts import BatchReceipt, Receipt
from hcs_lib.core.errors import DataError, MachineError, Problem, UserError
from hcs_lib.core.files import write_json
from hcs_lib.execution import outputs, receipts
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.journal import MAX_DEATHS, in_flight
from hcs_lib.execution.threads import limit_threads
from hcs_lib.execution.validation import check_context
from hcs_lib.storage.work import work_path

if TYPE_CHECKING:
    from hcs_lib.registry.service import BoundFunction

Report = Callable[[Receipt, bool], None]
"""Told of each well: its receipt, and whether it was kept from an earlier run."""


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
    return _execute(context_path, context, folders, raw, retry_failed, report)


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
    for well, digest in manifest.wells.items():
        if any(
            _failed(WellFolders(plate, stage, PLATE if scope == "plate" else well))
            for stage, scope in manifest.after.items()
        ):
            wells[well] = {"context_digest": digest, "status": "failed"}
            continue
        folders = WellFolders(plate, manifest.stage, well)
        context = FrozenContext.load(folders.context)
        if context.digest != digest:
            raise UserError(
                Problem(str(folders.context), "The context is not the one in the manifest.", "Run `hcs compile` again.")
            )
        receipt = _execute(folders.context, context, folders, raw, retry_failed, report)
        wells[well] = {"context_digest": receipt.context_digest, "status": receipt.status}
    batch = BatchReceipt(plate=manifest.plate, stage=manifest.stage, batch=manifest.batch, wells=wells)
    write_json(plate / "receipts" / manifest.stage / "batches" / f"{manifest.batch}.json", batch.to_json())
    return batch


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


def _kept(folders: WellFolders, context: FrozenContext, digest: str, retry_failed: bool) -> Receipt | None:
    receipt = receipts.kept(folders, context, digest, retry_failed=retry_failed)
    if receipt is not None and folders.work.exists():
        # A process died between its receipt and its last breath: the well is done, its work folder is left.
        with suppress(MachineError), in_flight(folders.work, digest, forget=True):
            pass
    return receipt


def _execute(
    context_path: Path,
    context: FrozenContext,
    folders: WellFolders,
    raw: Path | None,
    retry_failed: bool,
    report: Report | None,
) -> Receipt:
    check_context(context, context_path, folders)
    digest = context.digest
    receipt = _kept(folders, context, digest, retry_failed)
    keep = receipt is not None
    if receipt is None:
        limit_threads(context.threads)
        _bring_back(context, folders, raw, report)
        receipt = _do(context_path, context, digest, folders, raw, forget=retry_failed)
    if report:
        report(receipt, keep)
    return receipt


def _do(
    context_path: Path, context: FrozenContext, digest: str, folders: WellFolders, raw: Path | None, *, forget: bool
) -> Receipt:
    functions = _resolve(context)
    try:
        with in_flight(folders.work, digest, forget=forget) as deaths:
            return _run(context_path, context, digest, folders, _raw_folder(folders, raw), functions, deaths)
    except OSError as error:
        raise MachineError(f"plate {context.plate}, {context.axis_id}: {error}") from error


def _bring_back(context: FrozenContext, folders: WellFolders, raw: Path | None, report: Report | None) -> None:
    """See that what earlier stages pass on is there; where it was cleaned away, execute them again.

    Raises
    ------
    UserError
        Where an earlier stage was not executed, or failed.
    MachineError
        Where it needs a GPU, and this one has none.
    """
    for stage, axis_id in dict.fromkeys((passed.stage, passed.axis_id) for passed in context.takes):
        earlier = WellFolders(folders.results, stage, axis_id)
        receipt = Receipt.load(earlier.receipt)
        where = f"plate {context.plate}, {axis_id}, stage {stage}"
        if receipt is None or receipt.context_digest != context.before[stage] or receipt.status == "failed":
            raise UserError(Problem(where, "this stage comes before, and was not executed, or failed.",
                                    f"`hcs execute {earlier.context}`."))  # fmt: skip
        if (folders.results / work_path(stage, axis_id)).is_dir() and receipt.missing(folders.results) is None:
            continue
        if stage.endswith("gpu") and not context.stage.endswith("gpu"):
            raise MachineError(f"{where}: what it passes on was removed, and needs a GPU to be made again. "
                               f"`hcs clean {folders.results} --stage {stage}`, and run the workflow.")  # fmt: skip
        again = FrozenContext.load(earlier.context)
        check_context(again, earlier.context, earlier)
        if again.digest != receipt.context_digest:
            raise UserError(Problem(str(earlier.context), "The context is not the one that was executed.",
                                    f"`hcs execute {earlier.context}`."))  # fmt: skip
        _bring_back(again, earlier, raw, report)
        made = _do(earlier.context, again, again.digest, earlier, raw, forget=False)
        if report:
            report(made, False)


def _run(
    context_path: Path,
    context: FrozenContext,
    digest: str,
    folders: WellFolders,
    raw: Path,
    functions: dict[str, BoundFunction],
    deaths: int,
) -> Receipt:
    from hcs_lib.execution.well import WellRun

    started = receipts.now()
    staging = outputs.Staging(context, folders.work)
    hashes: dict[str, str] = {}
    try:
        if deaths >= MAX_DEATHS:
            raise DataError(
                f"The process died {deaths} times while it executed this well (a crash of a library, or killed, "
                "perhaps for memory). `--retry-failed` tries it again.",
                kind="crash",
            )
        run = WellRun(context, raw, folders.results, staging, functions)
        hashes = run.hashes
        run.run()
        receipt = receipts.done(
            context,
            digest,
            started,
            outputs=staging.describe(),
            sites=run.sites(),
            counts=run.counts(),
            planes=hashes,
            seconds=run.seconds,
            warnings=tuple(run.warnings),
        )
    except DataError as error:
        receipt = receipts.failed(context, digest, started, error, hashes)
    folders.receipt.unlink(missing_ok=True)
    if receipt.status == "done":
        staging.swap(folders.results)
    else:
        # What an earlier context left would look like the result of this one.
        outputs.remove(folders.results, outputs.planned(context))
    receipts.write(folders, context_path, receipt)
    return receipt


def _resolve(context: FrozenContext) -> dict[str, BoundFunction]:
    """Find the functions of a context; refuse software which is not what it was compiled for."""
    from hcs_lib.registry.base import distribution_version
    from hcs_lib.registry.service import resolve

    if context.engine.digest != current_engine().digest:
        raise MachineError("The code of the executor is not that which the context was compiled for. Compile again.")
    needed = [context.engine.versions, *(function.dependencies for function in context.functions)]
    for name, version in sorted({item for versions in needed for item in versions.items()}):
        if (found := distribution_version(name)) != version:
            raise MachineError(f"{name} is {found} here, and the context was compiled for {version}. Compile again.")
    return {
        function.id: resolve(function.id, function.library, function.version, function.target, function.source_digest)
        for function in context.functions
    }


def _raw_folder(folders: WellFolders, raw: Path | None) -> Path:
    return raw if raw is not None else Path(PlatePlan.load(folders.results / "plan.json").raw_folder)
