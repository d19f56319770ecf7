"""What goes wrong: in the configuration, in a pipeline, in a plate."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.workflow


def test_truncated_file_fails_its_well_alone(bbbc013: Callable) -> None:
    analysis = bbbc013(wells=("A01", "A02", "A12"))
    broken = analysis.config.parent / "images/Channel1-02-A-02.tif"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200_000])

    first = analysis.run()
    assert first.status == 1
    assert "1 failed (0 allowed)" in first.text
    assert "bad_plane" in first.text
    assert "Traceback" not in first.text
    reason = analysis.receipts()["A02"]["reason"]
    line = f"A02 failed in s01-cpu: {reason} (results/bbbc013/logs/s01-cpu/b001.log)"
    lines = [text.strip() for text in first.text.splitlines()]
    assert f"bbbc013: {line}" in lines, "told when its job ended"
    assert "bbbc013 s01-cpu: 2 of 3 wells done, 1 failed" in lines
    ended = first.text.rpartition("bbbc013: 2 of 3 wells done, 1 failed (0 allowed); results/bbbc013/tables\n")[2]
    assert ended.startswith(f"  {line}\nAll plates: results/report/summary.html\n"), "a summary at the end"
    with (analysis.results / "tables/wells.csv").open(newline="") as file:
        assert {row["well"]: row["status"] for row in csv.DictReader(file)} == {
            "A01": "done", "A02": "failed", "A12": "done",
        }  # fmt: skip
    assert (analysis.results / "tables/objects.parquet").is_file()

    before = analysis.receipts()
    again = analysis.run()
    assert again.status == 1, "the verdict fails until the cause is mended"
    assert "1 failed (0 allowed)" in again.text
    assert not analysis.executed_since(before)

    broken.write_bytes(whole)
    mended = analysis.run()
    assert mended.status == 0, mended.text
    assert analysis.executed_since(before) == {"A02"}


@pytest.fixture(scope="module")
def small(bbbc013: Callable) -> Any:
    """One well, indexed and compiled already."""
    analysis = bbbc013(wells=("A01",))
    assert analysis.run("--until", "compile").status == 0
    return analysis


@pytest.mark.parametrize(
    ("name", "old", "new", "found"),
    [
        ("config.yaml", "pipeline:", "pipelin:", "pipeline"),
        ("plates.tsv", "platemap.csv", "platemaps.csv", "platemaps.csv does not exist"),
        ("pipeline.yaml", "stack: channel", "stack: chanel", "pipeline.yaml:15"),
    ],
)
def test_wrong_configuration_stops_before_anything_runs(small: Any, name: str, old: str, new: str, found: str) -> None:
    small.edit(name, old, new)
    try:
        run = small.run("--dry-run")
    finally:
        small.edit(name, new, old)
    assert run.status == 2
    assert found in run.text
    assert "Traceback" not in run.text


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("hcs.expand_ring", "hcs.expand_rings", ["pipeline.yaml:11", "hcs.expand_ring"]),
        ('DNA: "2"', 'DNA: "7"', ["pipeline.yaml:2", "7"]),
    ],
)
def test_wrong_pipeline_is_told_by_compile(small: Any, old: str, new: str, found: list[str]) -> None:
    small.edit("pipeline.yaml", old, new)
    try:
        run = small.run()
    finally:
        small.edit("pipeline.yaml", new, old)
    assert run.status == 1
    told = "".join(run.text.split())  # Snakemake breaks the lines of logs.
    assert all(text in told for text in found), run.text
    assert "Traceback" not in run.text
    assert not small.receipts()


def test_a_plate_that_is_refused_holds_up_no_other(bbbc013: Callable) -> None:
    analysis = bbbc013(wells=("A01",))
    plates = analysis.config.parent / "plates.tsv"
    header, plate = plates.read_text().splitlines()
    for name in ("empty", "unmapped"):
        shutil.copytree(analysis.config.parent / "images", analysis.config.parent / name)
    for image in (analysis.config.parent / "empty").iterdir():
        image.unlink()
    (analysis.config.parent / "other.csv").write_text("well,control\nZ99,neg\n")
    empty = plate.replace("bbbc013\timages", "empty\tempty")
    unmapped = plate.replace("bbbc013\timages", "unmapped\tunmapped").replace("platemap.csv", "other.csv")
    plates.write_text(f"{header}\n{plate}\n{empty}\n{unmapped}\n")

    first = analysis.run()
    assert first.status == 1
    assert "Traceback" not in first.text
    assert "1 of 1 wells done, 0 failed" in (analysis.results / "verdict.txt").read_text()
    summary = (analysis.work / "results/report/summary.html").read_text()
    assert "Plates that are held up (2 of 3)" in summary
    for name in ("empty", "unmapped"):
        folder = analysis.work / "results" / name
        assert "refused" in json.loads((folder / "plan.json").read_text())
        assert (folder / "logs/verdict.log").read_text()
        assert not (folder / "verdict.txt").exists()
        assert not (folder / "tables").exists()
    assert "Z99" in (analysis.work / "results/unmapped/logs/verdict.log").read_text()
    assert "Z99" in summary

    before = analysis.receipts()
    again = analysis.run()
    assert again.status == 1, "they are tried again"
    assert (analysis.work / "results/unmapped/logs/verdict.log").read_text()
    assert not analysis.executed_since(before)

    shutil.copytree(analysis.config.parent / "images", analysis.config.parent / "empty", dirs_exist_ok=True)
    (analysis.config.parent / "other.csv").write_text("well,control\nA01,neg\n")
    mended = analysis.run()
    assert mended.status == 0, mended.text
    assert not analysis.executed_since(before)
    for name in ("empty", "unmapped"):
        assert "1 of 1 wells done" in (analysis.work / "results" / name / "verdict.txt").read_text()
    assert "held up" not in (analysis.work / "results/report/summary.html").read_text()
    assert analysis.run().status == 0
    assert "Nothing to be done" in analysis.run().text


def test_a_library_that_is_not_here_stops_before_anything_runs(small: Any) -> None:
    small.edit("pipeline.yaml", "hcs.expand_ring", "absent.expand_ring")
    small.edit("config.yaml", "pipeline:", "registry: {modules: [absent]}\npipeline:")
    try:
        run = small.run("--dry-run")
    finally:
        small.edit("config.yaml", "registry: {modules: [absent]}\npipeline:", "pipeline:")
        small.edit("pipeline.yaml", "absent.expand_ring", "hcs.expand_ring")
    assert run.status == 2
    assert "module absent: It cannot be imported (there is none). Put it beside the configuration" in run.text
    assert "Traceback" not in run.text


def test_without_its_plate_the_demo_says_what_writes_it(program: Callable, repository: Path, tmp_path: Path) -> None:
    for name in ("Snakefile", "workflow", "config", "profiles"):
        source = repository / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    run = program("snakemake", "--cores", "2", cwd=tmp_path)
    assert run.status == 2
    assert "`make demo`, or `hcs demo demo`, writes the plate of the demo." in run.text
    assert "Traceback" not in run.text
