"""What indexing costs: 14,000 files of an ImageXpress as it writes them, cold, when nothing changed, when one file did.

Seconds are those of the whole process of `hcs index`, on a local disk whose pages are in memory.
Writes `benchmarks/results/index.csv`.
"""

from __future__ import annotations

import csv
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import tifffile

from hcs_lib.core.addresses import Well, well_name
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import write_metaseries

RESULT = Path(__file__).parent / "results" / "index.csv"
FILES = 14_000
RUNS = 3


def write_plate(folder: Path) -> None:
    """Write 14,000 files: wells of 9 sites in 5 channels, until they are so many."""
    folder.mkdir()
    pixels = np.zeros((16, 16), np.uint16)
    wells = [well_name(Well(row, column)) for row, column in product(range(16), range(24))]
    for n, (well, site, channel) in enumerate(product(wells, range(1, 10), range(1, 6))):
        if n == FILES:
            return
        said = PlaneMetadata(0.65, 1000.0 * site, 500.0, 9000 + n / 1000, f"C{channel}", 450.0)
        tifffile.imwrite(
            folder / f"p_{well}_s{site}_w{channel}.TIF",
            pixels,
            description=write_metaseries(said, pixels.shape, f"{well} : Site {site}"),
            metadata=None,
        )


def timed(command: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, print, and write the table."""
    with tempfile.TemporaryDirectory() as scratch:
        plate, results = Path(scratch) / "plate", Path(scratch) / "results"
        write_plate(plate)
        command = [
            sys.executable,
            "-m",
            "hcs_lib.cli.main",
            "index",
            str(plate),
            "--output",
            str(results / "index.json"),
        ]
        times: dict[str, list[tuple[float, float]]] = {"cold": [], "nothing changed": [], "one file changed": []}
        for _ in range(RUNS):
            shutil.rmtree(results, ignore_errors=True)
            times["cold"].append(timed(command))
            times["nothing changed"].append(timed(command))
            os.utime(plate / "p_A01_s1_w1.TIF")
            times["one file changed"].append(timed(command))
    RESULT.parent.mkdir(exist_ok=True)
    with RESULT.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("files", "run", "wall_s", "cpu_s"))
        for run, found in times.items():
            row = (FILES, run, *(round(statistics.median(values), 2) for values in zip(*found, strict=True)))
            writer.writerow(row)
            print(*row)


if __name__ == "__main__":
    main()
