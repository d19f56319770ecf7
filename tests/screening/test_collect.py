"""Collecting a plate of four wells whose fates are known: done, done without objects, failed, left out."""

import csv
import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hcs_lib.contexts.manifests import Manifest, ObjectTable, PlatePlan, Stage
from hcs_lib.contexts.receipts import Failure, Output, Receipt, SiteRecord
from hcs_lib.core.canonical import digest_tree
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import write_json
from hcs_lib.screening import collect
from hcs_lib.screening.collect import collect_plate
from hcs_lib.screening.verdict import verdict
from hcs_lib.screening.wells import WellResult
from hcs_lib.storage.tables import write_table

WELLS = ("A01", "A02", "B01", "B02")
NUMBER = "Nuclei_Number_Object_Number"
COLUMNS = ("Nuclei_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_GFP")
OF_OBJECTS = ["Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_Region", NUMBER, *COLUMNS, "density"]


def _receipt(well, *, failure=None, outputs=(), sites=(), counts=None):
    return Receipt(
        plate="p", well=well, stage="s01-cpu", context_digest=f"digest-{well}",
        status="failed" if failure else "done", reason=failure.message if failure else "", failure=failure,
        outputs=outputs, sites=sites, counts=counts or {}, planes={}, device={}, versions={}, seconds={}, warnings=(),
        started="", finished="",
    )  # fmt: skip


def _part(folder, well, area, gfp):
    columns = {
        "Metadata_Plate": pa.array(["p"] * len(area), pa.string()),
        "Metadata_Well": pa.array([well] * len(area), pa.string()),
        "Metadata_Site": np.ones(len(area), np.int32),
        NUMBER: np.arange(1, len(area) + 1, dtype=np.int32),
        COLUMNS[0]: np.array(area, np.float64),
        COLUMNS[1]: np.array(gfp, np.float64),
    }
    return _table(folder, well, columns)


def _table(folder, well, columns):
    path = f"tables/wells/{well}/objects.parquet"
    write_table(folder / path, columns)
    return Output(path=path, kind="table", name="objects", **digest_tree(folder / path)._asdict())


def _replace(plate, well, output):
    """Give a well another table, with its receipt."""
    path = plate / f"receipts/s01-cpu/{well}.json"
    receipt = Receipt.load(path)
    kept = [kept for kept in receipt.outputs if kept.kind != "table"]
    receipt.model_copy(update={"outputs": (output, *kept)}).save(path)


def _image(folder, path):
    (folder / path).mkdir(parents=True)
    (folder / path / "zarr.json").write_text("{}")
    return Output(path=path, kind="image", name="image", digest="", files=1, bytes=2)


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "p"
    platemap = tmp_path / "platemap.csv"
    platemap.write_text("well;dose;control;status\na1;0;neg;x\nA2;5;;y\nB1;5;;z\nC01;9;pos;w\n")
    PlatePlan(
        plate="p", pipeline="test", raw_folder="/raw", wells=WELLS,
        stages=(Stage(name="s01-cpu", gpu=0, steps=("measure",), batches={"b001": WELLS}, mem_mb=500),),
        labels=("nuclei",),
        table=ObjectTable(name="objects", primary="nuclei", objects=("nuclei",), columns=(NUMBER, *COLUMNS)),
        derived={"density": f"{COLUMNS[1]} / {COLUMNS[0]}"}, channel_names=("GFP",), platemap=str(platemap),
        allowed_failures=0, store="p.zarr",
    ).save(folder / "plan.json")  # fmt: skip
    manifest = Manifest(plate="p", stage="s01-cpu", batch="b001", wells={well: f"digest-{well}" for well in WELLS})
    write_json(folder / "manifests/s01-cpu/b001.json", manifest.model_dump(mode="json"))

    done = SiteRecord(site=1, status="done", planes=2, counts={"nuclei": 3})
    skipped = SiteRecord(site=2, status="skipped", planes=0, counts={}, reason="plane truncated")
    empty = SiteRecord(site=1, status="done", planes=2, counts={"nuclei": 0})
    receipts = [
        _receipt(
            "A01", sites=(done, skipped), counts={"nuclei": 3},
            outputs=(_part(folder, "A01", [10, 20, 40], [1, 4, 2]), _image(folder, "p.zarr/A/01/1")),
        ),
        _receipt(
            "A02", sites=(empty,), counts={"nuclei": 0},
            outputs=(_part(folder, "A02", [], []), _image(folder, "p.zarr/A/02/1")),
        ),
        _receipt("B01", failure=Failure(kind="function", message="it raised", step="measure", site=1)),
        _receipt("B02", failure=Failure(kind="skipped", message="a plane is missing")),
    ]  # fmt: skip
    for receipt in receipts:
        receipt.save(folder / f"receipts/s01-cpu/{receipt.well}.json")
    return folder


def _csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_objects_of_all_wells_with_derived_features(plate):
    found = collect_plate(plate)
    table = pq.read_table(plate / "tables/objects.parquet")
    assert found.objects == table.num_rows == 3
    assert table.column_names == OF_OBJECTS
    assert table.column("density").to_pylist() == [0.1, 0.2, 0.05]


