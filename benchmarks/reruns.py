"""What is done again after each kind of change, and whether `hcs plan` says so beforehand.

    .venv/bin/python benchmarks/reruns.py [WELLS]

A plate of 96 wells (or WELLS), two sites, a pipeline of two stages. Each change is made to the plate, its pipeline or
the software, one after another; `hcs plan --json` is asked, the workflow run, and the receipts that it wrote are
counted. Writes benchmarks/results/reruns.csv and prints it; fails where a plan was wrong or a well too many was done.
tests/workflow/test_reruns.py does the same with a few wells.
"""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from hcs_lib.core.addresses import Well, well_name

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NAME, SIDE, FIRST, LAST = "reruns", 64, "s01-cpu", "s02-cpu"

CONFIG = "plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 4\nbad_planes: skip_site\n"
PLATES = f"plate\tpath\tpattern\n{NAME}\timages\t{{well}}_s{{site}}_{{channel}}.tif\n"
PIPELINE = """\
name: reruns
steps:
  - {name: smooth, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, checkpoint: true}
  - {name: nuclei, func: {call: hcs.segment_nuclei, args: {min_diameter: 8 px}}, outputs: {labels: nuclei}}
  - name: measure
    input: raw
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: [nuclei]}
    outputs: {table: objects}
"""

Done = set[tuple[str, str]]
"""Stages and wells."""


class Cost(NamedTuple):
    """What a program and everything that it started took."""

    wall_s: float
    cpu_s: float


