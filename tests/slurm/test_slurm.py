"""`snakemake --profile slurm` on a real Slurm, which the tests start on this machine and stop."""

import csv
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
WELLS = ("B02", "C03", "D05")
# Two batches: B02 and C03 stand in the first sixteen positions of a plate of 24, D05 behind them.
BATCHES = ("b001", "b002")


class Job(NamedTuple):
    """What Slurm knows of a job."""

    state: str
    nodes: str
    requeue: str


class Cluster:
    """The running cluster."""

    def jobs(self) -> dict[str, Job]:
        """Return the jobs of the last five minutes by comment, where the plugin writes rule and wildcards."""
        text = subprocess.run(
            ["scontrol", "show", "job", "--oneliner"], check=True, text=True, stdout=subprocess.PIPE
        ).stdout
        records = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]
        return {record["Comment"]: Job(record["JobState"], record["NodeList"], record["Requeue"]) for record in records}


def reason_to_skip() -> str | None:
    path = f"{os.environ['PATH']}:/usr/sbin"
    absent = [name for name in ("sbatch", "slurmctld", "slurmd", "munged") if shutil.which(name, path=path) is None]
    if absent:
        return f"no {', '.join(absent)} on this machine (Debian: slurmctld, slurmd, slurm-client, munge)"
    if os.geteuid() != 0:
        return "only root can start a Slurm cluster"
    if Path("/etc/slurm/slurm.conf").exists():
        return "/etc/slurm/slurm.conf belongs to another cluster"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "no Slurm plugin: make setup EXTRAS=slurm"
    return None


