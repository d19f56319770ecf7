"""What the workflow costs beside a plain script that calls the same functions on the same planes, with two processes.

    .venv/bin/python benchmarks/overhead.py [--small]

1. Segmentation and measurement on a plate that costs the script 200 CPU s and more (`--small`: a tenth of it): fields
   of the demo, over and over, of 1024 × 1024 with two channels and three z.
2. The work that OpenHCS 0.8.6 was measured on (a plain script 1.35 CPU s, OpenHCS 9.9): 8 wells × 4 sites × 2 channels
   × 3 z of 512 × 512; project, normalise by percentiles, smooth, threshold, label, count.
3. A tiny plate: what a run costs at least.

The script reads planes, calls functions and writes a table for each well. The workflow reads the same, and also checks
and hashes planes, keeps images and label images in OME-Zarr, and writes receipts; it runs to its verdict. The script
runs before and after it, and the mean counts: the speed of a shared machine drifts. The first plate goes in batches of
16 wells, the default, which are jobs of half a minute, and in one for each core. Then one job of 2 by itself, under
a profiler, for where the rest goes. Writes benchmarks/results/overhead.csv and overhead_profile.csv.
"""

import argparse
import csv
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
CORES = 2
CHANNELS = ("DNA", "GFP")
PATTERN = "{row}{col}_s{site}_{channel}_z{z}.tif"

SCRIPT = """
import json, multiprocessing, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, tifffile
from scipy.ndimage import gaussian_filter
from skimage.measure import label
sys.path.insert(0, sys.argv[5])
import spots
from hcs_lib.functions.cells import expand_ring
from hcs_lib.functions.image_quality import measure_image_quality
from hcs_lib.functions.measurement import measure_objects
from hcs_lib.functions.nuclei import segment_nuclei
from hcs_lib.functions.projection import project

raw, out, work = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
wells = json.loads(sys.argv[4])
CHANNELS = ["DNA", "GFP"]

def stack(well, site, channel):
    return np.stack([tifffile.imread(raw / f"{well}_s{site}_{channel}_z{z}.tif", maxworkers=1) for z in (1, 2, 3)])

def measure(well, site):
    planes = np.stack([project(stack(well, site, channel), method="max") for channel in CHANNELS])
    nuclei = segment_nuclei(planes[0], min_diameter=12)
    cytoplasm = expand_ring(nuclei, inner=2, outer=8)
    measure_image_quality(planes, channel_names=CHANNELS)
    return measure_objects(planes, labels={"nuclei": nuclei, "cytoplasm": cytoplasm}, channel_names=CHANNELS)

def count(well, site):
    found = {}
    for channel in CHANNELS:
        plane = spots.normalise(project(stack(well, site, channel), method="max"))
        found[channel] = np.array([label(spots.threshold(gaussian_filter(plane, sigma=2))).max()])
    return found

def do(item):
    well, sites = item
    tables = [(measure if work == "measure" else count)(well, site) for site in range(1, sites + 1)]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    pq.write_table(pa.table(columns), out / f"{well}.parquet")

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(do, list(wells.items()), chunksize=1)
"""

PIPELINES = {
    "measure": """\
name: measure
steps:
  - {name: projection, stack: z, func: {call: hcs.project, args: {method: max}}, keep: true}
  - name: nuclei
    channels: [DNA]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 12 px}}
    outputs: {labels: nuclei}
  - name: cytoplasm
    input: nuclei
    func: {call: hcs.expand_ring, args: {inner: 2 px, outer: 8 px}}
    outputs: {labels: cytoplasm}
  - name: measure
    input: projection
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: [nuclei, cytoplasm]}
    outputs: {table: objects}
  - {name: quality, input: projection, stack: channel, func: hcs.measure_image_quality, outputs: {table: image_quality}}
""",
    "count": """\
name: count
steps:
  - {name: projection, stack: z, func: {call: hcs.project, args: {method: max}}, keep: true}
  - name: spots
    may_rescale: true
    func:
      - spots.normalise
      - {call: scipy.ndimage.gaussian_filter, args: {sigma: 2}}
      - spots.threshold
      - skimage.measure.label
    outputs: {labels: spots}
""",
}


class Cost(NamedTuple):
    """What a program and everything it started took."""

    cpu: float
    wall: float


def measure(*command: object) -> Cost:
    start = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status):
            output.seek(0)
            sys.exit(f"{command} failed:\n{output.read().decode()}")
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - start)


def write_plate(folder: Path, fields: Path, wells: list[str], sites: int) -> None:
    """Lay out a plate of hard links to the planes of the demo's fields, over and over."""
    folder.mkdir()
    found = sorted({path.name.rpartition("_w")[0] for path in fields.glob("TimePoint_1/ZStep_1/*.tif")})
    for number, (well, site) in enumerate(product(wells, range(1, sites + 1))):
        for z, (index, channel) in product((1, 2, 3), enumerate(CHANNELS, start=1)):
            source = fields / f"TimePoint_1/ZStep_{z}/{found[number % len(found)]}_w{index}.tif"
            os.link(source, folder / f"{well}_s{site}_{channel}_z{z}.tif")


