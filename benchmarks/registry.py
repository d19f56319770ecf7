"""What the registry costs: a warm look at the whole catalogue, a search, and (with `--cold`) probing a library anew.

Seconds are those of a process less those of a bare interpreter that imports click, the median of several.
Writes `benchmarks/results/registry.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "registry.csv"
RUNS = 9

LOAD = """
import json, sys
import click
from hcs_lib.registry.service import RegistryService
count = sum(len(found.entries) for found in RegistryService().catalogues())
heavy = ["numpy", "scipy", "skimage", "torch", "cupy", "pyclesperanto", "pydantic", "pandas"]
heavy = [name for name in heavy if name in sys.modules]
print(json.dumps({"count": count, "modules": len(sys.modules), "heavy": heavy}))
"""


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Return CPU seconds, wall seconds and the output of a process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stdout


def median(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Return the medians of several runs, and the last output."""
    found = [timed(command, environment) for _ in range(RUNS)]
    return statistics.median(f[0] for f in found), statistics.median(f[1] for f in found), found[-1][2]


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", nargs="*", default=[], metavar="LIBRARY", help="Probe these libraries anew.")
    given = parser.parse_args()
    rows = []
    hcs = [sys.executable, "-m", "hcs_lib.cli.main"]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_CACHE_HOME": cache}
        timed([*hcs, "registry", "build", "hcs"], environment)
        bare, _, _ = median([sys.executable, "-c", "import click"], environment)
        cpu, _, output = median([sys.executable, "-c", LOAD], environment)
        found = json.loads(output)
        rows.append(("warm load, CPU ms over an interpreter with click", round((cpu - bare) * 1000, 1)))
        rows.append(("functions in the catalogue", found["count"]))
        rows.append(("modules in the process", found["modules"]))
        rows.append(("image libraries in the process", len(found["heavy"])))
        cpu, wall, _ = median([*hcs, "functions", "search", "gaussian"], environment)
        rows.append(("hcs functions search gaussian, wall s", round(wall, 3)))
        rows.append(("hcs functions search gaussian, CPU s", round(cpu, 3)))
    for library in given.cold:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "library.json"
            command = [*hcs, "registry", "build", library, "--force", "--output", str(output)]
            # The kernels of OpenCL lie in the user's cache: they stay warm.
            cpu, wall, said = timed(command, dict(os.environ))
            rows.append((f"probe of {library}, wall s", round(wall, 1)))
            rows.append((f"probe of {library}, CPU s", round(cpu, 1)))
            print(said.strip())
    RESULT.parent.mkdir(exist_ok=True)
    with RESULT.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("what", "value"))
        writer.writerows(rows)
    for name, value in rows:
        print(f"{name:<52} {value}")


if __name__ == "__main__":
    main()
