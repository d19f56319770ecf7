"""When a receipt may be trusted, and how one is written."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.receipts import Failure, Output, Receipt, SiteRecord
from hcs_lib.core.errors import DataError
from hcs_lib.execution.devices import Gpu, describe
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.memory import peak_mb, reset_peak
from hcs_lib.execution.outputs import planned
from hcs_lib.execution.well import WellRun, sites_of


def kept(folders: WellFolders, context: FrozenContext, digest: str, *, retry_failed: bool) -> Receipt | None:
    """Return the receipt of a well that need not be done again, or None.

    It must stand for this context and name all that the context plans; and what it names must be there, file by
    file and byte by byte in number.
    A failure of the data stays a failure until it is asked for again.
    """
    receipt = Receipt.load(folders.receipt)
    if receipt is None or receipt.context_digest != digest:
        return None
    if receipt.status == "failed":
        return None if retry_failed else receipt
    left_out = {site.site for site in receipt.sites if site.status == "skipped"}
    if {output.path for output in receipt.outputs} != planned(context, left_out):
        return None
    return receipt if receipt.missing(folders.results) is None else None


class Record:
    """What there is to say of the execution of a well, from its beginning to its receipt."""

    def __init__(self, context: FrozenContext, digest: str, gpu: Gpu | None) -> None:
        self._context = context
        self._digest = digest
        self._gpu = gpu
        self._started = _now()
        reset_peak()

    def done(self, run: WellRun, outputs: tuple[Output, ...]) -> Receipt:
        """Return the receipt of a well whose outputs are all there."""
        sites = run.sites()
        left = [f"site {site.site} is left out: {site.reason}" for site in sites if site.status == "skipped"]
        return Receipt(
            **self._common(run),
            status="done",
            reason="",
            failure=None,
            outputs=outputs,
            sites=sites,
            counts=run.counts(),
            warnings=(*left, *run.warnings),
        )

    def failed(self, error: DataError, run: WellRun | None) -> Receipt:
        """Return the receipt of a well that failed, or was left out (kind `skipped`)."""
        skipped = error.kind == "skipped"
        sites = []
        for site in sites_of(self._context):
            own = error.site in (site, None)
            sites.append(
                SiteRecord(
                    site=site,
                    status="failed" if own and not skipped else "skipped",
                    planes=0,
                    counts={},
                    reason=str(error) if own else f"the well is left out because of site {error.site}",
                )
            )
        return Receipt(
            **self._common(run),
            status="failed",
            reason=str(error),
            failure=Failure(kind=error.kind, message=str(error), site=error.site, step=error.step),
            outputs=(),
            sites=tuple(sites),
            warnings=tuple(run.warnings) if run else (),
        )

    def _common(self, run: WellRun | None) -> dict[str, Any]:
        context = self._context
        libraries: dict[str, set[str]] = {}
        for function in context.functions:
            libraries.setdefault(function.library, set()).add(function.version)
        # Each function of ours has a version of its own.
        used = {
            function.library if len(libraries[function.library]) == 1 else function.id: function.version
            for function in context.functions
        }
        planes = run.reading.hashes if run else {}
        read = {ref.file: ref.size for ref in context.planes if f"{ref.file}#{ref.page}" in planes}
        return {
            "plate": context.plate,
            "well": context.axis_id,
            "stage": context.stage,
            "context_digest": self._digest,
            "planes": planes,
            "device": describe(self._gpu, context.threads),
            "versions": {**context.engine.versions, **used, "python": ".".join(map(str, sys.version_info[:3]))},
            "seconds": {name: round(value, 4) for name, value in run.seconds.items()} if run else {},
            "bytes_read": sum(read.values()),
            "peak_memory_mb": peak_mb(),
            "started": self._started,
            "finished": _now(),
        }


def _now() -> str:
    """Return the time, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write(folders: WellFolders, context_path: Path, receipt: Receipt) -> None:
    """Write a receipt, the last act of a well; a copy of the executed context goes before it."""
    folders.executed_context.parent.mkdir(parents=True, exist_ok=True)
    copy = folders.work / "context.json"
    shutil.copyfile(context_path, copy)
    copy.replace(folders.executed_context)
    receipt.save(folders.receipt)
