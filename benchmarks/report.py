"""What figures and report of whole screens cost: CPU, and size as .zip, for 1 and 10 plates of 384 wells.

    .venv/bin/python benchmarks/report.py

Synthetic plates: tables with 90 features, controls, doses, hits, and a store with one site of 2 × 512 × 512 and its
labels for each well. The rules of the workflow draw them, then `snakemake --report` packs them. Writes
benchmarks/results/report.csv and prints it.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hcs_lib.contexts.manifests import ObjectTable, PlatePlan
from hcs_lib.core.addresses import Well, well_name
from hcs_lib.screening.hits import HitRule
from hcs_lib.screening.normalisation import Normalisation
from hcs_lib.screening.replicates import screen_replicates
from hcs_lib.screening.screen import screen_plate
from hcs_lib.storage.collected import write_csv
from hcs_lib.storage.images import Pyramid, write_image, write_labels
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.tables import write_table

REPOSITORY = Path(__file__).parents[1]
SIDE, FEATURES = 512, 90
ROWS, COLUMNS = 16, 24
RULE = HitRule("feature_0", threshold=3, min_replicates=2)
WELLS = [well_name(Well(row, column)) for row in range(ROWS) for column in range(COLUMNS)]

SNAKEFILE = """
import os, sys
from pathlib import Path

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
PIPELINES = {plates}
code = lambda *packages: ""
replicates = ["results/screen/assay_quality.csv", "results/screen/hits.csv"] if len(PIPELINES) > 1 else []
plates_gone_on = lambda *files: expand(files, plate=PIPELINES)
include: "{clone}/workflow/rules/report.smk"
report: "{clone}/workflow/report/workflow.rst"

rule all:
    default_target: True
    input:
        expand("results/{{plate}}/figures/plate.html", plate=PIPELINES),
        "results/report/summary.html",
"""
"""The rules of the report alone: tables and stores are there."""


class Cost(NamedTuple):
    """What a program and everything it started took."""

    what: str
    cpu_seconds: float
    wall_seconds: float
    zip_mb: float | None


def write_store(store: Path) -> None:
    """Write noisy spots on a background, as a camera would see nuclei, for every well."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.zeros((SIDE, SIDE), np.int32)
    for label, (top, left) in enumerate(random.uniform(20, SIDE - 20, (120, 2)), start=1):
        labels[(y - top) ** 2 + (x - left) ** 2 < 100] = label
    spots = np.where(labels > 0, 1500, 150)
    spec = plan_array({"c": 2, "y": SIDE, "x": SIDE}, "uint16", labels=False, channels=("DNA", "GFP"))
    flat = plan_array({"y": SIDE, "x": SIDE}, "int32", labels=True)
    for well in WELLS:
        group = store / well[:-2] / well[-2:] / "1"
        image, nuclei = Pyramid(spec), Pyramid(flat)
        image.put((), random.poisson(np.stack([spots, spots // 2])).astype(np.uint16))
        nuclei.put((), labels)
        write_image(group, image, name=well)
        write_labels(group, "nuclei", nuclei)


def write_plate(folder: Path, store: Path, seed: int) -> None:
    """Write what the rules before the report leave: 16 wells of each control, 44 compounds at 8 doses."""
    random = np.random.default_rng(seed)
    features = tuple(f"feature_{index}" for index in range(FEATURES))
    table = ObjectTable(name="objects", primary="nuclei", objects=("nuclei",), columns=features)
    PlatePlan(
        plate=folder.name, pipeline="benchmark", raw_folder="/raw", wells=tuple(WELLS), stages=(), labels=("nuclei",),
        table=table, derived={}, channel_names=("DNA", "GFP"), platemap=None, allowed_failures=4, store=store.name,
    ).save(folder / "plan.json")  # fmt: skip
    rows = []
    for index, well in enumerate(WELLS):
        column, compound, dose = index % COLUMNS, f"compound {index % 44}", 10.0 ** (index // 44 % 8 - 3)
        control = {0: "neg", COLUMNS - 1: "pos"}.get(column, "")
        effect = {"neg": 0.0, "pos": 10.0}.get(control, 10 * dose / (dose + 1))
        row = {
            "plate": folder.name,
            "well": well,
            "status": "done",
            "sites": 1,
            "sites_left_out": 0,
            "control": control,
        }
        row |= {"compound": "" if control else compound, "dose": "" if control else dose, "unit": "uM"}
        row |= {"count_nuclei": int(random.poisson(500))}
        row |= {name: effect + value for name, value in zip(features, random.normal(size=FEATURES), strict=True)}
        rows.append(row)
    for row in rows[100:104]:
        row |= {"status": "failed", "reason": "bad_plane"} | dict.fromkeys(("count_nuclei", *features))
    own = ["plate", "well", "status", "reason", "compound", "dose", "unit", "control", "sites", "sites_left_out"]
    tables = folder / "tables"
    write_csv(tables / "wells.csv", [*own, "count_nuclei", *features], rows)
    write_csv(
        tables / "failures.csv",
        ["plate", "well", "site", "stage", "step", "kind", "counts", "reason"],
        [row | {"kind": "bad_plane", "counts": "yes"} for row in ({"well": well} for well in WELLS[100:104])],
    )
    write_table(tables / "sites.parquet", {"well": WELLS, "status": [row["status"] for row in rows]})
    screen_plate(folder, [], Normalisation(), RULE)
    (folder / store.name).symlink_to(store)


def measure(what: str, *command: object, cwd: Path) -> tuple[float, float]:
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status):
            output.seek(0)
            sys.exit(f"{what} failed:\n{output.read().decode()}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start


def costs(plates: int, store: Path, folder: Path) -> list[Cost]:
    names = [f"plate_{index:02d}" for index in range(plates)]
    for seed, name in enumerate(names):
        write_plate(folder / "results" / name, store, seed)
    if plates > 1:
        screen_replicates([folder / "results" / name for name in names], RULE, folder / "results/screen")
    (folder / "Snakefile").write_text(SNAKEFILE.format(plates=names, clone=REPOSITORY))
    snakemake = Path(sys.executable).parent / "snakemake"
    drawn = measure("figures", snakemake, "--snakefile", "Snakefile", "--cores", 2, cwd=folder)
    packed = measure("report", snakemake, "--snakefile", "Snakefile", "--report", "report.zip", cwd=folder)
    size = (folder / "report.zip").stat().st_size / 1e6
    return [
        Cost(f"{plates} plates: figures, summary", round(drawn[0], 1), round(drawn[1], 1), None),
        Cost(f"{plates} plates: snakemake --report", round(packed[0], 1), round(packed[1], 1), round(size, 1)),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = folder / "images.zarr"
        write_store(store)
        found = []
        for plates in (1, 10):
            (folder / str(plates)).mkdir()
            found += costs(plates, store, folder / str(plates))
    target = REPOSITORY / "benchmarks/results/report.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([Cost._fields, *found])
    print(target.read_text(), end="")


if __name__ == "__main__":
    main()
