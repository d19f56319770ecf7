"""Killed (a command, or Snakemake with or without its jobs), and run again: the bytes of a run that nobody disturbed.

Commands die at a change to a file which is drawn at random, Snakemake in a job that is. Some kills; `make faults` asks
for a hundred and more, `HCS_FAULTS=N` for any number. They are drawn with a seed.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

KILLS = int(os.environ.get("HCS_FAULTS", "15"))
SEED = 20261124
KILLED = ("index", "compile", "s01-cpu", "s02-cpu", "collect")
VICTIMS = {
    "both": "SIGKILL of Snakemake and its jobs",
    "job": "SIGKILL of a job",
    "snakemake": "SIGKILL of Snakemake, its jobs go on",
}


@pytest.fixture(scope="module")
def changes(make):
    """How many changes to files each command makes."""
    analysis, found = make(), {}
    for command in KILLED:
        run = analysis.hcs(command, die_at=0)
        assert run.status == 0, run.text
        found[command] = int(run.text.split()[-1])
    return found


def test_commands_change_files_all_the_way(changes):
    assert min(changes.values()) > 5, changes


@pytest.mark.parametrize("life", range(-(-KILLS // len(KILLED))))
def test_every_command_killed_once(make, survived, changes, life):
    """Each well of each stage dies at most once: twice would be a fault of its own."""
    draw = random.Random(SEED + life)
    analysis = make()
    for command in KILLED:
        moment = draw.randint(1, changes[command])
        before = analysis.receipts()
        killed = analysis.hcs(command, die_at=moment)
        assert killed.status == -signal.SIGKILL, killed.text
        finished = analysis.receipts()
        run = analysis.hcs(command)
        assert run.status == 0, run.text
        after = analysis.receipts()
        assert all(after[name] == receipt for name, receipt in finished.items()), "finished wells were redone"
        print(f"{command} killed at change {moment} of {changes[command]}: {len(finished) - len(before)} wells done")
    survived(analysis, "SIGKILL of a command, at any moment", "any", killed, status=-signal.SIGKILL, seen="")


@pytest.mark.workflow
@pytest.mark.parametrize("number", range(max(len(VICTIMS), KILLS // 10)))
def test_snakemake_killed(make, survived, number):
    """At a random moment of a random job, of which there are nine."""
    draw = random.Random(SEED + number)
    victim, jobs = list(VICTIMS)[number % len(VICTIMS)], draw.randint(1, 7)
    analysis = make(keys="wells_per_batch: 2")
    process = analysis.start_snakemake()
    try:
        wait_for_jobs(process, analysis.results, jobs)
        time.sleep(draw.uniform(0, 0.3))
        kill(process, victim)
        process.wait(300)
    finally:
        process.kill()
        process.wait()
    print(f"{victim} killed in job {jobs}: {len(analysis.receipts())} receipts were there")
    if victim == "job":
        run, seen, then = analysis.ended(process), "Killed … Exiting because a job execution failed. …", "run again"
    else:
        run, seen, then = analysis.snakemake(), "Directory cannot be locked. …", "`snakemake --unlock`, run again"
    survived(
        analysis, VICTIMS[victim], "snakemake", run, status=1, seen=seen, then=then,
        finish=analysis.finish_with_snakemake,
    )  # fmt: skip


def wait_for_jobs(process: subprocess.Popen[bytes], results: Path, jobs: int) -> None:
    """Wait until so many jobs have begun: each has a log."""
    while process.poll() is None and sum(path.suffix == ".log" for path in results.glob("logs/**/*")) < jobs:
        time.sleep(0.02)


def kill(process: subprocess.Popen[bytes], victim: str) -> None:
    if victim == "both":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "snakemake":
        process.kill()
    else:
        while (job := next(hcs_of(process.pid), None)) is None:
            assert process.poll() is None, "it was over before"
            time.sleep(0.02)
        os.kill(job, signal.SIGKILL)


def hcs_of(pid: int) -> Iterator[int]:
    """Yield the processes below one that run `hcs`."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if any(part.endswith(b"/hcs") for part in command[:2]):
                    yield child
                yield from hcs_of(child)