def compare(
    what: str, top: Path, fields: Path, work: str, wells: list[str], sites: int, batches: Sequence[int] = (16,)
) -> tuple[list[list[object]], Path]:
    """Run script and workflow on a plate; return a row for each size of batches, and the folder of the last."""
    top = Path(tempfile.mkdtemp(dir=top))
    raw, out = top / "raw", top / "out"
    out.mkdir()
    write_plate(raw, fields, wells, sites)
    (top / "script.py").write_text(SCRIPT)
    shutil.copy(REPOSITORY / "benchmarks/spots.py", top)
    script = (sys.executable, top / "script.py", raw, out, work, json.dumps(dict.fromkeys(wells, sites)), top)
    before = measure(*script)
    rows: list[list[object]] = []
    for batch in batches:
        folder = top / f"batches{batch}"
        ours = measure(*workflow(folder, raw, work, batch))
        after = measure(*script)
        beside = Cost(*((one + other) / 2 for one, other in zip(before, after, strict=True)))
        costs = (round(value, 1) for value in (*beside, *ours))
        ratios = round(ours.cpu / beside.cpu, 2), round(ours.wall / beside.wall, 2)
        rows.append([what, len(wells) * sites, batch, *costs, *ratios])
        before = after
    return rows, folder


def workflow(folder: Path, raw: Path, work: str, batch: int) -> tuple[object, ...]:
    """Write a configuration; return the command that runs it."""
    folder.mkdir()
    (folder / "plates.tsv").write_text(f"plate\tpath\tformat\tpattern\nbig\t{raw}\tpattern\t{PATTERN}\n")
    shutil.copy(REPOSITORY / "benchmarks/spots.py", folder)
    modules = "registry: {modules: [spots]}\n" if work == "count" else ""
    (folder / "config.yaml").write_text(
        f"plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: {batch}\n{modules}"
    )
    (folder / "pipeline.yaml").write_text(PIPELINES[work])
    return (
        BIN / "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", folder / "work",
        "--configfile", folder / "config.yaml", "--cores", CORES, "results/big/verdict.txt",
    )  # fmt: skip


def profile(folder: Path) -> list[list[object]]:
    """Execute the first batch again under a profiler; return seconds of its parts, inner calls included."""
    results = folder / "work/results/big"
    shutil.rmtree(results / "receipts")
    manifest = next(iter(sorted((results / "manifests/s01-cpu").glob("*.json"))))
    code = (
        "import cProfile, sys; from hcs_lib.cli.main import main; sys.argv = ['hcs', 'execute', sys.argv[1]]; "
        f"profile = cProfile.Profile()\ntry:\n    profile.runcall(main)\nexcept SystemExit:\n    pass\n"
        f"profile.dump_stats({str(folder / 'profile')!r})"
    )
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{folder}", "HCS_MODULES": "spots"}
    subprocess.run([sys.executable, "-c", code, manifest], check=True, env=environment, stdout=subprocess.DEVNULL)
    stats = pstats.Stats(str(folder / "profile")).get_stats_profile()
    total = stats.total_tt
    parts = (
        "_call", "take", "_put", "write_site", "write_image", "write_labels", "write_table", "describe", "swap", "look",
        "_resolve", "tasks_of", "_load_unlocked", "save",
    )  # fmt: skip
    rows: list[list[object]] = [["all", round(total, 2)]]
    rows += [[name, round(stats.func_profiles[name].cumtime, 2)] for name in parts if name in stats.func_profiles]
    return rows


def write(name: str, rows: list[list[object]]) -> None:
    target = REPOSITORY / "benchmarks/results" / name
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    print(target.read_text())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="a tenth of the plate; results are printed, not written")
    small = parser.parse_args().small
    from hcs_lib.plates.synthetic import DemoSpec, write_demo

    rows: list[list[object]] = [
        ["work", "sites", "wells_per_batch", "script_cpu_s", "script_wall_s", "hcs_cpu_s", "hcs_wall_s", "cpu_ratio",
         "wall_ratio"]
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        small_fields, fields = (
            write_demo(top / f"demo{side}", DemoSpec(rows=("B",), columns=(2, 5), field=side, nuclei=nuclei))
            for side, nuclei in ((512, (300, 400)), (1024, (1200, 1600)))
        )
        plate = [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)]
        wells = plate[: 8 if small else 96]
        rows += compare("segmentation and measurement", top, fields, "measure", wells, 4, (16, len(wells) // CORES))[0]
        found, folder = compare("spots, the work of OpenHCS", top, small_fields, "count", plate[:8], 4)
        rows += found
        rows += compare("tiny plate", top, small_fields, "measure", plate[:1], 1)[0]
        where: list[list[object]] = [["part", "seconds"], *profile(folder)]
    if small:
        for one in (*rows, *where):
            print(*one, sep=",")
        return
    write("overhead.csv", rows)
    write("overhead_profile.csv", where)


if __name__ == "__main__":
    main()