def test_a_column_that_one_well_lacks_is_nan_there(plate):
    columns = {"Metadata_Plate": ["p"], "Metadata_Well": ["A02"], "Metadata_Site": [1], COLUMNS[0]: [5.0]}
    _replace(plate, "A02", _table(plate, "A02", columns))
    collect_plate(plate)
    table = pq.read_table(plate / "tables/objects.parquet")
    assert table.column_names == OF_OBJECTS
    assert table.column(COLUMNS[0]).to_pylist() == [10, 20, 40, 5]
    assert np.isnan([table.column(name)[3].as_py() for name in (NUMBER, COLUMNS[1], "density")]).all()


def test_metadata_that_one_well_lacks_is_null_there(plate):
    columns = {"Metadata_Plate": ["p"], "Metadata_Well": ["A02"], "Metadata_Site": [1], "Metadata_Z": [3],
               NUMBER: np.array([1], np.int32), COLUMNS[0]: [5.0], COLUMNS[1]: [1.0]}  # fmt: skip
    _replace(plate, "A02", _table(plate, "A02", columns))
    collect_plate(plate)
    table = pq.read_table(plate / "tables/objects.parquet")
    assert table.column_names[:4] == ["Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_Z"]
    assert table.column("Metadata_Z").to_pylist() == [None, None, None, 3]


def test_medians_are_over_finite_values(plate):
    _replace(plate, "A01", _part(plate, "A01", [10, 0, 40], [1, 4, 2]))
    collect_plate(plate)
    rows = {row["well"]: row for row in _csv(plate / "tables/wells.csv")}
    assert float(rows["A01"]["density"]) == np.median([0.1, 0.05])


def test_the_table_is_there_though_every_well_failed_and_no_store_is(plate):
    collect_plate(plate)
    assert (plate / "p.zarr/tables/objects/table.parquet").exists()
    for well in ("A01", "A02"):
        _receipt(well, failure=Failure(kind="function", message="no")).save(plate / f"receipts/s01-cpu/{well}.json")
    assert collect_plate(plate).objects == 0
    table = pq.read_table(plate / "tables/objects.parquet")
    assert table.column_names == ["Metadata_Plate", "Metadata_Well", "Metadata_Region", NUMBER, *COLUMNS, "density"]
    assert table.num_rows == 0
    assert not (plate / "p.zarr").exists()  # a plate has a well at least


def test_wells_have_platemap_counts_and_medians(plate):
    found = collect_plate(plate)
    rows = {row["well"]: row for row in _csv(plate / "tables/wells.csv")}
    assert list(rows) == list(WELLS)
    a01 = rows["A01"]
    assert (a01["dose"], a01["control"], a01["platemap_status"]) == ("0", "neg", "x")
    assert (a01["status"], a01["sites"], a01["sites_left_out"], a01["count_nuclei"]) == ("done", "1", "1", "3")
    assert float(a01[COLUMNS[0]]) == 20
    assert float(a01["density"]) == 0.1
    assert (rows["A02"]["count_nuclei"], rows["A02"][COLUMNS[0]]) == ("0", "")
    assert (rows["B01"]["status"], rows["B01"]["count_nuclei"], rows["B01"]["dose"]) == ("failed", "", "5")
    assert (rows["B02"]["status"], rows["B02"]["dose"]) == ("skipped", "")
    assert found.not_imaged == ("C01",)
    assert found.not_mapped == ("B02",)
    assert NUMBER not in a01


def test_a_count_that_no_step_made_is_empty(plate):
    path = plate / "receipts/s01-cpu/A02.json"
    Receipt.load(path).model_copy(update={"counts": {}}).save(path)
    collect_plate(plate)
    assert {row["well"]: row["count_nuclei"] for row in _csv(plate / "tables/wells.csv")} == {
        "A01": "3", "A02": "", "B01": "", "B02": "",
    }  # fmt: skip


def test_sites_say_why_they_were_left_out(plate):
    collect_plate(plate)
    rows = pq.read_table(plate / "tables/sites.parquet").to_pylist()
    assert [(row["well"], row["site"], row["status"], row["count_nuclei"]) for row in rows] == [
        ("A01", 1, "done", 3), ("A01", 2, "skipped", None), ("A02", 1, "done", 0),
    ]  # fmt: skip


def test_failures_and_verdict_count_what_counts(plate):
    collect_plate(plate)
    rows = _csv(plate / "tables/failures.csv")
    assert [(row["well"], row["kind"], row["counts"], row["reason"]) for row in rows] == [
        ("A01", "site_left_out", "no", "plane truncated"),
        ("B01", "function", "yes", "it raised"),
        ("B02", "skipped", "no", "a plane is missing"),
    ]
    found = verdict(plate)
    assert (found.wells, found.failed, found.left_out, found.allowed, found.passed) == (4, 1, 1, 0, False)


def test_collecting_twice_gives_the_same_bytes(plate):
    collect_plate(plate)
    first = {path: path.read_bytes() for path in plate.rglob("*") if path.is_file()}
    collect_plate(plate)
    assert {path: path.read_bytes() for path in plate.rglob("*") if path.is_file()} == first