def free_ports(count: int) -> int:
    """Return the first of some neighbouring ports that nobody listens on."""
    for first in range(26900, 28900, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := reason_to_skip():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([HERE / "start", folder, str(free_ports(4)), str(os.getpid())], check=True, timeout=60)
    yield Cluster()
    subprocess.run([HERE / "stop", folder], check=True, timeout=60)


def snakemake(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [BIN / "snakemake", *arguments], cwd=folder, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def on_slurm(folder: Path, *arguments: str) -> str:
    return snakemake(folder, "--profile", "slurm", "--slurm-init-seconds-before-status-checks", "1", *arguments)


@pytest.fixture(scope="module")
def clone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a clone, and some wells of the demo."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    folder.mkdir()
    shutil.copy(repository / "Snakefile", folder)
    for name in ("workflow", "config", "profiles", "slurm"):
        source = repository / name
        if source.is_symlink():
            (folder / name).symlink_to(source.readlink())
        else:
            shutil.copytree(source, folder / name)
    subprocess.run([BIN / "hcs", "demo", "demo"], cwd=folder, check=True, stdout=subprocess.PIPE)
    for image in folder.glob("demo/plate/**/*.tif"):
        if not any(f"_{well}_" in image.name for well in WELLS):
            image.unlink()
    platemap = folder / "demo/platemap.csv"
    header, *rows = platemap.read_text().splitlines()
    platemap.write_text("\n".join([header, *(row for row in rows if row.startswith(WELLS))]) + "\n")
    return folder


@pytest.fixture(scope="module")
def local(clone: Path) -> Path:
    """The results of the same plate without Slurm."""
    folder = clone.with_name("local")
    shutil.copytree(clone, folder, symlinks=True)
    snakemake(folder, "--cores", "2")
    return folder / "results/demo"


def contents(*folders: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_plate_on_the_cluster_is_the_plate_of_a_local_run(cluster: Cluster, clone: Path, local: Path) -> None:
    text = on_slurm(clone)
    results = clone / "results/demo"

    assert (results / "verdict.txt").read_text().startswith("demo: 3 of 3 wells done, 0 failed (0 allowed); ")
    with (results / "tables/wells.csv").open(newline="") as file:
        assert {row["well"]: row["status"] for row in csv.DictReader(file)} == dict.fromkeys(WELLS, "done"), text
    found, expected = (contents(folder / "tables", folder / "demo.zarr") for folder in (results, local))
    assert len(expected) > 50
    assert found.keys() == expected.keys()
    assert not [path for path in expected if found[path] != expected[path]]

    jobs = cluster.jobs()
    libraries = {path.stem for path in (clone / "results/registry").glob("*.json")}
    assert set(jobs) == {
        *(f"rule_registry_wildcards_{library}" for library in libraries),
        "rule_index_wildcards_demo",
        "rule_compile_wildcards_demo",
        *(f"rule_execute_cpu_wildcards_demo_s01-cpu_{batch}" for batch in BATCHES),
        "rule_collect_wildcards_demo",
        "rule_screen_wildcards_demo",
        "rule_figures_wildcards_demo",
        "rule_provenance_wildcards_demo",
        "rule_summary",
        "rule_crate",
    }, "all rules but the local one, each job submitted once"
    for job in jobs.values():
        assert job.state == "COMPLETED"
        assert job.nodes in {"cpu1", "cpu2"}, "a job without a GPU is on the node that has some"
        assert job.requeue == "0"


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


def test_jobs_with_a_gpu_run_side_by_side_each_on_its_own(cluster: Cluster, repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "profiles/slurm", tmp_path / "slurm")
    (tmp_path / "Snakefile").write_text(SHARED_GPUS)
    on_slurm(tmp_path, "--set-resources", "execute_gpu:slurm_partition=gpu")
    devices, ids = zip(*((tmp_path / f"{number}.txt").read_text().split() for number in (0, 1)), strict=True)
    assert set(devices) == {"0", "1"}
    assert len(set(ids)) == 2, "two Slurm jobs"
    assert {cluster.jobs()[f"rule_execute_gpu_wildcards_{number}"].nodes for number in (0, 1)} == {"gpu1"}


def test_a_step_that_asks_for_a_gpu_has_one_of_the_schedulers(cluster: Cluster, clone: Path, local: Path) -> None:
    """No driver answers for the GPUs of the tests: the id alone is known. The function computes on the CPU anyhow."""
    folder = clone.with_name("gpu")
    shutil.copytree(clone, folder, symlinks=True, ignore=shutil.ignore_patterns("results", ".snakemake"))
    with (folder / "config/config.yaml").open("a") as file:
        file.write("device: auto\n")
    pipeline = folder / "config/pipelines/demo.yaml"
    step = "outputs: {labels: nuclei}\n"
    assert step in pipeline.read_text()
    pipeline.write_text(pipeline.read_text().replace(step, f"{step}    gpu: 1\n"))
    text = on_slurm(folder, "results/demo/verdict.txt", "--set-resources", "execute_gpu:slurm_partition=gpu")
    results = folder / "results/demo"
    assert [stage["gpu"] for stage in json.loads((results / "plan.json").read_text())["stages"]] == [0, 1, 0], text
    devices = {
        path.parent.name: json.loads(path.read_text())["device"] for path in results.glob(f"receipts/*/{WELLS[0]}.json")
    }
    assert {stage: device["type"] for stage, device in devices.items()} == {
        "s01-cpu": "cpu",
        "s02-gpu": "gpu",
        "s03-cpu": "cpu",
    }
    leased = [json.loads((results / f"receipts/s02-gpu/{well}.json").read_text())["device"] for well in WELLS]
    assert {device["id"] for device in leased} <= {"0", "1"}
    assert all(set(device) == {"type", "machine", "threads", "id"} for device in leased)
    jobs = cluster.jobs()
    assert {jobs[f"rule_execute_gpu_wildcards_demo_s02-gpu_{batch}"].nodes for batch in BATCHES} == {"gpu1"}
    for table in ("objects.parquet", "sites.parquet", "wells.csv"):
        assert (results / "tables" / table).read_bytes() == (local / "tables" / table).read_bytes()
