"""A pipeline for some wells of a plate: the others are not missing, and stand nowhere in the results."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.workflow

FLAT = """\
  - {name: light, scope: plate, stack: site, sample: 6, func: hcs.estimate_flat_field, outputs: {image: flat}}
  - {name: even, input: raw, func: hcs.apply_flat_field, inputs: {flat_field: flat}}
"""

ROWS = {"projection": "B", "nuclei": "B", "cytoplasm": "B", "measure": "B", "even": "D", "quality": "D"}
"""The wells that each step is for; those of row C go through none."""

WELL = {"objects": "Metadata_Well", "sites": "well"}


@pytest.fixture(scope="module")
def some(program: Callable, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plate of the demo, of which row B is segmented and then measured, and row D made even and looked at."""
    folder = tmp_path_factory.mktemp("some")
    shutil.copytree(repository / "config", folder / "config")
    pipeline = folder / "config/pipelines/demo.yaml"
    text = pipeline.read_text().replace("{labels: cytoplasm}", "{labels: cytoplasm}\n    checkpoint: true")
    at = text.index("  - {name: quality")
    text = text[:at] + FLAT + text[at:].replace("input: raw", "input: even")
    for step, row in ROWS.items():
        text = text.replace(f"- name: {step}\n", f"- name: {step}\n    wells: [{row}]\n")
        text = text.replace(f"{{name: {step},", f"{{name: {step}, wells: [{row}],")
    pipeline.write_text(text)
    assert program("hcs", "demo", "demo", cwd=folder).status == 0
    run(program, repository, folder)
    return folder


def run(program: Callable, repository: Path, folder: Path) -> str:
    done = program("snakemake", "--snakefile", repository / "Snakefile", "--cores", "2", cwd=folder)
    assert done.status == 0, done.text
    return done.text


def wells_of(folder: Path) -> dict[str, set[str]]:
    """Return the rows that stand in each part of the results of the plate."""
    results = folder / "results/demo"
    with (results / "tables/wells.csv").open(newline="") as file:
        found = {"wells.csv": {row["well"] for row in csv.DictReader(file)}}
    for table in ("objects", "sites"):
        found[table] = set(pq.read_table(results / f"tables/{table}.parquet").column(WELL[table]).to_pylist())
    for kind in ("contexts", "receipts"):
        for path in (results / kind).glob("s*/*.json"):
            found.setdefault(f"{kind}/{path.parent.name}", set()).add(path.stem)
    store = json.loads((results / "demo.zarr/zarr.json").read_bytes())["attributes"]["ome"]["plate"]
    found["store"] = {well["path"].replace("/", "") for well in store["wells"]}
    found["groups"] = {f"{path.parts[-3]}{path.parts[-2]}" for path in results.glob("demo.zarr/*/*/*/")}
    return {name: {well[0] for well in wells} for name, wells in found.items()}


def test_wells_that_no_step_is_for_stand_nowhere(program: Callable, repository: Path, some: Path) -> None:
    assert wells_of(some) == {
        "wells.csv": {"B", "D"}, "objects": {"B"}, "sites": {"B", "D"}, "store": {"B"}, "groups": {"B"},
        "contexts/s01-cpu": {"p"}, "contexts/s02-cpu": {"B"}, "contexts/s03-cpu": {"B", "D"},
        "receipts/s01-cpu": {"p"}, "receipts/s02-cpu": {"B"}, "receipts/s03-cpu": {"B", "D"},
    }  # fmt: skip
    plan = json.loads((some / "results/demo/plan.json").read_bytes())
    assert {well[0] for well in plan["wells"]} == {"B", "D"}
    with (some / "results/demo/tables/failures.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == []
    count = len(plan["wells"])
    assert f"demo: {count} of {count} wells done, 0 failed" in (some / "results/demo/verdict.txt").read_text()
    methods = (some / "results/demo/provenance/methods.md").read_text()
    assert f"analysed in {count} of {count + len(plan['other_wells'])} imaged wells" in methods
    assert "were not executed" not in methods
    assert "images" not in program("hcs", "collect", "results/demo", cwd=some).text
    verified = program("hcs", "verify", "results", cwd=some)
    assert verified.status == 0, verified.text
    assert "Nothing to be done" in run(program, repository, some)


def test_other_wells_take_their_place(program: Callable, repository: Path, some: Path) -> None:
    """Row C in the place of row B: what was made of B is gone, and D is not done again."""
    results = some / "results/demo"
    kept = {path: path.read_bytes() for path in results.glob("receipts/s03-cpu/D*.json")}
    pipeline = some / "config/pipelines/demo.yaml"
    pipeline.write_text(pipeline.read_text().replace("wells: [B]", "wells: [C]"))
    run(program, repository, some)
    found = wells_of(some)
    assert found["wells.csv"] == found["receipts/s03-cpu"] == {"C", "D"}
    assert found["objects"] == found["store"] == found["groups"] == found["receipts/s02-cpu"] == {"C"}
    assert kept
    assert {path: path.read_bytes() for path in kept} == kept
    assert program("hcs", "verify", "results", cwd=some).status == 0
