"""Jobs that are lost: cancelled by a person, on a node that died, killed for memory. The run ends well by itself.

One run loses jobs in all three ways at once; `make slurm` (HCS_SLURM=full) loses them in each way alone, too, and those
of a node whose daemon alone died: Slurm starts jobs anew whose processes are still at work.
"""

import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

TOGETHER = ("cancelled", "node", "memory")
ALONE = [(loss,) for loss in (*TOGETHER, "daemon")]
LOSSES = [TOGETHER, *ALONE] if os.environ.get("HCS_SLURM") == "full" else [TOGETHER]
HUNGRY = "H01"
"""The first well of its batch: it needs more memory than its job asks for at first, and less than at the second."""
STAGE = "s01-cpu"
EXECUTE = f"rule_execute_cpu_wildcards_demo_{STAGE}_"
STATES = {"cancelled": "CANCELLED", "node": "NODE_FAIL", "daemon": "NODE_FAIL", "memory": "FAILED"}


def wait_for(what: str, found: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = 240) -> Any:
    """Wait until something is found, while Snakemake runs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := found():
            return result
        assert process.poll() is None, f"Snakemake ended before there was {what}"
        time.sleep(0.5)
    raise AssertionError(f"no {what} after {seconds:.0f} s")


@pytest.fixture
def prepared(make: Callable[[str], Any], request: pytest.FixtureRequest) -> Any:
    """The plate of 96 wells in batches of twelve, compiled."""
    losses = request.node.callspec.params["losses"]
    # So that jobs are found at work; and so that those without a daemon are, when Slurm misses it, half a minute later.
    seconds = 5 if "daemon" in losses else 1.5
    analysis = make("losses")
    analysis.edit("config/config.yaml", "wells_per_batch: 48", "wells_per_batch: 12")
    analysis.edit("config/pipelines/demo.yaml", "seconds: 0.0", f"seconds: {seconds}")
    if "memory" in losses:
        hungry = f"{{wells: [{HUNGRY}], step: held, args: {{held.hold: {{megabytes: 400, seconds: 5}}}}}}"
        with (analysis.folder / "config/pipelines/demo.yaml").open("a") as file:
            file.write(f"overrides:\n  - {hungry}\n")
    analysis.run("--until", "compile", slurm=False)
    return analysis


@pytest.mark.parametrize("losses", LOSSES, ids="-".join)
def test_lost_jobs_are_done_again_without_a_hand(
    cluster: Any, prepared: Any, local: Any, losses: tuple[str, ...]
) -> None:
    before = cluster.last_id()

    def at_work(node: str) -> list[Any]:
        """Return the running jobs of a node that have finished some wells, and have some before them."""
        progress = prepared.status()["plates"][0]
        if not progress["running"] or not progress["stages"][0]["done"]:
            return []
        jobs = [job for submitted in cluster.jobs(before).values() for job in submitted]
        return [job for job in jobs if job.state == "RUNNING" and job.nodes == node and job.comment.startswith(EXECUTE)]

    def lost(state: str) -> list[Any]:
        return [job for submitted in cluster.jobs(before).values() for job in submitted if job.state == state]

    command = prepared.command("results/demo/verdict.txt", "results/demo/tables/hits.csv", slurm=True)
    log = prepared.folder / "run.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=prepared.folder, stdout=file, stderr=subprocess.STDOUT)
    try:
        if "memory" in losses:
            wait_for("a job killed for its memory", lambda: lost("FAILED"), process)
        if "cancelled" in losses:
            victim = wait_for("a job to cancel", lambda: at_work("cpu1"), process)[0]
            cluster.cancel(victim)
        if "node" in losses or "daemon" in losses:
            victims = wait_for("a job on the node", lambda: at_work("cpu2"), process)
            if "node" in losses:
                cluster.kill_node("cpu2", victims)
            else:
                cluster.kill_daemon("cpu2")
            wait_for("a job lost with its node", lambda: lost("NODE_FAIL"), process)
            cluster.start_nodes()
        process.wait(timeout=400)
    finally:
        process.kill()
        process.wait()
        cluster.start_nodes()
    assert process.returncode == 0, log.read_text()

    jobs = cluster.jobs(before)
    ends = [job.state for comment, submitted in jobs.items() if comment.startswith(EXECUTE) for job in submitted]
    assert ends.count("COMPLETED") == 8, ends
    for loss in losses:
        assert STATES[loss] in ends, f"{loss}: nothing was lost"
    assert set(ends) <= {"COMPLETED", *(STATES[loss] for loss in losses)}
    if "memory" in losses:
        first, *_, last = jobs[f"{EXECUTE}b008"]
        assert int(last.memory.rstrip("M")) >= 2 * int(first.memory.rstrip("M"))
    assert prepared.status()["plates"][0]["done"] == 96
    prepared.assert_same(local)