def test_what_no_finished_well_names_is_removed(plate):
    _image(plate, "p.zarr/B/01/1")
    _image(plate, "p.zarr/A/01/9")
    _part(plate, "H12", [1], [1])
    gone = [plate / f"receipts/s01-cpu/{name}.json" for name in ("H12", "contexts/H12", "batches/b006")]
    for path in gone:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    collect_plate(plate)
    assert not (plate / "p.zarr/B").exists() or not any((plate / "p.zarr/B").glob("*/"))
    assert not (plate / "p.zarr/A/01/9").exists()
    assert (plate / "p.zarr/A/01/1/zarr.json").exists()
    assert not (plate / "tables/wells/H12").exists()
    assert not any(path.exists() for path in gone)
    wells = json.loads((plate / "p.zarr/zarr.json").read_text())["attributes"]["ome"]["plate"]["wells"]
    assert [well["path"] for well in wells] == ["A/01", "A/02"]


@pytest.mark.parametrize("path", ["p.zarr/A/01/1/zarr.json", "tables/wells/A01/objects.parquet"])
def test_an_output_that_is_gone_is_named(plate, path):
    (plate / path).unlink()
    with pytest.raises(
        UserError, match=r"well A01, stage s01-cpu: .* is not there as the receipt has it. `hcs clean .* --damaged`"
    ):
        collect_plate(plate)
    assert not (plate / "tables/wells.csv").exists()


def test_a_store_that_the_plan_no_longer_names_is_removed(plate):
    plan = PlatePlan.load(plate / "plan.json")
    plan.model_copy(update={"store": None}).save(plate / "plan.json")
    for well in ("A01", "A02"):
        receipt = Receipt.load(plate / f"receipts/s01-cpu/{well}.json")
        tables = tuple(output for output in receipt.outputs if output.kind == "table")
        receipt.model_copy(update={"outputs": tables}).save(plate / f"receipts/s01-cpu/{well}.json")
    collect_plate(plate)
    assert not (plate / "p.zarr").exists()


def test_a_well_not_executed_since_is_named(plate):
    (plate / "receipts/s01-cpu/A02.json").unlink()
    with pytest.raises(UserError, match=r"plate p, well A02, stage s01-cpu: there is no receipt"):
        collect_plate(plate)


def test_verdict_before_collect_says_what_to_do(plate):
    with pytest.raises(UserError, match="Run `hcs collect` first"):
        verdict(plate)


def test_sites_have_what_all_stages_counted():
    def site(number, planes, counts, reason=""):
        status = "skipped" if reason else "done"
        return SiteRecord(site=number, status=status, planes=planes, counts=counts, reason=reason)

    first = _receipt("A01", sites=(site(1, 6, {"nuclei": 3}), site(2, 6, {"nuclei": 4}), site(3, 6, {"nuclei": 5})))
    later = _receipt("A01", sites=(site(1, 2, {"cells": 7}), site(2, 0, {}, reason="a bad plane")))
    found = WellResult("A01", (first, later)).sites
    assert [(one.site, one.status, one.planes, dict(one.counts)) for one in found] == [
        (1, "done", 6, {"nuclei": 3, "cells": 7}),
        (2, "skipped", 0, {}),
        (3, "done", 6, {"nuclei": 5}),
    ]


def test_an_older_run_that_still_collects_is_waited_for(plate, monkeypatch, caplog):
    """It has read what there was; what is newer since is collected after it, and stays."""
    real, read, go_on = collect.tidy, threading.Event(), threading.Event()

    def held(*arguments):
        if not read.is_set():
            read.set()
            assert go_on.wait(60)
        real(*arguments)

    monkeypatch.setattr(collect, "tidy", held)
    older, newer = (threading.Thread(target=collect_plate, args=(plate,)) for _ in range(2))
    older.start()
    assert read.wait(60)
    _replace(plate, "A01", _part(plate, "A01", [77.0], [7.0]))
    newer.start()
    while "another process collects this plate. Waiting for it." not in caplog.text:
        assert newer.is_alive()
    assert 77.0 not in _objects(plate)[COLUMNS[0]].to_pylist()
    go_on.set()
    for thread in (older, newer):
        thread.join(60)
    assert 77.0 in _objects(plate)[COLUMNS[0]].to_pylist()
    assert not (plate / ".collect.lock").exists()


def test_what_writers_left_that_died_is_removed(plate):
    left = [
        plate / ".plan.json.ab12cd_9",
        plate / "receipts/s01-cpu/.A01.json.abcdefgh",
        plate / "p.zarr/A/.zarr.json.12345678",
        plate / "tables/.objects.parquet.abcdefgh/part",
    ]
    in_flight = plate / "work/s01-cpu/A01/.A01.json.abcdefgh"
    for path in (*left, in_flight):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    collect_plate(plate)
    assert not any(path.exists() for path in left)
    assert in_flight.exists()


def _objects(plate):
    return pq.read_table(plate / "tables/objects.parquet")
