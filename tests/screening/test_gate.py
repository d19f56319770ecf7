"""The gate, and collecting a plate of two stages whose sites are measured first."""

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from hcs_lib.cli.gate import gate as gate_command
from hcs_lib.contexts.gates import GateFound, waits_at_gate
from hcs_lib.contexts.manifests import Gate, Manifest, ObjectTable, PlatePlan, SiteTable, Stage
from hcs_lib.contexts.receipts import Failure, Output, Receipt, SiteRecord
from hcs_lib.core.canonical import digest_tree
from hcs_lib.core.errors import UserError
from hcs_lib.screening.collect import collect_plate
from hcs_lib.screening.gate import approve, judge
from hcs_lib.storage.tables import write_table

WELLS = ("A01", "A02", "A03", "A04")
SLOPE = "ImageQuality_PowerLogLogSlope_DNA"
SATURATED = "ImageQuality_PercentSaturated_DNA"
AREA = "Nuclei_AreaShape_Area"


def save_plan(folder, **facts):
    stages = [
        Stage(name=name, gpu=0, steps=(step,), batches={"b001": WELLS}, mem_mb=500)
        for name, step in (("s01-cpu", "quality"), ("s02-cpu", "measure"))
    ]
    fields = {
        "plate": "p", "pipeline": "test", "raw_folder": "/raw", "wells": WELLS, "stages": tuple(stages),
        "labels": ("nuclei",),
        "table": ObjectTable(name="objects", primary="nuclei", objects=("nuclei",), columns=(AREA,)),
        "derived": {}, "channel_names": ("DNA",), "platemap": None, "allowed_failures": 0, "store": None,
        "site_table": SiteTable(name="image_quality", columns=(SLOPE, SATURATED)),
        "qc_flags": {"blurred": 5.0, "saturated": 1.0},
        "gate": Gate(stage="s01-cpu", max_flagged=0.2, flags=("blurred", "saturated")),
    }  # fmt: skip
    PlatePlan(**(fields | facts)).save(folder / "plan.json")


def save_receipt(folder, well, stage, *, outputs=(), sites=(), failure=None):
    Receipt(
        plate="p", well=well, stage=stage, context_digest=f"{stage}-{well}", status="failed" if failure else "done",
        reason=failure.message if failure else "", failure=failure, outputs=outputs, sites=sites, planes={},
        device={}, versions={}, seconds={}, warnings=(), started="", finished="",
    ).save(folder / f"receipts/{stage}/{well}.json")  # fmt: skip


def written(folder, path, name):
    return Output(path=path, kind="table", name=name, **digest_tree(folder / path)._asdict())


def save_quality(folder, well, slopes, saturated=(0.0, 0.0)):
    """A well of two sites with one value for each, or of several z-planes each with a list of values."""
    rows = [
        (site, z, slope, full)
        for site, (over_z, full) in enumerate(zip(slopes, saturated, strict=True), 1)
        for z, slope in enumerate(over_z if isinstance(over_z, list) else [over_z], 1)
    ]
    site, z, slope, full = (list(column) for column in zip(*rows, strict=True))
    path = f"tables/wells/{well}/image_quality.parquet"
    write_table(
        folder / path,
        {"Metadata_Plate": ["p"] * len(rows), "Metadata_Well": [well] * len(rows), "Metadata_Site": site,
         "Metadata_Z": z, SLOPE: slope, SATURATED: full},
    )  # fmt: skip
    output = written(folder, path, "image_quality")
    sites = tuple(SiteRecord(site=at, status="done", planes=1, counts={}) for at in (1, 2))
    save_receipt(folder, well, "s01-cpu", outputs=(output,), sites=sites)


def save_objects(folder, well):
    path = f"tables/wells/{well}/objects.parquet"
    write_table(folder / path, {"Metadata_Plate": ["p"], "Metadata_Well": [well], "Metadata_Site": [1], AREA: [9.0]})
    output = written(folder, path, "objects")
    sites = tuple(SiteRecord(site=at, status="done", planes=1, counts={"nuclei": at}) for at in (1, 2))
    save_receipt(folder, well, "s02-cpu", outputs=(output,), sites=sites)


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    """Eight sites, measured but for the second stage: two blurred, one of them saturated too."""
    folder = tmp_path / "results/p"
    save_plan(folder)
    for stage in ("s01-cpu", "s02-cpu"):
        wells = {well: f"{stage}-{well}" for well in WELLS}
        Manifest(plate="p", stage=stage, batch="b001", wells=wells).save(folder / f"manifests/{stage}/b001.json")
    save_quality(folder, "A01", (-1.5, -1.4))
    save_quality(folder, "A02", (-1.6, -3.0))
    save_quality(folder, "A03", (-3.1, -1.5), (5.0, 0.0))
    save_quality(folder, "A04", ([-1.2, -1.4, -1.6], -1.45))
    return folder


