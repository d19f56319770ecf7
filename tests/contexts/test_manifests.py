from pathlib import Path

import pytest

from hcs_lib.contexts.manifests import Manifest, ObjectTable, PlatePlan, Stage
from hcs_lib.contexts.receipts import BatchReceipt, Failure, Output, Receipt, SiteRecord
from hcs_lib.core.errors import UserError

PLAN = PlatePlan(
    plate="demo", pipeline="p", raw_folder="/raw", wells=("A01", "A02"),
    stages=(Stage(name="s01-cpu", gpu=0, steps=("a",), batches={"b001": ("A01", "A02")}, mem_mb=700),),
    labels=("nuclei",), table=ObjectTable(name="objects", primary="nuclei", objects=("nuclei",), columns=("Area",)),
    derived={"x": "Area * 2"}, channel_names=("DNA",), platemap=None, allowed_failures=0, store="demo.zarr",
)  # fmt: skip


def test_plan_and_manifest_are_read_back(tmp_path: Path) -> None:
    manifest = Manifest(plate="demo", stage="s01-cpu", batch="b001", wells={"A01": "d1"})
    PLAN.save(tmp_path / "plan.json")
    manifest.save(tmp_path / "b001.json")
    assert PlatePlan.load(tmp_path / "plan.json") == PLAN
    assert Manifest.load(tmp_path / "b001.json") == manifest
    before = (tmp_path / "plan.json").stat().st_mtime_ns
    PLAN.save(tmp_path / "plan.json")
    assert (tmp_path / "plan.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(("model", "what"), [(PlatePlan, "plan"), (Manifest, "manifest")])
def test_what_is_none_is_refused(tmp_path: Path, model: type[PlatePlan], what: str) -> None:
    (tmp_path / "x.json").write_text('{"plate": "demo"}')
    with pytest.raises(UserError, match=rf"x\.json: This is no {what}"):
        model.load(tmp_path / "x.json")
    with pytest.raises(UserError, match="hcs compile"):
        model.load(tmp_path / "absent.json")


def test_a_receipt_that_cannot_be_trusted_is_none(tmp_path: Path) -> None:
    receipt = Receipt(
        plate="demo", well="A01", stage="s01-cpu", context_digest="d", status="failed", reason="bad",
        failure=Failure(kind="bad_plane", message="short", site=1, step="nuclei"),
        outputs=(Output(path="a", kind="image", name="image", digest="d", files=1, bytes=2),),
        sites=(SiteRecord(site=1, status="failed", planes=0, counts={"nuclei": 3}),),
        planes={"a.tif#0": "h"}, device={"kind": "cpu"}, versions={"numpy": "2"}, seconds={"nuclei": 0.5},
        warnings=(), started="", finished="",
    )  # fmt: skip
    path = tmp_path / "A01.json"
    receipt.save(path)
    assert Receipt.load(path) == receipt
    whole = path.read_bytes()
    for damaged in (b"", whole[:-20], b"[]", whole.replace(b'"schema_version":1', b'"schema_version":9')):
        path.write_bytes(damaged)
        assert Receipt.load(path) is None
    assert Receipt.load(tmp_path / "absent.json") is None


def test_a_batch_receipt_holds_no_times() -> None:
    assert set(BatchReceipt(plate="p", stage="s", batch="b", wells={}).to_json()) == {
        "plate",
        "stage",
        "batch",
        "wells",
    }
