"""Runs side by side, and Snakemake where records or time stamps are not what they were."""

import os
import time

import pytest


def test_two_executions_of_the_same_wells(make, survived):
    """The second one waits for the well in flight, and does it no second time."""
    analysis = make("compile")
    first = analysis.start("s01-cpu", fault="wait")
    while not list(analysis.results.glob("work/s01-cpu/*/journal.json")):
        assert first.poll() is None
        time.sleep(0.02)
    second = analysis.start("s01-cpu")
    waits = second.stdout.readline()
    (analysis.folder / "go").touch()
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 0, said
    (analysis.folder / "go").unlink()
    survived(
        analysis, "Two runs execute the same wells", "execute", analysis.said(0, waits), status=0,
        seen="another process executes this well. Waiting for it.", then="nothing",
    )  # fmt: skip


@pytest.mark.workflow
def test_two_runs_of_snakemake(make, survived):
    analysis = make("index", keys="wells_per_batch: 2")
    first = analysis.start_snakemake()
    while not (analysis.results / "plan.json").exists():
        assert first.poll() is None
        time.sleep(0.02)
    second = analysis.snakemake()
    assert first.wait(300) == 0
    survived(analysis, "Snakemake is started twice", "snakemake", second, status=1,
             seen="Directory cannot be locked. …", then="wait",
             finish=analysis.finish_with_snakemake)  # fmt: skip


@pytest.fixture(scope="module")
def finished(make):
    """A run of Snakemake to its end, which each test disturbs and mends."""
    analysis = make(keys="wells_per_batch: 2")
    analysis.finish_with_snakemake()
    return analysis


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("fault", "record"),
    [("The index was cut after the run", "index.json"), ("The plan was cut after the run", "plan.json")],
)
def test_snakemake_writes_a_record_again_that_was_cut(finished, survived, fault, record):
    finished.look()
    path = finished.results / record
    path.write_bytes(path.read_bytes()[:100])
    run = finished.snakemake()
    survived(finished, fault, "snakemake", run, status=0, seen="3 of 3 wells done", kept=6, then="nothing",
             finish=finished.finish_with_snakemake)  # fmt: skip


@pytest.mark.workflow
def test_snakemake_with_records_from_long_ago(finished, survived):
    """What is older than what it was made of is made again; wells are kept."""
    finished.look()
    for path in finished.results.rglob("*.json"):
        os.utime(path, (1e6, 1e6))
    run = finished.snakemake()
    survived(finished, "Records from long ago", "snakemake", run, status=0, seen="3 of 3 wells done", kept=6,
             then="nothing", finish=finished.finish_with_snakemake)  # fmt: skip


@pytest.mark.workflow
def test_snakemake_with_a_record_from_the_future(make, survived):
    """As a machine writes it whose clock is ahead."""
    analysis = make("index", keys="wells_per_batch: 2")
    index = analysis.results / "index.json"
    os.utime(index, (4e9, 4e9))
    run = analysis.snakemake()
    os.utime(index)
    survived(analysis, "A clock is ahead", "snakemake", run, status=1,
             seen="Output results/demo/plan.json has older modification time … than input results/demo/index.json … "
             "This could indicate a clock skew problem …", kept=0, then="mend the clock, `touch` the file, run again",
             finish=analysis.finish_with_snakemake)  # fmt: skip
