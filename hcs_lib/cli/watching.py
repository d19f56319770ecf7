"""What is told of wells while Snakemake runs, whose own counts are of jobs."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hcs_lib.cli.status import failure_line, stage_line
from hcs_lib.core.errors import HcsError
from hcs_lib.planning.progress import look_at_plate

_SHARE = 0.02
"""Of the time of a run that looking at plates may take."""


class Watcher(logging.Handler):
    """A handler beside those of Snakemake's logger: counts the wells of a stage when jobs of it end.

    Only the plates of these jobs are looked at. Where jobs end faster than that goes, wells are counted for several at
    once, so that a run is not held up. A well that failed is told once. Why a scheduler lost or refused a job is told,
    too: the logger of profiles/default knows nothing but the job's own log. Where the job came to none, that says it as
    well. So the handler stands before others.

    Parameters
    ----------
    results
        The folder of all plates.
    tell
        Takes each line.
    """

    def __init__(self, results: Path, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._results = results
        self._tell = tell
        self._jobs: dict[int, tuple[str, str]] = {}
        self._told: set[tuple[str, str]] = set()
        self._ended: dict[str, set[str]] = defaultdict(set)
        self._rests_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Look at what Snakemake logs: a job of a stage began, is finished, or was lost."""
        with suppress(HcsError, OSError):  # a plate that is compiled anew meanwhile, a full disk: the run goes on
            self._look(vars(record))

    def _look(self, said: Mapping[str, Any]) -> None:
        match said.get("event"):
            case "job_info" if "stage" in (wildcards := said["wildcards"] or {}):
                self._jobs[said["jobid"]] = wildcards["plate"], wildcards["stage"]
            case "job_finished":
                self._end(said["job_id"])
            case "job_error":
                self._end(said["jobid"])
                if said["rule_msg"]:
                    self._tell_why(said["rule_name"], said["rule_msg"].splitlines()[0], map(Path, said["log"]))
            case None:  # a line that this tells, or another
                return
        if (begun := time.monotonic()) >= self._rests_until:
            while self._ended:
                self._count(*self._ended.popitem())
            self._rests_until = begun + (time.monotonic() - begun) / _SHARE

    def _end(self, job: int) -> None:
        if job in self._jobs:
            plate, stage = self._jobs.pop(job)
            self._ended[plate].add(stage)

    def _tell_why(self, rule: str, reason: str, logs: Iterable[Path]) -> None:
        self._tell(f"{rule}: {reason}")
        for log in logs:
            if not log.exists():
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(f"hcs: {reason}\n")

    def _count(self, name: str, stages: Iterable[str]) -> None:
        plate = look_at_plate(self._results / name)
        for failed in plate.failures:
            if (name, failed.well) not in self._told:
                self._told.add((name, failed.well))
                self._tell(f"{name}: {failure_line(failed)}")
        for stage in sorted(stages):
            self._tell(stage_line(plate, stage))
