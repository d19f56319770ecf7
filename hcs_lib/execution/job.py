"""One well to be executed: looked at, made ready while the well before it computes, and done."""

from __future__ import annotations

import logging
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
from hcs_lib.core.files import read_json, stamp
from hcs_lib.execution import outputs, receipts
from hcs_lib.execution.devices import Gpu, leased_gpu
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.journal import MAX_DEATHS, in_flight
from hcs_lib.execution.memory import keep_temporaries
from hcs_lib.execution.passing import outputs_taken
from hcs_lib.execution.threads import limit_threads
from hcs_lib.execution.validation import check_context
from hcs_lib.execution.watchdog import limited
from hcs_lib.execution.well import WellRun

if TYPE_CHECKING:
    from hcs_lib.registry.service import BoundFunction

WAIT_SECONDS = 600.0
"""How long to wait for a well that another process executes."""

_log = logging.getLogger("hcs.execution")

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
    stamp: tuple[int, int, int] | None = None
    run: WellRun | None = None

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"plate {self.context.plate}, {self.context.axis_id}, stage {self.context.stage}"

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
        before = stamp(folders.receipt)
        kept = receipts.kept(folders, context, digest, retry_failed=retry_failed)
        return cls(path, context, digest, folders, kept, before)


class Worker:
    """What the wells of one call share: the raw plate, a device, and a thread that reads ahead."""

    def __init__(self, raw: Path | None, *, retry_failed: bool, report: Report | None) -> None:
        self._raw = raw
        self._plan: PlatePlan | None = None
        self._retry_failed = retry_failed
        self._report = report
        self._stack = ExitStack()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="hcs-read")
        self._gpu: Gpu | None = None

    def __enter__(self) -> Worker:
        keep_temporaries()
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
                receipt = self._overtaken(job)
                if receipt is None:
                    with limited(
                        self._minutes(job.folders), job.where, lambda: job.run.doing if job.run else "(writing)"
                    ):
                        receipt = self._run(job, functions, gpu, deaths, following)
                return receipt
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
        if stamp(job.folders.receipt) == job.stamp:
            return None
        return receipts.kept(job.folders, job.context, job.digest, retry_failed=False)

    def _run(
        self, job: Job, functions: dict[str, BoundFunction], gpu: Gpu | None, deaths: int, following: Job | None
    ) -> Receipt:
        context, folders = job.context, job.folders
        record = receipts.Record(context, job.digest, gpu)
        staging = outputs.Staging(context, folders.work)
        try:
            if deaths >= MAX_DEATHS:
                raise DataError(
                    f"The process died {deaths} times while it executed this well (a crash of a library, or killed, "
                    "perhaps for memory or as it took too long). `--retry-failed` tries it again.",
                    kind="crash",
                )
            job.run = job.run or self._ready(job)
            job.run.run(staging, functions, lambda: self._begin(following))
            receipt = record.done(job.run, staging.describe())
        except DataError as error:
            receipt = record.failed(error, job.run)
        finally:
            if job.run is not None:
                job.run.reading.close()
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
        return self._raw or Path(self._plan_of(folders).raw_folder)

    def _minutes(self, folders: WellFolders) -> float | None:
        """Return how long a well may take; a context that is executed without its plan has no limit."""
        there = self._plan or (folders.results / "plan.json").is_file()
        return self._plan_of(folders).well_minutes if there else None

    def _plan_of(self, folders: WellFolders) -> PlatePlan:
        self._plan = self._plan or PlatePlan.load(folders.results / "plan.json")
        return self._plan

    def _bring_back(self, job: Job) -> None:
        """See that what earlier stages pass on is there as it was written; else execute them again.

        What this well takes is read for it: names and sizes of files would not tell a damaged one.

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
            lost = receipt.missing(folders.results)
            lost = lost or receipt.damaged(folders.results, outputs_taken(context, stage))
            if lost is None:
                continue
            if stage.endswith("gpu") and not context.stage.endswith("gpu"):
                raise MachineError(f"{where}: {lost} is removed or damaged, and needs a GPU to be made again. "
                                   f"`hcs clean {folders.results} --stage {stage}`, and run the workflow.")  # fmt: skip
            _log.warning("%s: %s is removed or damaged. It is made again.", where, lost)
            again = Job.look(earlier.context, FrozenContext.load(earlier.context), earlier, retry_failed=False)
            if again.digest != receipt.context_digest:
                raise UserError(Problem(str(earlier.context), "The context is not the one that was executed.",
                                        f"`hcs execute {earlier.context}`."))  # fmt: skip
            self._bring_back(again)
            made = self._do(again, forget=False)
            if self._report:
                self._report(made, False)


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