def test_too_many_flagged_sites_stop_the_plate(plate):
    found = judge(plate)
    assert (found.found.sites, found.found.passed, found.approval) == (8, False, None)
    assert [(site.well, site.site, site.flags) for site in found.found.flagged] == [
        ("A02", 2, "blurred DNA"), ("A03", 1, "blurred DNA; saturated DNA"),
    ]  # fmt: skip
    assert GateFound.load(plate) == found.found
    waiting = waits_at_gate(plate, PlatePlan.load(plate / "plan.json"))
    assert waiting is not None
    assert waiting.reason == (
        "stopped at the gate: 2 of 8 sites flagged (25%), 20% allowed "
        "(A02 site 2: blurred DNA; A03 site 1: blurred DNA; saturated DNA)"
    )
    assert waiting.command == f'hcs gate {plate} --approve "REASON"'


def test_a_plate_that_was_not_judged_waits(plate):
    waiting = waits_at_gate(plate, PlatePlan.load(plate / "plan.json"))
    assert (waiting.reason, waiting.command) == ("the gate has not judged the plate", f"hcs gate {plate}")


@pytest.mark.parametrize("text", ["{}", "[", '{"passed": true}', "7"])
def test_a_gate_that_cannot_be_read(plate, text):
    (plate / "gate.json").write_text(text)
    with pytest.raises(UserError, match=r"gate\.json"):
        waits_at_gate(plate, PlatePlan.load(plate / "plan.json"))


@pytest.mark.parametrize(
    ("max_flagged", "flags", "passes"),
    [(0.25, ("blurred", "saturated"), True), (0.2, ("saturated",), True), (0.12, ("saturated",), False),
     (0.0, ("dim",), True)],
)  # fmt: skip
def test_what_counts_is_configured(plate, max_flagged, flags, passes):
    save_plan(plate, gate=Gate(stage="s01-cpu", max_flagged=max_flagged, flags=flags))
    assert judge(plate).found.passed is passes
    assert (waits_at_gate(plate, PlatePlan.load(plate / "plan.json")) is None) is passes


def test_what_passes_leaves_its_flagged_sites(plate):
    save_plan(plate, gate=Gate(stage="s01-cpu", max_flagged=0.25, flags=("saturated",)))
    judge(plate)
    assert json.loads((plate / "gate.json").read_text()) == {
        "schema_version": 1, "plate": "p", "sites": 8, "max_flagged": 0.25, "passed": True,
        "flagged": [{"well": "A03", "site": 1, "flags": "saturated DNA"}],
    }  # fmt: skip


def test_an_approval_holds_for_the_same_sites_with_the_same_flags(plate):
    approved = approve(plate, judge(plate), by="somebody", reason=" known: dust \n")
    assert approved.found.passed
    assert (approved.approval["by"], approved.approval["reason"]) == ("somebody", "known: dust")
    first = (plate / "gate.json").read_bytes()
    assert b"somebody" not in first
    assert judge(plate).found.passed
    assert (plate / "gate.json").read_bytes() == first

    save_quality(plate, "A01", (-1.5, -4.0))
    assert not judge(plate).found.passed
    assert not GateFound.load(plate).passed

    save_quality(plate, "A01", (-1.5, -1.4))
    assert judge(plate).approval == approved.approval


def test_a_plate_that_is_mended_needs_no_approval(plate):
    save_quality(plate, "A03", (-1.5, -1.5))
    found = judge(plate)
    assert (len(found.found.flagged), found.found.passed, found.approval) == (1, True, None)
    assert not (plate / "approvals.json").exists()


def test_the_command_says_what_and_what_to_do(plate):
    runner = CliRunner()
    stopped = runner.invoke(gate_command, [str(plate)])
    assert stopped.exit_code == 1
    assert stopped.stdout.splitlines() == [
        "p: well A02, site 2: blurred DNA",
        "p: well A03, site 1: blurred DNA; saturated DNA",
        "p: 2 of 8 sites flagged (25%), 20% allowed.",
    ]
    assert f'hcs gate {plate} --approve "REASON"' in stopped.stderr
    approved = runner.invoke(gate_command, [str(plate), "--approve", "dust"])
    assert (approved.exit_code, approved.stderr) == (0, "")
    assert approved.stdout.splitlines()[-1].endswith(": dust")
    assert runner.invoke(gate_command, [str(plate)]).exit_code == 0
    (entry,) = json.loads((plate / "approvals.json").read_text())
    assert (entry["reason"], entry["flagged"]) == ("dust", 2)


