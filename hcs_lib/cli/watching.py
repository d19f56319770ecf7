"""What is told of wells while Snakemake runs, whose own counts are of jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hcs_lib.cli.status import failure_line, stage_line
from hcs_lib.core.errors import HcsError
from hcs_lib.planning.progress import look_at_plate


class Watcher(logging.Handler):
    """A handler beside those of Snakemake's logger: counts the wells of a stage whenever a job of it is finished.

    A well that failed is told once. Only the plate of the job is looked at. Why a scheduler lost or refused a job is
    told, too: the logger of profiles/default knows nothing but the job's own log. Where the job came to none, that says
    it as well. So the handler stands before others.

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

    def emit(self, record: logging.LogRecord) -> None:
        """Look at what Snakemake logs: a job of a stage began, is finished, or was lost."""
        with suppress(HcsError, OSError):  # a plate that is compiled anew meanwhile, a full disk: the run goes on
            self._look(vars(record))

    def _look(self, said: Mapping[str, Any]) -> None:
        if said.get("event") == "job_info" and "stage" in (wildcards := said["wildcards"] or {}):
            self._jobs[said["jobid"]] = wildcards["plate"], wildcards["stage"]
        elif said.get("event") == "job_finished" and said["job_id"] in self._jobs:
            self._count(*self._jobs.pop(said["job_id"]))
        elif said.get("event") == "job_error" and said["rule_msg"]:
            self._tell_why(said["rule_name"], said["rule_msg"].splitlines()[0], map(Path, said["log"]))

    def _tell_why(self, rule: str, reason: str, logs: Iterable[Path]) -> None:
        self._tell(f"{rule}: {reason}")
        for log in logs:
            if not log.exists():
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(f"hcs: {reason}\n")

    def _count(self, name: str, stage: str) -> None:
        plate = look_at_plate(self._results / name)
        for failed in plate.failures:
            if (name, failed.well) not in self._told:
                self._told.add((name, failed.well))
                self._tell(f"{name}: {failure_line(failed)}")
        self._tell(stage_line(plate, stage))
