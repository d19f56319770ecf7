"""What the example BBBC013 costs: CPU to the verdict, of all the rest, of a second run, and where it goes.

    .venv/bin/python benchmarks/bbbc013.py [IMAGES]

IMAGES is the folder of the 64 images, by default that of the tests. The example runs in a temporary folder with two
cores; then each command of it once more by hand, in a folder of its own, for the share of each. Writes
benchmarks/results/bbbc013.csv and prints it.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "config/examples/bbbc013"
BIN = Path(sys.executable).parent
PATTERN = "Channel{channel}-{n}-{row}-{col}.tif"


class Cost(NamedTuple):
    """What a program and everything it started took."""

    what: str
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def measure(what: str, *command: object) -> Cost:
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status):
            output.seek(0)
            sys.exit(f"{what} failed:\n{output.read().decode()}")
    wall = time.monotonic() - start
    return Cost(what, round(usage.ru_utime + usage.ru_stime, 2), round(wall, 2), round(usage.ru_maxrss / 1024))


def main() -> None:
    default = REPOSITORY.parent / "shared/data/bbbc013-wortmannin/images"
    images = Path(sys.argv[1] if len(sys.argv) > 1 else default).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        analysis = folder / "analysis"
        shutil.copytree(EXAMPLE, analysis)
        (analysis / "images").symlink_to(images)
        work = folder / "work"
        snakemake = (
            BIN / "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", work,
            "--configfile", analysis / "config.yaml", "--cores", 2,
        )  # fmt: skip
        costs = [
            measure("raw images to tables and verdict", *snakemake, "results/bbbc013/verdict.txt"),
            measure("then statistics, figures, report pages, provenance", *snakemake),
            measure("second run", *snakemake),
        ]

        plate = work / "results/bbbc013"
        hcs = BIN / "hcs"
        manifests = sorted((plate / "manifests/s01-cpu").glob("*.json"))
        shutil.rmtree(plate / "receipts")
        options = ("--plate", "bbbc013", "--format", "pattern", "--pattern", PATTERN)
        costs += [
            measure("hcs index", hcs, "index", images, *options, "--output", plate / "index.json"),
            *(measure(f"hcs execute, batch {path.stem}", hcs, "execute", path) for path in manifests),
            measure("hcs collect", hcs, "collect", plate),
            measure("hcs verdict", hcs, "verdict", plate),
            measure("hcs screen", hcs, "screen", plate),
            measure("hcs figures", hcs, "figures", plate),
        ]
    target = REPOSITORY / "benchmarks/results/bbbc013.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([Cost._fields, *costs])
    print(target.read_text(), end="")


if __name__ == "__main__":
    main()
