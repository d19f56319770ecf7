"""What Snakemake itself takes for whole screens: CPU and memory of its main process, for 1, 10 and 100 plates.

    .venv/bin/python benchmarks/dag.py [--profile] [PLATES ...]

Plates of 384 wells, two stages, batches of 64, with the workflow's own rules, and its compiler. No image is there, and
no well is executed: in place of `hcs`, jobs find a script that writes what Snakemake looks for. Measured are the first
run, a run with nothing to do, and one for which every plate is compiled anew and every batch executed. Jobs are other
processes, and do not count. Writes benchmarks/results/dag.csv and prints it; with --profile, the functions that take
longest instead.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.addresses import Well, well_name
from hcs_lib.plates.index import Channel, Plane, PlateIndex

REPOSITORY = Path(__file__).parents[1]
WELLS = [well_name(Well(row, column)) for row in range(16) for column in range(24)]
CONFIG = "plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 64\n"
PIPELINE = """\
name: trivial
steps:
  - {name: first, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, checkpoint: true}
  - {name: second, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, keep: true}
"""

STUB = """\
#!/bin/sh
set -e
command=$1
shift
case $command in
  registry) exec {hcs} registry "$@" ;;
  index) while [ $# -gt 2 ]; do [ "$1" = --plate ] && plate=$2; shift; done; cp {indexes}/$plate.json "$2" ;;
  execute) receipt=$(echo "$1" | sed 's#/manifests/\\([^/]*\\)/#/receipts/\\1/batches/#'); cp "$1" "$receipt" ;;
  collect) cd "$1/tables"; for name in objects.parquet sites.parquet wells.csv failures.csv; do echo $$ > $name; done ;;
  screen) cd "$1/tables"
    for name in assay_quality dose_response normalised hits; do echo $$ > $name.csv; done ;;
  figures) cd "$1/figures"
    for name in plate.html heatmaps.png controls.svg dose_response.svg quality.svg montage.png fields.png; do
      echo $$ > $name
    done ;;
  provenance) cd "$1/provenance"; echo $$ > methods.md; echo $$ > versions.json ;;
  replicates) cd results/screen; echo $$ > assay_quality.csv; echo $$ > hits.csv ;;
  report) cd results/report; for name in summary.html plates.png landing.html; do echo $$ > $name; done ;;
  crate) echo $$ > results/ro-crate-metadata.json ;;
  verdict) echo "$1" ;;
  *) echo "what is $command?" >&2; exit 2 ;;
esac
"""
"""`hcs`, but for the compiler, which is a script of the workflow: files of the right names, each time others."""

MEASURE = """\
import cProfile, json, pstats, resource, sys
from snakemake.cli import main

out, profiled, sys.argv[1:] = sys.argv[1], sys.argv[2] == "1", sys.argv[3:]
profile = cProfile.Profile()
try:
    if profiled:
        profile.enable()
    main()
finally:
    profile.disable()
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(out, "w") as file:
        json.dump({"cpu_s": used.ru_utime + used.ru_stime, "max_rss_mb": used.ru_maxrss / 1024}, file)
    if profiled:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
"""
"""Runs Snakemake and tells what its own process took."""


class Outcome(NamedTuple):
    """What Snakemake took for a number of plates. CPU and memory are those of its main process."""

    plates: int
    run: str
    jobs: int
    cpu_s: float
    max_rss_mb: int
    wall_s: float


def index_of(plate: str) -> PlateIndex:
    """Return the index of a plate that is nowhere: one site, one channel."""
    planes = tuple(
        Plane(well=well, site=1, channel="DNA", z=1, t=1, file=f"{well}.tif", page=0, size=1, mtime_ns=1)
        for well in WELLS
    )
    return PlateIndex(
        plate=plate, format="pattern", fingerprint="stat", shape=(64, 64), dtype="uint16", pixel_size_um=None,
        z_spacing_um=None, grid=None, wells=tuple(WELLS), sites=(1,), channels=(Channel(id="DNA", name="DNA"),),
        z=(1,), t=(1,), positions=(), planes=planes, problems=(),
    )  # fmt: skip


class Screen:
    """A configuration of so many plates, and an environment in which jobs find the script in place of `hcs`."""

    def __init__(self, folder: Path, plates: int, *, profiled: bool) -> None:
        self.folder, self.plates, self.profiled = folder, plates, profiled
        self.python = folder / "environment/bin/python"
        environment, own = folder / "environment", Path(sys.prefix)
        (environment / "bin").mkdir(parents=True)
        (environment / "lib").symlink_to(own / "lib")
        (environment / "pyvenv.cfg").write_text((own / "pyvenv.cfg").read_text())
        self.python.symlink_to(Path(sys.executable).resolve())
        stub = environment / "bin/hcs"
        stub.write_text(STUB.replace("{hcs}", str(own / "bin/hcs")).replace("{indexes}", str(folder / "indexes")))
        stub.chmod(0o755)
        (folder / "measure.py").write_text(MEASURE)
        names = [f"plate{number:03d}" for number in range(1, plates + 1)]
        (folder / "indexes").mkdir()
        for name in names:
            (folder / "raw" / name).mkdir(parents=True)
            index_of(name).save(folder / f"indexes/{name}.json")
        (folder / "plates.tsv").write_text("plate\tpath\n" + "".join(f"{name}\traw/{name}\n" for name in names))
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "pipeline.yaml").write_text(PIPELINE)

    def run(self, name: str, *, jobs: int) -> Outcome:
        """Run the workflow; `jobs` of it must be done."""
        started = time.perf_counter()
        done = subprocess.run(
            [self.python, "measure.py", "cost.json", str(int(self.profiled)), "--snakefile", REPOSITORY / "Snakefile",
             "--directory", "work", "--configfile", "config.yaml", "--cores", "2"],
            cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        wall = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(done.stdout[-4000:])
        if self.profiled:
            print(name, done.stdout[done.stdout.find("function calls") :][:9000], sep="\n")
        executed = {path for path in self.folder.glob("work/results/*/receipts/*/batches/*.json")
                    if path.stat().st_mtime > self.started}  # fmt: skip
        if len(executed) != jobs:
            raise RuntimeError(f"{name}: {len(executed)} batches were executed, {jobs} expected")
        cost = json.loads((self.folder / "cost.json").read_text())
        return Outcome(self.plates, name, jobs, round(cost["cpu_s"], 1), round(cost["max_rss_mb"]), round(wall, 1))

    def measure(self) -> list[Outcome]:
        """Run three times."""
        batches = self.plates * 2 * 6
        outcomes = []
        for name, jobs in (("first run", batches), ("nothing to do", 0), ("all compiled anew", batches)):
            if name == "all compiled anew":
                (self.folder / "pipeline.yaml").write_text(PIPELINE.replace("sigma: 1", "sigma: 2"))
            self.started = time.time()
            outcomes.append(self.run(name, jobs=jobs))
            print(*outcomes[-1], sep="\t", flush=True)
        return outcomes


def main() -> None:
    profiled = "--profile" in sys.argv
    outcomes = []
    for plates in [int(argument) for argument in sys.argv[1:] if argument.isdigit()] or [1, 10, 100]:
        with tempfile.TemporaryDirectory() as folder:
            outcomes += Screen(Path(folder), plates, profiled=profiled).measure()
    if profiled:
        return
    with (REPOSITORY / "benchmarks/results/dag.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Outcome._fields)
        writer.writerows(outcomes)


if __name__ == "__main__":
    main()
