"""What the registry costs: a warm look at the whole catalogue, a search, and (with `--cold`) probing a library anew.

The load is CPU seconds of a process less those of an interpreter that imports click, both the median of many runs
which take turns. Modules are byte-compiled, as those of an installation are.
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
from collections.abc import Sequence
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "registry.csv"
RUNS = 31

LOAD = """
import json, sys
import click
from hcs_lib.registry.service import RegistryService
count = sum(len(found.entries) for found in RegistryService().catalogues())
if sys.argv[1:]:
    made = [entry for found in RegistryService().catalogues() for entry in found.entries.values()]
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


def medians(commands: Sequence[list[str]], environment: dict[str, str]) -> list[tuple[float, float, str]]:
    """Run commands in turn, many times; return for each its median CPU and wall seconds, and its last output."""
    found = [[timed(command, environment) for command in commands] for _ in range(RUNS)]
    return [
        (statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs), runs[-1][2])
        for runs in zip(*found, strict=True)
    ]


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", nargs="*", default=[], metavar="LIBRARY", help="Probe these libraries anew.")
    given = parser.parse_args()
    rows = []
    hcs = [sys.executable, "-m", "hcs_lib.cli.main"]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_CACHE_HOME": cache, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        search = [*hcs, "functions", "search", "gaussian"]
        load = [sys.executable, "-c", LOAD]
        for command in ([*hcs, "registry", "build", "hcs"], load, search):  # files and byte code are there from now on
            timed(command, environment)
        (bare, _, _), (cpu, _, output), (cpu_all, _, _), (cpu_search, wall_search, _) = medians(
            ([sys.executable, "-c", "import click"], load, [*load, "entries"], search), environment
        )
        found = json.loads(output)
        rows.append(("warm load, CPU ms over an interpreter with click", round((cpu - bare) * 1000, 1)))
        rows.append(("the same with every entry parsed, CPU ms", round((cpu_all - bare) * 1000, 1)))
        rows.append(("functions in the catalogue", found["count"]))
        rows.append(("modules in the process", found["modules"]))
        rows.append(("image libraries in the process", len(found["heavy"])))
        rows.append(("hcs functions search gaussian, wall s", round(wall_search, 3)))
        rows.append(("hcs functions search gaussian, CPU s", round(cpu_search, 3)))
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