@dataclass
class Plate:
    """A raw plate, its configuration, and the folder that Snakemake works in. One site of the last well is missing."""

    folder: Path
    wells: list[str]
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, count: int) -> "Plate":
        columns = 12 if count > 24 else 3
        plate = cls(folder, [well_name(Well(*divmod(number, columns))) for number in range(count)])
        (folder / "images").mkdir(parents=True)
        for well in plate.wells:
            for site in (1, 2):
                if (well, site) != (plate.wells[-1], 2):
                    plate.image(well, site)
        for name, text in {"config.yaml": CONFIG, "plates.tsv": PLATES, "pipeline.yaml": PIPELINE}.items():
            (folder / name).write_text(text)
        return plate

    @property
    def results(self) -> Path:
        return self.folder / "work/results"

    def file(self, well: str, site: int) -> Path:
        return self.folder / f"images/{well}_s{site}_DNA.tif"

    def image(self, well: str, site: int, seed: int = 0) -> None:
        """Write an image of three nuclei."""
        pixels = np.random.default_rng([seed, site, *well.encode()]).normal(100, 5, (SIDE, SIDE))
        y, x = np.ogrid[:SIDE, :SIDE]
        for row, column in ((16, 16), (16, 46), (46, 30)):
            pixels[(y - row) ** 2 + (x - column) ** 2 < 49] += 2000
        tifffile.imwrite(self.file(well, site), pixels.astype(np.uint16))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def pretend(self, distribution: str, version: str) -> None:
        """Let a distribution seem to be installed in another version, for all programs that follow."""
        site = self.folder / "site"
        metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info/METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        before = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        self.environment["PYTHONPATH"] = os.pathsep.join([str(site), *before])

    def program(self, name: str, *arguments: object) -> str:
        done = subprocess.run(
            [BIN / name, *map(str, arguments)], cwd=self.folder, env=os.environ | self.environment, text=True,
            capture_output=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done.stdout

    def plan(self) -> dict[str, str]:
        """Return what `hcs plan` foresees: why, by `stage/well`."""
        found = json.loads(
            self.program("hcs", "plan", "--config", "config.yaml", "--results", "work/results", "--json")
        )
        reasons = {f"{row['stage']}/{row['well']}": row["why"] for row in found["run"]}
        assert len(reasons) == len(found["run"]), found["run"]
        return reasons

    def run(self, *targets: str) -> None:
        """Run the workflow; without targets, all of it."""
        self.program(
            "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", "work", "--configfile", "config.yaml",
            "--cores", 2, *targets,
        )  # fmt: skip

    def receipts(self) -> dict[str, bytes]:
        """Return the receipts by `stage/well`: they carry times, so that one written again is another."""
        found = (self.results / NAME / "receipts").glob("*/*.json")
        return {f"{path.parent.name}/{path.stem}": path.read_bytes() for path in found}


class Change(NamedTuple):
    """A change, the wells it may have done again, and words of the reason that is given for each."""

    name: str
    make: Callable[[Plate], None]
    expected: Callable[[Plate], Done]
    why: str = ""


def nothing(plate: Plate) -> Done:
    return set()


def of(stages: tuple[str, ...], *wells: int) -> Callable[[Plate], Done]:
    """Return the wells of some places (all, where none is given) in some stages."""
    return lambda plate: {
        (stage, well) for stage in stages for well in ([plate.wells[place] for place in wells] or plate.wells)
    }


def _override(plate: Plate) -> None:
    args = "args: {hcs.segment_nuclei: {min_diameter: 9 px}}"
    line = f"overrides: [{{wells: [{plate.wells[1]}], step: nuclei, {args}}}]\n"
    plate.edit("pipeline.yaml", "name: reruns\n", f"name: reruns\n{line}")


def _come(plate: Plate) -> None:
    well = well_name(Well(3, 0) if len(plate.wells) < 24 else Well(8, 0))
    plate.wells.append(well)
    for site in (1, 2):
        plate.image(well, site)


def _go(plate: Plate) -> None:
    well = plate.wells.pop(3)
    for site in (1, 2):
        plate.file(well, site).unlink()


def _rewrite(plate: Plate, place: int) -> None:
    file = plate.file(plate.wells[place], 1)
    file.write_bytes(file.read_bytes())


BOTH = (FIRST, LAST)
CHANGES = (
    Change("nothing", lambda plate: None, nothing),
    Change("a comment", lambda plate: plate.edit("pipeline.yaml", "steps:", "# a comment\nsteps:"), nothing),
    Change("batches of 6", lambda plate: plate.edit("config.yaml", "batch: 4", "batch: 6"), nothing),
    Change("a library that is not used", lambda plate: plate.pretend("pyclesperanto", "99.0"), nothing),
    Change(
        "an argument of the last stage",
        lambda plate: plate.edit("pipeline.yaml", "8 px", "7 px"),
        of((LAST,)),
        "step 'nuclei' argument min_diameter 8 px → 7 px",
    ),
    Change("an override of one well", _override, of((LAST,), 1), "step 'nuclei' argument min_diameter 7 px → 9 px"),
    Change("a file written again", lambda plate: _rewrite(plate, 0), of(BOTH, 0), "changed (time stamp)"),
    Change("a file with other pixels", lambda plate: plate.image(plate.wells[2], 1, seed=1), of(BOTH, 2), "changed"),
    Change("a site that was missing", lambda plate: plate.image(plate.wells[-1], 2), of(BOTH, -1), "added"),
    Change("a well comes", _come, of(BOTH, -1), "no receipt yet"),
    Change("a well goes", _go, nothing),
    Change(
        "fingerprint: content",
        lambda plate: plate.edit("config.yaml", "plates:", "fingerprint: content\nplates:"),
        of(BOTH),
        "fingerprint",
    ),
    Change("then a file written again", lambda plate: _rewrite(plate, 0), nothing),
    Change(
        "then other pixels", lambda plate: plate.image(plate.wells[0], 1, seed=2), of(BOTH, 0), "changed (other bytes)"
    ),
    Change(
        "a library of the last stage",
        lambda plate: plate.pretend("scikit-image", "99.0"),
        of((LAST,)),
        "→ 99.0",
    ),
)


class Outcome(NamedTuple):
    """What a change led to. Numbers count wells, once for each stage."""

    change: str
    expected: int
    planned: int
    executed: int
    wall_s: float
    cpu_s: float


def try_changes(plate: Plate, targets: tuple[str, ...], whole: tuple[str, ...] = ()) -> Iterator[Outcome]:
    """Make every change; raise an AssertionError where what was planned, done and expected is not the same.

    The workflow is run for `targets`; where nothing changes, for `whole`.
    """
    for change in CHANGES:
        change.make(plate)
        expected = {"/".join(at) for at in change.expected(plate)}
        reasons, before = plate.plan(), plate.receipts()
        cost = measured(plate.run, *(targets if change.name != "nothing" else whole))
        after = plate.receipts()
        executed = {at for at in after if after[at] != before.get(at)}
        assert set(reasons) == executed, (change.name, sorted(reasons), sorted(executed))
        assert executed == expected, (change.name, sorted(executed), sorted(expected))
        assert all(change.why in why for why in reasons.values()), (change.name, reasons)
        assert not plate.plan(), change.name
        yield Outcome(change.name, len(expected), len(reasons), len(executed), *cost)


def measured(work: Callable[..., None], *arguments: str) -> Cost:
    """Return what the programs that `work` runs take, in seconds."""
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work(*arguments)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return Cost(round(time.perf_counter() - started, 1), round(cpu, 1))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 96
    with tempfile.TemporaryDirectory() as folder:
        plate = Plate.make(Path(folder) / "analysis", count)
        first = measured(plate.run)
        outcomes = [Outcome("the first run", 2 * count, 2 * count, len(plate.receipts()), *first)]
        print(*outcomes[0], sep="\t", flush=True)
        for outcome in try_changes(plate, (f"results/{NAME}/tables/objects.parquet",)):
            outcomes.append(outcome)
            print(*outcome, sep="\t", flush=True)
    with (REPOSITORY / "benchmarks/results/reruns.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Outcome._fields)
        writer.writerows(outcomes)


if __name__ == "__main__":
    main()
