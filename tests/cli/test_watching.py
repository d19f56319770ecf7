"""What is told of wells while Snakemake runs, from what its logger says of jobs."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hcs_lib.cli import watching
from hcs_lib.cli.watching import Watcher
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.errors import UserError
from hcs_lib.planning.progress import FailedWell, Fate, PlateProgress, StageProgress

PLAN = PlatePlan(
    plate="p1", pipeline="", raw_folder="", wells=("A01", "A02", "A03"), stages=(), labels=(), table=None, derived={},
    channel_names=(), platemap=None, allowed_failures=0, store=None,
)  # fmt: skip


@dataclass
class Run:
    """A run whose plate is as `fates` say, whenever it is looked at. A look takes `look_s` of its clock."""

    results: Path
    fates: dict[str, Fate]
    lines: list[str]
    look_s: float = 0.0
    clock: float = 0.0

    def monotonic(self) -> float:
        return self.clock

    def look(self, folder: Path) -> PlateProgress:
        assert folder == self.results / "p1"
        self.clock += self.look_s
        log = folder / "logs/s01-cpu/b001.log"
        failures = [
            FailedWell("p1", well, "s01-cpu", "no image.", log, False)
            for well, fate in self.fates.items()
            if fate == "failed"
        ]
        stage = StageProgress("s01-cpu", "well", {"b001": self.fates}, None)
        return PlateProgress(folder, PLAN, [stage], failures, [], None, [])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run(tmp_path, {"A01": "done", "A02": "to_do", "A03": "to_do"}, [])
    monkeypatch.setattr(watching, "look_at_plate", run.look)
    monkeypatch.setattr(watching, "time", run)
    return run


def logged(run: Run, records: Iterable[dict[str, object]]) -> list[str]:
    logger = logging.Logger("snakemake", logging.INFO)
    logger.addHandler(Watcher(run.results, run.lines.append))
    for record in records:
        logger.info("", extra=record)
        if record.get("jobid") == 8:
            run.fates |= {"A02": "failed"}
    return run.lines


def info(jobid: int, **wildcards: str) -> dict[str, object]:
    return {"event": "job_info", "jobid": jobid, "rule_name": "some", "wildcards": wildcards or None}


def test_a_finished_job_of_a_stage_counts_wells_and_others_do_not(run: Run) -> None:
    finished = [{"event": "job_finished", "job_id": number} for number in range(12)]
    stage = {"plate": "p1", "stage": "s01-cpu"}
    records = [{}, info(1, plate="p1"), info(2), finished[1], finished[2], finished[3], info(7, **stage), finished[7]]
    assert logged(run, records) == ["p1 s01-cpu: 1 of 3 wells done, 2 to do"]
    run.lines.clear()
    # A well that failed is told once, whichever job ends next.
    records = [info(8, **stage), info(9, **stage), finished[8], finished[9], finished[9]]
    assert logged(run, records) == [
        f"p1: A02 failed in s01-cpu: no image. ({run.results}/p1/logs/s01-cpu/b001.log)",
        "p1 s01-cpu: 1 of 3 wells done, 1 failed, 1 to do",
        "p1 s01-cpu: 1 of 3 wells done, 1 failed, 1 to do",
    ]


def test_looks_take_a_fiftieth_of_the_time_and_leave_out_no_job(run: Run) -> None:
    run.look_s = 0.5
    stage = {"plate": "p1", "stage": "s01-cpu"}
    logger = logging.Logger("snakemake", logging.INFO)
    logger.addHandler(Watcher(run.results, run.lines.append))

    def end(jobs: Iterable[int]) -> int:
        for job in jobs:
            logger.info("", extra=info(job, **stage))
            logger.info("", extra={"event": "job_finished", "job_id": job})
        return len(run.lines)

    assert end(range(100)) == 1
    run.clock = 24.9
    assert end(range(100, 200)) == 1
    run.clock = 25.0
    # Of the jobs that ended meanwhile, whatever is logged next; then of none.
    logger.info("", extra=info(200, plate="p1"))
    logger.info("", extra=info(201, plate="p1"))
    assert run.lines == 2 * ["p1 s01-cpu: 1 of 3 wells done, 2 to do"]
    run.clock = 50.0
    logger.info("", extra=info(202, plate="p1"))
    assert end([]) == 2


def test_a_job_that_failed_counts_as_well(run: Run) -> None:
    error = {"event": "job_error", "jobid": 1, "rule_name": "execute_cpu", "rule_msg": "It was cancelled.", "log": []}
    assert logged(run, [info(1, plate="p1", stage="s01-cpu"), error]) == [
        "execute_cpu: It was cancelled.",
        "p1 s01-cpu: 1 of 3 wells done, 2 to do",
    ]


def test_a_plate_that_cannot_be_looked_at_disturbs_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> PlateProgress:
        raise UserError(f"{folder} is compiled anew")

    monkeypatch.setattr(watching, "look_at_plate", fail)
    assert logged(run, [info(1, plate="p1", stage="s01-cpu"), {"event": "job_finished", "job_id": 1}]) == []


def test_why_a_job_was_lost_is_told_and_stands_in_a_log_that_it_did_not_begin(run: Run, tmp_path: Path) -> None:
    begun, none = tmp_path / "begun.log", tmp_path / "logs/none.log"
    begun.write_text("demo A01 s01-cpu: done in 0.10 s\n")
    message = "SLURM-job '7' failed, SLURM status is: 'NODE_FAIL'.\nFor further error details see elsewhere.\n"
    error = {
        "event": "job_error",
        "jobid": 3,
        "rule_name": "execute_cpu",
        "rule_msg": message,
        "log": [str(begun), str(none)],
    }
    reason = "SLURM-job '7' failed, SLURM status is: 'NODE_FAIL'."
    assert logged(run, [error, error | {"rule_msg": None}]) == [f"execute_cpu: {reason}"]
    assert begun.read_text() == "demo A01 s01-cpu: done in 0.10 s\n"
    assert none.read_text() == f"hcs: {reason}\n"
