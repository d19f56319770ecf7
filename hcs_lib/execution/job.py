"""One well to be executed: looked at, made ready while the well before it computes, and done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.engine import current_engine
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import DataError, HcsError, MachineError, Problem, UserError
from hcs_lib.core.files import read_json
from hcs_lib.execution import outputs, receipts
from hcs_lib.execution.devices import Gpu, leased_gpu
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.journal import MAX_DEATHS, in_flight
from hcs_lib.execution.threads import limit_threads
from hcs_lib.execution.validation import check_context
from hcs_lib.execution.well import WellRun
from hcs_lib.storage.work import work_path

if TYPE_CHECKING:
    from hcs_lib.registry.service import BoundFunction

WAIT_SECONDS = 600.0
"""How long to wait for a well that another process executes."""

Report = Callable[[Receipt, bool], None]
"""Told of each well: its receipt, and whether it was kept from an earlier run."""


@dataclass
class Job:
    """A well that was looked at.

    `kept` is its receipt, where it need not be done; `stamp` tells whether the receipt is another one since. `run` is
    there once made ready.
    """

    path: Path
    context: FrozenContext
    digest: str
    folders: WellFolders
    kept: Receipt | None = None
    stamp: tuple[int, int] | None = None
    run: WellRun | None = None

    @classmethod
    def look(cls, path: Path, context: FrozenContext, folders: WellFolders, *, retry_failed: bool) -> Job:
        """Check a context, and whether its receipt stands.

        Raises
        ------
        UserError
            Where it contradicts itself, or leaves its plate.
        """
        check_context(context, path, folders)
        digest = context.digest
        stamp = _stamp(folders.receipt)
        kept = receipts.kept(folders, context, digest, retry_failed=retry_failed)
        return cls(path, context, digest, folders, kept, stamp)


class Worker:
    """What the wells of one call share: the raw plate, a device, and a thread that reads ahead."""

    def __init__(self, raw: Path | None, *, retry_failed: bool, report: Report | None) -> None:
        self._raw = raw
        self._retry_failed = retry_failed
        self._report = report
        self._stack = ExitStack()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="hcs-read")
        self._gpu: Gpu | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.shutdown(cancel_futures=True)
        self._stack.close()

    def execute(self, job: Job, following: Job | None = None) -> Receipt:
        """Do a well, unless its receipt stands; read ahead for the one that follows."""
        receipt = job.kept
        if receipt is None:
            limit_threads(job.context.threads)
            self._bring_back(job)
            receipt = self._do(job, forget=self._retry_failed, following=following)
        elif job.folders.work.exists():
            # A process died between its receipt and its last breath: the well is done, its work folder is left.
            with suppress(MachineError), in_flight(job.folders.work, job.digest, forget=True):
                pass
        if self._report:
            self._report(receipt, job.kept is not None)
        return receipt

    def _device(self, context: FrozenContext) -> Gpu | None:
        """Return the GPU of a stage that needs one. It is leased once, and held until all wells are done."""
        if not any(plan.gpu for plan in context.step_plans.values()):
            return None
        if self._gpu is None:
            self._gpu = self._stack.enter_context(leased_gpu())
        return self._gpu

    def _do(self, job: Job, *, forget: bool, following: Job | None = None) -> Receipt:
        gpu = self._device(job.context)
        functions = _resolve(job.context)
        try:
            with in_flight(job.folders.work, job.digest, forget=forget, wait_seconds=WAIT_SECONDS) as deaths:
                return self._overtaken(job) or self._run(job, functions, gpu, deaths, following)
        except OSError as error:
            raise MachineError(f"plate {job.context.plate}, {job.context.axis_id}: {error}") from error

    def _overtaken(self, job: Job) -> Receipt | None:
        """Return the receipt that another process wrote since the well was looked at; None where there is none.

        Raises
        ------
        UserError
            Where the well was compiled anew since: what is newer is not written over.
        """
        found = read_json(job.path, "Context (`hcs compile` writes it)")
        if not isinstance(found, dict) or found.get("context_digest") != job.digest:
            raise UserError(
                Problem(str(job.path), "The context changed while its well waited.", "Run the workflow again.")
            )
        if _stamp(job.folders.receipt) == job.stamp:
            return None
        return receipts.kept(job.folders, job.context, job.digest, retry_failed=False)

    def _run(
        self, job: Job, functions: dict[str, BoundFunction], gpu: Gpu | None, deaths: int, following: Job | None
    ) -> Receipt:
        context, folders = job.context, job.folders
        record = receipts.Record(context, job.digest, gpu)
        staging = outputs.Staging(context, folders.work)
        run = None
        try:
            if deaths >= MAX_DEATHS:
                raise DataError(
                    f"The process died {deaths} times while it executed this well (a crash of a library, or killed, "
                    "perhaps for memory). `--retry-failed` tries it again.",
                    kind="crash",
                )
            run = job.run or self._ready(job)
            run.run(staging, functions, lambda: self._begin(following))
            receipt = record.done(run, staging.describe())
        except DataError as error:
            receipt = record.failed(error, run)
        finally:
            if run is not None:
                run.reading.close()
            job.run = None
        folders.receipt.unlink(missing_ok=True)
        if receipt.status == "done":
            staging.swap(folders.results)
        else:
            # What an earlier context left would look like the result of this one.
            outputs.remove(folders.results, outputs.planned(context))
        receipts.write(folders, job.path, receipt)
        return receipt

    def _ready(self, job: Job) -> WellRun:
        return WellRun(job.context, self._raw_folder(job.folders), job.folders.results, self._reader)

    def _begin(self, job: Job | None) -> None:
        """Begin to read for a well whose turn comes next. What goes wrong shows when it has come."""
        if job is not None and job.kept is None:
            with suppress(HcsError, OSError):
                job.run = self._ready(job)
                job.run.reading.start_from_raw()

    def _raw_folder(self, folders: WellFolders) -> Path:
        if self._raw is None:
            self._raw = Path(PlatePlan.load(folders.results / "plan.json").raw_folder)
        return self._raw

    def _bring_back(self, job: Job) -> None:
        """See that what earlier stages pass on is there; where it was cleaned away, execute them again.

        Raises
        ------
        UserError
            Where an earlier stage was not executed, or failed.
        MachineError
            Where it needs a GPU, and this one has none.
        """
        context, folders = job.context, job.folders
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
            again = Job.look(earlier.context, FrozenContext.load(earlier.context), earlier, retry_failed=False)
            if again.digest != receipt.context_digest:
                raise UserError(Problem(str(earlier.context), "The context is not the one that was executed.",
                                        f"`hcs execute {earlier.context}`."))  # fmt: skip
            self._bring_back(again)
            made = self._do(again, forget=False)
            if self._report:
                self._report(made, False)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


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
