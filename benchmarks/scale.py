"""What jobs cost under Slurm, beside jobs on this machine; on a cluster that this starts here.

    .venv/bin/python benchmarks/scale.py

A plate of 96 small wells in batches of 4: 24 jobs that segment and measure, and those of the plate beside them. It runs
once with two cores, once with `profiles/slurm` on the cluster of tests/slurm (three nodes: this machine). Both execute
the same, so that the difference is Slurm's and Snakemake's. CPU seconds are those of the whole machine, by
/proc/stat, since jobs are no children of Snakemake: nothing else should run. What Snakemake itself takes for 1, 10 and
100 plates is measured by benchmarks/dag.py. Needs root, the Debian packages slurmctld, slurmd, slurm-client and munge,
and `make setup EXTRAS=dev,slurm`. Writes benchmarks/results/scale.csv and prints it.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import write_demo

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PLATE = DemoSpec(rows=tuple("ABCDEFGH"), columns=tuple(range(1, 13)), grid=(1, 1), field=64, z_planes=1, nuclei=(2, 4))
FILES = {
    "plates.tsv": "plate\tpath\ndemo\tdemo\n",
    "config.yaml": "plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 4\n",
    "pipeline.yaml": """\
name: small
steps:
  - name: nuclei
    channels: [DNA]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 8 um}}
    outputs: {labels: nuclei}
  - name: measure
    input: raw
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: nuclei}
    outputs: {table: objects}
""",
}
SLURM = ("--profile", str(REPOSITORY / "profiles/slurm"), "--slurm-init-seconds-before-status-checks", "5")


def busy_s() -> float:
    """Return the CPU seconds that the machine has worked so far."""
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, where: tuple[str, ...]) -> tuple[int, float, float, float]:
    """Run the workflow; return its jobs, CPU s of the machine, those of Snakemake and its children, wall s."""
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "demo").symlink_to(folder.parent / "plate")
    busy, start = busy_s(), time.monotonic()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [BIN / "snakemake", "results/demo/verdict.txt", *where, "--snakefile", REPOSITORY / "Snakefile",
             "--directory", folder, "--configfile", folder / "config.yaml"],
            cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit((folder / "log").read_text())
    jobs = sum(1 for _ in (folder / "results").rglob("benchmarks/**/*.tsv"))
    return jobs, busy_s() - busy, usage.ru_utime + usage.ru_stime, time.monotonic() - start


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        write_demo(top / "plate", PLATE)
        rows.append(("local", *measure(top / "local", ("--cores", "2"))))
        cluster = REPOSITORY / "tests/slurm"
        subprocess.run([cluster / "start", top / "cluster", str(os.getpid())], check=True)
        try:
            rows.append(("slurm", *measure(top / "slurm", SLURM)))
        finally:
            subprocess.run([cluster / "stop", top / "cluster"], check=True)
    target = REPOSITORY / "benchmarks/results/scale.csv"
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["where", "jobs", "cpu_s", "snakemake_and_children_cpu_s", "wall_s", "cpu_s_per_job", "jobs_per_minute"]
        )
        for where, jobs, cpu, own, wall in rows:
            values = (cpu, own, wall, cpu / jobs, 60 * jobs / wall)
            writer.writerow([where, jobs, *(round(value, 1) for value in values)])
    print(target.read_text(), end="")


if __name__ == "__main__":
    main()
