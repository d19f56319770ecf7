"""The memory that is estimated for jobs, beside what they really take.

    .venv/bin/python benchmarks/estimates.py

Pipelines of two wells each: of planes, of z-stacks as volumes and slice by slice, projections, labels and measures,
mosaics, iterative filters, steps of the plate, torch, pyclesperanto. Each is compiled, and the batch of each of its
stages executed in a process of its own, of which the kernel tells the high-water mark (VmHWM). The same pipeline on
planes of 64 × 64 tells what a process takes before it holds images (`base_mb`). The estimate (`mem_mb` in plan.json,
what a scheduler is asked for) should not be below what is taken, and not above twice that and the base. Pipelines of
libraries that are not installed are left out. Writes benchmarks/results/estimates.csv and prints it.
"""

import csv
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from memory import HCS, PEAK

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
MIB = 1024

# Bright disks on a noisy background, so that something is segmented; each file has them elsewhere.
GENERATE = """
import sys, numpy as np, tifffile
folder, side, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
rng = np.random.default_rng(7)
disks = np.zeros((side, side), bool)
y, x = np.ogrid[-15:16, -15:16]
for row, column in rng.integers(15, side - 15, (side * side // 10000, 2)):
    disks[row - 15 : row + 16, column - 15 : column + 16] |= y * y + x * x <= 225
image = rng.poisson(200 + 800 * disks).astype(np.uint16)
for number, name in enumerate(names):
    tifffile.imwrite(f"{folder}/{name}", np.roll(image, 37 * number, axis=1))
"""


class Case(NamedTuple):
    """A pipeline, and the wells that it is for."""

    name: str
    steps: str
    side: int = 2048
    sites: int = 2
    channels: int = 2
    z: int = 1
    library: str = "numpy"

    def files(self) -> list[str]:
        return [
            f"{well}_s{site}_w{channel}_z{z}.tif"
            for well in ("B02", "B03")
            for site in range(1, self.sites + 1)
            for channel in range(1, self.channels + 1)
            for z in range(1, self.z + 1)
        ]


CASES = (
    Case("chain of planes",
         "- {name: a, keep: true, func: [{call: skimage.filters.gaussian, args: {sigma: 2, preserve_range: true}}, "
         "{call: hcs.subtract_background, args: {radius: 50}}]}"),
    Case("chain of planes of uint16",
         "- {name: a, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 2}}}\n"
         "- {name: b, keep: true, func: {call: scipy.ndimage.white_tophat, args: {size: 15}}}", sites=9),
    Case("z filtered as a volume, kept",
         "- {name: a, stack: z, keep: true, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}}",
         sites=1, channels=1, z=12),
    Case("z filtered slice by slice, projected",
         "- {name: a, stack: z, slice_by_slice: true, func: {call: scipy.ndimage.median_filter, args: {size: 3}}}\n"
         "- {name: b, stack: z, keep: true, func: hcs.project}", sites=1, channels=1, z=12, side=1024),
    Case("projection of z",
         "- {name: a, stack: z, keep: true, func: {call: hcs.project, args: {method: max}}}",
         sites=1, channels=4, z=9),
    Case("median of z",
         "- {name: a, stack: z, keep: true, func: {call: hcs.project, args: {method: median}}}",
         sites=1, channels=2, z=9),
    Case("labels and measures",
         "- {name: n, channels: [C1], func: {call: hcs.segment_nuclei, args: {min_diameter: 20}}, "
         "outputs: {labels: nuclei}}\n"
         "- {name: c, input: n, func: {call: hcs.expand_ring, args: {inner: 2, outer: 8}}, "
         "outputs: {labels: cytoplasm}}\n"
         "- {name: m, input: raw, stack: channel, func: hcs.measure_objects, "
         "inputs: {labels: [nuclei, cytoplasm]}, outputs: {table: objects}}", sites=4),
    Case("cells by propagation",
         "- {name: n, channels: [C1], func: {call: hcs.segment_nuclei, args: {min_diameter: 20}}, "
         "outputs: {labels: nuclei}}\n"
         "- {name: c, input: raw, channels: [C2], func: {call: hcs.propagate_cells, args: {threshold: 600}}, "
         "inputs: {nuclei: nuclei}, outputs: {labels: cells}}", sites=2, side=1024),
    Case("image quality",
         "- {name: q, stack: channel, func: hcs.measure_image_quality, outputs: {table: image_quality}}", sites=4),
    Case("mosaic of sites",
         "- {name: p, stack: site, func: {call: hcs.stage_tile_positions, args: {overlap: 0.1, "
         "grid_dimensions: [3, 4]}}, outputs: {positions: positions}}\n"
         "- {name: m, stack: site, keep: true, func: hcs.assemble, inputs: {positions: positions}}",
         sites=12, side=1024),
    Case("mosaic, segmented",
         "- {name: p, channels: [C1], stack: site, func: {call: hcs.stage_tile_positions, args: {overlap: 0.1, "
         "grid_dimensions: [3, 4]}}, outputs: {positions: positions}}\n"
         "- {name: m, stack: site, keep: true, func: hcs.assemble, inputs: {positions: positions}}\n"
         "- {name: n, func: {call: hcs.segment_nuclei, args: {min_diameter: 20}}, outputs: {labels: nuclei}}",
         sites=12, side=512, channels=1),
    Case("total variation of z as a volume",
         "- {name: a, stack: z, keep: true, may_rescale: true, func: {call: skimage.restoration.denoise_tv_chambolle, "
         "args: {max_num_iter: 3}}}", sites=1, channels=1, z=9, side=1024),
    Case("filters of z as a volume",
         "- {name: a, stack: z, keep: true, may_rescale: true, func: [{call: skimage.filters.gaussian, "
         "args: {sigma: 1}}, {call: skimage.filters.sobel}]}", sites=1, channels=1, z=9, side=1024),
    Case("flat field of the plate, stages",
         "- {name: f, scope: plate, stack: site, sample: 8, func: hcs.estimate_flat_field, outputs: {image: flat}}\n"
         "- {name: a, input: raw, func: hcs.apply_flat_field, inputs: {flat_field: flat}, checkpoint: true}\n"
         "- {name: b, stack: channel, keep: true, func: {call: scipy.ndimage.gaussian_filter, "
         "args: {sigma: 1}}}", sites=4),
    Case("torch",
         "- {name: a, keep: true, func: [torch.sqrt, {call: torch.mul, args: {other: 2}}, torch.square]}",
         library="torch"),
    Case("pyclesperanto",
         "- {name: a, keep: true, may_rescale: true, func: [{call: pyclesperanto.gaussian_blur, "
         "args: {sigma_x: 2, sigma_y: 2}}, {call: pyclesperanto.top_hat_box, args: {radius_x: 5, radius_y: 5}}]}",
         library="pyclesperanto"),
)  # fmt: skip


