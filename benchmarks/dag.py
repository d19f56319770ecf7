"""What Snakemake itself takes for whole screens: CPU and memory of its process, for 1, 10 and 100 plates.

    .venv/bin/python benchmarks/dag.py [--profile] [PLATES ...]

Plates of 384 wells, two stages, batches of 64, with the workflow's own rules. There are no images, and jobs start no
process: in their place Snakemake's process writes files of the right names, for a plate the plan and the manifests that
our compiler makes; what that takes (1 s for 100 plates) is taken off. Everything else is as in life: inputs,
parameters, checksums, records of what was done. Measured are the first run, a run with nothing to do, and one for which
every plate is compiled anew and every batch is other.

What is left is Snakemake's own: whenever a checkpoint is done, it looks at every job that is not. With a checkpoint for
each plate that grew with the square of plates: 29 of 41.5 CPU s for 100 plates compiled anew. Plates wait for their
plans in ten groups at most. Of the 23 to 26 CPU s that it takes now, looks of checkpoints take 3, counting wells takes
half a second; the rest is spread over 1,900 jobs and 3,100 records of outputs.

Writes benchmarks/results/dag.csv and prints it; with --profile, also the functions that take longest, and no file.
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

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.core.addresses import Well, well_name
from hcs_lib.pipeline.located import read_yaml
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.index import Channel, Plane, PlateIndex

REPOSITORY = Path(__file__).parents[1]
TEMPLATE = "plate000"
WELLS = [well_name(Well(row, column)) for row in range(16) for column in range(24)]
BATCHES = 2 * len(WELLS) // 64
CONFIG = "plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 64\n"
PIPELINE = """\
name: trivial
steps:
  - {name: first, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, checkpoint: true}
  - {name: second, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, keep: true}
"""

MEASURE = """\
import cProfile, json, pstats, resource, sys, time
from pathlib import Path
from snakemake.cli import main
from snakemake.executors import local

compiled, cost, profiled, sys.argv[1:] = *sys.argv[1:4], sys.argv[4:]
files, template = json.loads(Path(compiled).read_text())
executed = 0
jobs_s = 0.0

def instead_of_a_job(*job):
    global jobs_s
    begun = time.thread_time()
    write_files(*job)
    jobs_s += time.thread_time() - begun

def write_files(rule, inputs, outputs, params, wildcards, threads, resources, log, benchmark, *_):
    global executed
    if benchmark:
        Path(benchmark).write_text("")
    if rule.name == "compile":
        for name, text in files.items():
            path = Path(name.replace(template, wildcards.plate))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(template, wildcards.plate))
    else:
        text = f"{rule.name} of {compiled}\\n"
        if rule.name.startswith("execute"):
            executed += 1
            manifest = json.loads(Path(inputs[0]).read_text())
            done = {well: {"context_digest": digest, "status": "done"} for well, digest in manifest["wells"].items()}
            text = json.dumps({name: manifest[name] for name in ("plate", "stage", "batch")} | {"wells": done})
        for output in outputs:
            Path(output).write_text(text)

local.run_wrapper = instead_of_a_job
profile = cProfile.Profile()
try:
    if profiled == "profile":
        profile.enable()
    main()
finally:
    profile.disable()
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"cpu": used.ru_utime + used.ru_stime - jobs_s, "rss_mb": used.ru_maxrss / 1024, "executed": executed}
    Path(cost).write_text(json.dumps(found))
    if profiled == "profile":
        pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
"""
"""Runs Snakemake, and tells what it took."""


class Outcome(NamedTuple):
    """What a run took. Batches are those that were executed; a plate has seven jobs beside them, a group one."""

    plates: int
    run: str
    batches: int
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


def write_configuration(folder: Path, plates: list[str], pipeline: str) -> None:
    """Write a configuration of plates, and their folders, which are empty."""
    for name in plates:
        (folder / "raw" / name).mkdir(parents=True, exist_ok=True)
    (folder / "plates.tsv").write_text("plate\tpath\n" + "".join(f"{name}\traw/{name}\n" for name in plates))
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "pipeline.yaml").write_text(pipeline)


def compile_template(folder: Path, pipeline: str, output: Path) -> None:
    """Compile one plate, and keep its plan and manifests as text: those of others differ by their names alone."""
    write_configuration(folder, [TEMPLATE], pipeline)
    index_of(TEMPLATE).save(folder / f"results/{TEMPLATE}/index.json")
    document = read_yaml(folder / "config.yaml")
    settings = load_settings(document.value, folder, document.source)
    compile_plate(settings.plates[0], settings, folder / "results")
    results = folder / "results" / TEMPLATE
    files = [*results.glob("manifests/*/*.json"), results / "plan.json"]
    output.write_text(json.dumps([{file.relative_to(folder).as_posix(): file.read_text() for file in files}, TEMPLATE]))


def run(folder: Path, compiled: str, *, profiled: bool) -> tuple[dict[str, float], float]:
    """Run the workflow; return what Snakemake took, and wall seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "measure.py", compiled, "cost.json", "profile" if profiled else "", "--snakefile",
         REPOSITORY / "Snakefile", "--directory", folder, "--configfile", "config.yaml", "--cores", "64"],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-4000:])
    if profiled:
        print(done.stdout[done.stdout.find("function calls") :])
    return json.loads((folder / "cost.json").read_text()), time.perf_counter() - started


def measure(folder: Path, plates: int, *, profiled: bool) -> list[Outcome]:
    """Run the workflow three times."""
    (folder / "measure.py").write_text(MEASURE)
    changed = PIPELINE.replace("sigma: 1", "sigma: 2")
    compile_template(folder / "old", PIPELINE, folder / "old.json")
    compile_template(folder / "new", changed, folder / "new.json")
    names = [f"plate{number:03d}" for number in range(1, plates + 1)]
    outcomes = []
    for name, pipeline, compiled, batches in (
        ("first run", PIPELINE, "old.json", plates * BATCHES),
        ("nothing to do", PIPELINE, "old.json", 0),
        ("all compiled anew", changed, "new.json", plates * BATCHES),
    ):
        write_configuration(folder, names, pipeline)
        cost, wall = run(folder, compiled, profiled=profiled)
        if cost["executed"] != batches:
            raise RuntimeError(f"{name}: {cost['executed']} batches were executed, {batches} expected")
        outcomes.append(Outcome(plates, name, batches, round(cost["cpu"], 1), round(cost["rss_mb"]), round(wall, 1)))
        print(*outcomes[-1], sep="\t", flush=True)
    return outcomes


def main() -> None:
    profiled = "--profile" in sys.argv
    outcomes = []
    for plates in [int(argument) for argument in sys.argv[1:] if argument.isdigit()] or [1, 10, 100]:
        with tempfile.TemporaryDirectory() as folder:
            outcomes += measure(Path(folder), plates, profiled=profiled)
    if profiled:
        return
    with (REPOSITORY / "benchmarks/results/dag.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Outcome._fields)
        writer.writerows(outcomes)


if __name__ == "__main__":
    main()
