"""Plans of a plate with a gate, as a person reads them, and their work. The workflow's test has all changes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from hcs_lib.cli.main import cli
from hcs_lib.compiler.compile import compile_plate, index_anew
from hcs_lib.contexts.gates import GateFound
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.pipeline.located import read_yaml
from hcs_lib.pipeline.settings import Settings, load_settings
from hcs_lib.planning.reruns import forecast
from hcs_lib.planning.work import estimate_work

WELLS = ("A01", "A02", "B01")
PIPELINE = """\
name: gated
steps:
  - {name: smooth, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, keep: true}
  - {name: quality, input: raw, stack: channel, func: hcs.measure_image_quality, outputs: {table: image_quality}}
"""
FIRST, LAST = "s01-cpu", "s02-cpu"


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, well in enumerate(WELLS):
        pixels = np.random.default_rng(number).integers(90, 110, (64, 64)).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"images/{well}_s1_DNA.tif", pixels)
    (tmp_path / "plates.tsv").write_text("plate\tpath\tpattern\ngated\timages\t{well}_s{site}_{channel}.tif\n")
    (tmp_path / "config.yaml").write_text(
        "plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 2\nqc_gate: {max_flagged: 0.1}\n"
    )
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


def settings_of(analysis: Path) -> Settings:
    document = read_yaml(analysis / "config.yaml")
    return load_settings(document.value, analysis, document.source)


def compile_and_execute(analysis: Path, *stages: str) -> None:
    settings = settings_of(analysis)
    (plate,) = settings.plates
    results = analysis / "results"
    index_anew(plate, settings).save(results / "gated/index.json")
    compile_plate(plate, settings, results)
    for stage in stages:
        for manifest in sorted((results / f"gated/manifests/{stage}").glob("*.json")):
            execute_manifest(manifest)


def planned(analysis: Path) -> tuple[dict[str, set[str]], Any]:
    settings = settings_of(analysis)
    found = forecast(settings.plates[0], settings, analysis / "results")
    wells: dict[str, set[str]] = {}
    for rerun in found.run:
        wells.setdefault(rerun.stage, set()).add(rerun.well)
    return wells, found


def judge(analysis: Path, *, passed: bool) -> None:
    GateFound(plate="gated", sites=3, flagged=(), max_flagged=0.1, passed=passed).save(analysis / "results/gated")


def test_nothing_behind_a_closed_gate_is_planned_until_what_it_judges_changes(analysis: Path) -> None:
    everything = {FIRST: set(WELLS), LAST: set(WELLS)}
    assert planned(analysis)[0] == everything
    compile_and_execute(analysis, FIRST)
    assert planned(analysis)[0] == {LAST: set(WELLS)}

    judge(analysis, passed=False)
    wells, found = planned(analysis)
    assert (wells, found.waits, found.keep) == ({}, (LAST,), 6)

    config = analysis / "config.yaml"
    config.write_text(config.read_text().replace("0.1", "0.5"))
    assert planned(analysis)[0] == {LAST: set(WELLS)}, "the gate will judge anew"
    config.write_text(config.read_text().replace("0.5", "0.1"))

    file = analysis / "images/A02_s1_DNA.tif"
    file.write_bytes(file.read_bytes())
    wells, found = planned(analysis)
    assert (wells, found.waits) == ({FIRST: {"A02"}, LAST: set(WELLS)}, ())

    compile_and_execute(analysis, FIRST)
    judge(analysis, passed=True)
    compile_and_execute(analysis, LAST)
    wells, found = planned(analysis)
    assert (wells, found.keep) == ({}, 6)


def test_a_person_reads_reasons_and_not_wells(analysis: Path) -> None:
    compile_and_execute(analysis, FIRST)
    judge(analysis, passed=True)
    compile_and_execute(analysis, LAST)
    arguments = ["plan", "--config", str(analysis / "config.yaml"), "--results", str(analysis / "results")]
    before = {path: path.stat().st_mtime_ns for path in analysis.rglob("*")}

    def told(*more: str) -> str:
        result = CliRunner().invoke(cli, [*arguments, *more], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    assert told() == ("gated: 0 to run, 6 to keep (wells, counted in each stage)\nNo well is to be executed.\n")
    (analysis / "pipeline.yaml").write_text(PIPELINE.replace("sigma: 1", "sigma: 2"))
    for well in WELLS:
        image = analysis / f"images/{well}_s1_DNA.tif"
        image.write_bytes(image.read_bytes())
    lines = told().splitlines()
    sigma, file = "step 'smooth' argument sigma 1 → 2", "file A01_s1_DNA.tif"
    assert lines[:3] == [
        "gated: 6 to run, 0 to keep (wells, counted in each stage)",
        f"  {FIRST}  3 wells (A01, A02, B01): raw files, such as {file} changed (time stamp)",
        f"  {LAST}  3 wells (A01, A02, B01): {sigma}; raw files, such as {sigma}; {file} changed (time stamp)",
    ]
    assert "by 6 wells measured. With wells_per_batch: 3 (now 2)" in lines[3]
    found = json.loads(told("--json"))
    assert {(row["plate"], row["stage"], row["well"]) for row in found["run"]} == {
        ("gated", stage, well) for stage in (FIRST, LAST) for well in WELLS
    }
    assert (found["keep"], found["wells_per_batch"]) == (0, 3)
    changed = {path for path, stamp in before.items() if path.stat().st_mtime_ns != stamp}
    assert changed <= {analysis / "pipeline.yaml", *(analysis / "images").glob("*.tif")}, "a plan writes nothing"


def test_work_is_the_median_of_each_stage_times_its_wells(analysis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_and_execute(analysis, FIRST)
    folder = analysis / f"results/gated/receipts/{FIRST}"
    for seconds, well in zip((10.0, 30.0, 90.0), WELLS, strict=True):
        path = folder / f"{well}.json"
        receipt = Receipt.load(path)
        assert receipt is not None
        receipt.model_copy(update={"seconds": {"quality": seconds / 2, "more": seconds / 2}}).save(path)
    for well in WELLS:
        image = analysis / f"images/{well}_s1_DNA.tif"
        image.write_bytes(image.read_bytes())
    wells, found = planned(analysis)
    assert wells == {FIRST: set(WELLS), LAST: set(WELLS)}
    work = estimate_work([found], analysis / "results")
    assert work.seconds is None, "nothing of the second stage was ever measured"
    assert (work.measured, work.wells_per_batch) == (3, 3)
    found.run = [rerun for rerun in found.run if rerun.stage == FIRST]
    assert estimate_work([found], analysis / "results").seconds == 90.0
    monkeypatch.setattr("hcs_lib.planning.work.JOB_SECONDS", 65.0)
    assert estimate_work([found], analysis / "results").wells_per_batch == 2