def stages(case: Case, folder: Path) -> list[tuple[str, int, float]]:
    """Compile and execute a pipeline; return estimated and real MiB of each of its stages."""
    raw, results = folder / "raw", folder / "results"
    raw.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", GENERATE, raw, str(case.side), *case.files()], check=True)
    (folder / "plates.tsv").write_text(
        "plate\tpath\tformat\tpattern\nbig\traw\tpattern\t{row}{col}_s{site}_w{channel}_z{z}.tif\n"
    )
    (folder / "config.yaml").write_text("plates: plates.tsv\npipeline: pipeline.yaml\n")
    channels = ", ".join(f'C{number}: "{number}"' for number in range(1, case.channels + 1))
    steps = "".join(f"  {line}\n" for line in case.steps.splitlines())
    (folder / "pipeline.yaml").write_text(f"name: estimates\nchannels: {{{channels}}}\nsteps:\n{steps}")
    options = ("--plate", "big", "--format", "pattern", "--pattern", "{row}{col}_s{site}_w{channel}_z{z}.tif")
    for command in (
        ("index", raw, *options, "--output", results / "big/index.json"),
        ("compile", "--config", folder / "config.yaml", "--results", results),
    ):
        subprocess.run([BIN / "hcs", *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    rows = []
    for stage in json.loads((results / "big/plan.json").read_bytes())["stages"]:
        (batch,) = stage["batches"]
        manifest = results / f"big/manifests/{stage['name']}/{batch}.json"
        done = subprocess.run(
            [sys.executable, "-c", PEAK + HCS, "execute", str(manifest)], text=True, stdout=subprocess.PIPE, check=True
        )
        receipts = (results / "big/receipts" / stage["name"]).glob("*.json")
        assert all(json.loads(path.read_bytes())["status"] == "done" for path in receipts), case.name
        rows.append((stage["name"], stage["mem_mb"], int(done.stdout.split()[-1]) / MIB))
    return rows


def main() -> None:
    chosen = [case for case in CASES if find_spec(case.library) and (not sys.argv[1:] or case.name in sys.argv[1:])]
    rows = []
    for case in chosen:
        with tempfile.TemporaryDirectory() as name:
            small = stages(case._replace(side=64), Path(name) / "small")
            large = stages(case, Path(name) / "large")
        planes = f"{case.sites} sites, {case.channels} channels, {case.z} z of {case.side}²"
        for (stage, estimated, real), (_, _, base) in zip(large, small, strict=True):
            allowed = 2 * real + base
            inside = "yes" if real <= estimated <= allowed else "no"
            rows.append([case.name, planes, stage, *map(round, (base, real, estimated, allowed)), inside])
            print(*rows[-1], sep=",", file=sys.stderr, flush=True)
    target = REPOSITORY / "benchmarks/results/estimates.csv"
    header = ["what", "well", "stage", "base_mb", "real_mb", "estimated_mb", "allowed_mb", "inside"]
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print(target.read_text(), end="")


if __name__ == "__main__":
    main()
