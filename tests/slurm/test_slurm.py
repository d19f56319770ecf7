"""`snakemake --profile slurm` on a real Slurm, which the tests start on this machine and stop."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

BATCHES = ("b001", "b002")


def test_a_plate_of_96_wells_with_a_stage_on_gpus_is_that_of_a_local_run(
    cluster: Any, make: Callable[[str], Any], local: Any
) -> None:
    """No driver answers for the GPUs of the tests: the id alone is known. The function computes on the CPU anyhow."""
    analysis = make("clone")
    labels = "outputs: {labels: nuclei}\n"
    analysis.edit("config/pipelines/demo.yaml", labels, f"{labels}    gpu: 1\n")
    before = cluster.last_id()
    text = analysis.run("--set-resources", "execute_gpu:slurm_partition=gpu", slurm=True)

    results = analysis.results
    assert (results / "verdict.txt").read_text().startswith("demo: 96 of 96 wells done, 0 failed (0 allowed); "), text
    assert "demo s02-gpu: 96 of 96 wells done" in text
    analysis.assert_same(local)

    plan = json.loads((results / "plan.json").read_text())
    assert [(stage["name"], stage["gpu"]) for stage in plan["stages"]] == [
        ("s01-cpu", 0),
        ("s02-gpu", 1),
        ("s03-cpu", 0),
    ]
    devices = {
        stage: [json.loads(path.read_text())["device"] for path in results.glob(f"receipts/{stage}/*.json")]
        for stage in ("s01-cpu", "s02-gpu", "s03-cpu")
    }
    assert {stage: {device["type"] for device in found} for stage, found in devices.items()} == {
        "s01-cpu": {"cpu"},
        "s02-gpu": {"gpu"},
        "s03-cpu": {"cpu"},
    }
    assert len(devices["s02-gpu"]) == 96
    assert {device["id"] for device in devices["s02-gpu"]} <= {"0", "1"}, "what Slurm gave"

    jobs = cluster.jobs(before)
    libraries = {path.stem for path in (analysis.folder / "results/registry").glob("*.json")}
    assert set(jobs) == {
        *(f"rule_registry_wildcards_{library}" for library in libraries),
        "rule_index_wildcards_demo",
        "rule_compile_wildcards_demo",
        *(f"rule_execute_cpu_wildcards_demo_{stage}_{batch}" for stage in ("s01-cpu", "s03-cpu") for batch in BATCHES),
        *(f"rule_execute_gpu_wildcards_demo_s02-gpu_{batch}" for batch in BATCHES),
        "rule_collect_wildcards_demo",
        "rule_screen_wildcards_demo",
        "rule_figures_wildcards_demo",
        "rule_provenance_wildcards_demo",
        "rule_summary",
        "rule_crate",
    }, "all rules but the local one"
    for comment, submitted in jobs.items():
        assert [(job.state, job.requeue) for job in submitted] == [("COMPLETED", "0")], f"{comment}: once"
        gpu = comment.startswith("rule_execute_gpu")
        assert submitted[0].gpus == ("gres:gpu:1" if gpu else "")
        assert submitted[0].nodes in ({"gpu1"} if gpu else {"cpu1", "cpu2"}), "without a GPU, not where there are some"
        assert submitted[0].minutes != "UNLIMITED"
    (job,) = jobs["rule_execute_gpu_wildcards_demo_s02-gpu_b001"]
    stage = plan["stages"][1]
    assert job.memory == f"{stage['mem_mb'] + 400}M"
    assert job.minutes == f"00:{stage['minutes']}:00"


SHARED_GPUS = """
rule both:
    input:
        "0.txt",
        "1.txt",
    localrule: True


rule execute_gpu:
    output:
        "{number}.txt",
    resources:
        mem_mb=500,
        gpu=1,
    shell:
        "touch seen-{wildcards.number};"
        " for i in $(seq 200); do if [ -e seen-0 -a -e seen-1 ]; then break; fi; sleep 0.1; done;"
        " [ -e seen-0 -a -e seen-1 ] && echo $CUDA_VISIBLE_DEVICES $SLURM_JOB_ID > {output}"
"""


def test_jobs_with_a_gpu_run_side_by_side_each_on_its_own(
    cluster: Any, at: Callable[[Path], Any], repository: Path, tmp_path: Path
) -> None:
    shutil.copytree(repository / "profiles/slurm", tmp_path / "slurm")
    (tmp_path / "Snakefile").write_text(SHARED_GPUS)
    before = cluster.last_id()
    at(tmp_path).run("--set-resources", "execute_gpu:slurm_partition=gpu", slurm=True)
    devices, ids = zip(*((tmp_path / f"{number}.txt").read_text().split() for number in (0, 1)), strict=True)
    assert set(devices) == {"0", "1"}
    assert len(set(ids)) == 2, "two Slurm jobs"
    assert {job.nodes for jobs in cluster.jobs(before).values() for job in jobs} == {"gpu1"}
