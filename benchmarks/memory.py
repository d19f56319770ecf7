"""Peak memory of one well of 36 planes of 2048 × 2048, beside a plain script that handles one group at a time.

    .venv/bin/python benchmarks/memory.py

Three pipelines, each of one well: 4 channels of 9 z, each z-stack projected; the same, each plane smoothed and channels
stacked; 12 sites of 3 channels, smoothed and stacked. Each is compiled, and its context executed. The script calls the
same functions on the same planes and saves each plane that comes out; what is executed keeps the image of the site,
whose planes are compressed as they come and written as one. Both report the kernel's high-water mark (VmHWM). Allowed
is 1.25 × the script's, and one group (what a step stacks) that is read ahead. Writes benchmarks/results/memory.csv and
prints it.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SIDE = 2048
PLANE_MB = SIDE * SIDE * 2 / 1e6

# Child processes all: what a parent holds when it starts another counts as that one's.
GENERATE = """
import sys, numpy as np, tifffile
folder, side, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
rng = np.random.default_rng(7)
for name in names:
    tifffile.imwrite(f"{folder}/{name}", rng.poisson(200, (side, side)).astype(np.uint16))
"""

PEAK = """
import atexit, re
atexit.register(lambda: print("VmHWM", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]))
"""

SCRIPT = """
import sys, json, numpy as np, tifffile
from scipy.ndimage import gaussian_filter
from hcs_lib.functions.projection import project
raw, out, groups, smooth = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4] == "smooth"
for number, group in enumerate(groups):
    stack = None
    for place, name in enumerate(group):
        plane = tifffile.imread(f"{raw}/{name}", maxworkers=1)
        if smooth:
            plane = gaussian_filter(plane, sigma=2)
        if stack is None:
            stack = np.empty((len(group), *plane.shape), plane.dtype)
        stack[place] = plane
    np.save(f"{out}/{number}.npy", project(stack, method="max"))
"""

HCS = """
import sys
from hcs_lib.cli.main import main
main()
"""

SMOOTH = "  - {name: smooth, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 2}}}\n"
PROJECT = "  - {name: project, stack: AXIS, keep: true, func: {call: hcs.project, args: {method: max}}}\n"


class Layout(NamedTuple):
    """A well of 36 planes, and what is stacked after each plane was smoothed or not."""

    sites: int
    channels: int
    z: int
    stack: str
    smooth: bool

    def planes(self) -> dict[tuple[int, int, int], str]:
        return {
            (site, channel, z): f"B02_s{site}_w{channel}_z{z}.tif"
            for site in range(1, self.sites + 1)
            for channel in range(1, self.channels + 1)
            for z in range(1, self.z + 1)
        }

    def groups(self) -> list[list[str]]:
        axis = ("site", "channel", "z").index(self.stack)
        groups: dict[tuple[int, ...], list[str]] = {}
        for at, name in self.planes().items():
            groups.setdefault(at[:axis] + at[axis + 1 :], []).append(name)
        return list(groups.values())


LAYOUTS = (
    Layout(1, 4, 9, "z", smooth=False),
    Layout(1, 4, 9, "channel", smooth=True),
    Layout(12, 3, 1, "site", smooth=True),
)


def peak_mb(code: str, *arguments: object) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PEAK + code, *map(str, arguments)], text=True, stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout.split()[-1]) * 1024 / 1e6


def measure(layout: Layout, folder: Path) -> list[object]:
    raw, out = folder / "raw", folder / "out"
    raw.mkdir()
    out.mkdir()
    subprocess.run([sys.executable, "-c", GENERATE, raw, str(SIDE), *layout.planes().values()], check=True)
    (folder / "plates.tsv").write_text(
        "plate\tpath\tformat\tpattern\nbig\traw\tpattern\t{row}{col}_s{site}_w{channel}_z{z}.tif\n"
    )
    (folder / "config.yaml").write_text("plates: plates.tsv\npipeline: pipeline.yaml\n")
    steps = (SMOOTH if layout.smooth else "") + PROJECT.replace("AXIS", layout.stack)
    (folder / "pipeline.yaml").write_text(f"name: memory\nsteps:\n{steps}")
    results = folder / "results"
    options = ("--plate", "big", "--format", "pattern", "--pattern", "{row}{col}_s{site}_w{channel}_z{z}.tif")
    for command in (
        ("index", raw, *options, "--output", results / "big/index.json"),
        ("compile", "--config", folder / "config.yaml", "--results", results),
    ):
        subprocess.run([BIN / "hcs", *map(str, command)], check=True, stdout=subprocess.DEVNULL)

    groups = layout.groups()
    script = peak_mb(SCRIPT, raw, out, json.dumps(groups), "smooth" if layout.smooth else "")
    ours = peak_mb(HCS, "execute", results / "big/contexts/s01-cpu/B02.json")
    idle = peak_mb(SCRIPT, raw, out, "[]", "")
    group = len(groups[0]) * PLANE_MB
    allowed = 1.25 * script + group
    what = f"{'smooth, ' if layout.smooth else ''}stack {layout.stack}"
    shape = f"{layout.sites} sites, {layout.channels} channels, {layout.z} z"
    return [what, shape, *(round(value) for value in (idle, script, ours, group, allowed)), round(ours / allowed, 2)]


def main() -> None:
    rows = []
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as name:
            rows.append(measure(layout, Path(name)))
    target = REPOSITORY / "benchmarks/results/memory.csv"
    header = ["what", "well", "script_imports_mb", "script_mb", "hcs_mb", "group_mb", "allowed_mb", "hcs_over_allowed"]
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print(target.read_text(), end="")


if __name__ == "__main__":
    main()