def test_who_has_no_name_approves_by_number(plate, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nameless(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", nameless)
    approved = CliRunner().invoke(gate_command, [str(plate), "--approve", "dust"], catch_exceptions=False)
    assert approved.exit_code == 0
    (entry,) = json.loads((plate / "approvals.json").read_text())
    assert entry["by"] == f"user {os.getuid()}"


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_approval_needs_a_reason(plate, reason):
    with pytest.raises(UserError, match="needs a reason"):
        approve(plate, judge(plate), by="somebody", reason=reason)


def test_approvals_that_are_none(plate):
    (plate / "approvals.json").write_text('{"digest": 1}')
    with pytest.raises(UserError, match="These are no approvals"):
        judge(plate)


def test_a_plate_without_a_gate(plate):
    save_plan(plate, gate=None)
    with pytest.raises(UserError, match=r"plate p: There is no gate\. Set qc_gate"):
        judge(plate)


def test_wells_not_measured_since_are_named(plate):
    (plate / "receipts/s01-cpu/A02.json").unlink()
    with pytest.raises(UserError, match="plate p, well A02, stage s01-cpu"):
        judge(plate)


def test_tables_of_both_stages(plate):
    for well in WELLS:
        save_objects(plate, well)
    assert collect_plate(plate).wells == {"done": 4, "failed": 0, "skipped": 0}
    rows = {(row["well"], row["site"]): row for row in pq.read_table(plate / "tables/sites.parquet").to_pylist()}
    assert len(rows) == 8
    blurred, stack = rows["A03", 1], rows["A04", 1]
    assert (blurred["flag_blurred"], blurred["flag_saturated"], blurred["flags"]) == (
        True, True, "blurred DNA; saturated DNA",
    )  # fmt: skip
    assert (stack["flag_blurred"], stack["flags"], stack["count_nuclei"]) == (False, "", 1)
    assert stack[SLOPE] == pytest.approx(-1.4)
    with (plate / "tables/wells.csv").open(newline="") as file:
        wells = {row["well"]: row for row in csv.DictReader(file)}
    assert [wells[well]["sites_flagged"] for well in WELLS] == ["0", "1", "1", "0"]
    assert [wells["A03"][name] for name in ("sites_blurred", "sites_saturated", "sites")] == ["1", "1", "2"]
    assert pq.read_table(plate / "tables/objects.parquet").num_rows == 4
    assert judge(plate).digest


def test_a_well_that_fails_before_the_gate_needs_no_second_stage(plate):
    for well in WELLS[1:]:
        save_objects(plate, well)
    save_objects(plate, "A01")
    save_receipt(plate, "A01", "s01-cpu", failure=Failure(kind="bad_plane", message="truncated"))
    assert judge(plate).found.sites == 6
    assert collect_plate(plate).wells == {"done": 3, "failed": 1, "skipped": 0}
    assert not (plate / "tables/wells/A01").exists()
    assert not (plate / "receipts/s02-cpu/A01.json").exists()
    assert (plate / "receipts/s01-cpu/A01.json").exists()


def test_a_well_that_fails_behind_the_gate_keeps_its_quality(plate):
    for well in WELLS[1:]:
        save_objects(plate, well)
    save_receipt(plate, "A01", "s02-cpu", failure=Failure(kind="function", message="it raised"))
    before = judge(plate)
    collect_plate(plate)
    assert (plate / "tables/wells/A01/image_quality.parquet").exists()
    assert judge(plate) == before


def test_sites_without_quality_have_no_flags(plate):
    for well in WELLS:
        save_objects(plate, well)
    save_receipt(plate, "A04", "s01-cpu", sites=(SiteRecord(site=1, status="done", planes=1, counts={}),))
    collect_plate(plate)
    rows = {(row["well"], row["site"]): row for row in pq.read_table(plate / "tables/sites.parquet").to_pylist()}
    row = rows["A04", 1]
    assert (row[SLOPE], row["flag_blurred"], row["flags"]) == (None, None, "")
