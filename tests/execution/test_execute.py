"""Whole wells, from contexts to stored pixels, tables and receipts, against plain calls of the same functions."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import tifffile
from skimage.measure import label, regionprops_table

from hcs_lib.contexts.context import Engine
from hcs_lib.contexts.engine import SOURCES, current_engine
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import DataError, MachineError, UserError
from hcs_lib.execution.execute import execute_manifest, execute_well
from hcs_lib.execution.receipts import Record
from hcs_lib.storage.images import read_image
from hcs_lib.storage.plate import write_plate
from hcs_lib.storage.tables import read_table

MakeBench = Callable[..., Any]


def expected_labels(bench: Any, well: str, site: int) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = label(tifffile.imread(bench.raw / bench.file(well, site, "DNA")), connectivity=1)
    return found


def redone(bench: Any, run: Callable[[], Any]) -> set[str]:
    """Return the wells whose receipt `run` writes anew."""
    before = {well: bench.receipt_path(well).stat().st_mtime_ns for well in bench.wells}
    run()
    return {well for well in bench.wells if bench.receipt_path(well).stat().st_mtime_ns != before[well]}


def test_batch_stores_what_plain_calls_give(bench: Any) -> None:
    told: list[tuple[str, str, bool]] = []
    batch = execute_manifest(
        bench.manifest, report=lambda receipt, kept: told.append((receipt.well, receipt.status, kept))
    )
    assert told == [("A01", "done", False), ("B02", "done", False), ("C11", "done", False)]
    digests = {well: bench.contexts[well].digest for well in bench.wells}
    assert batch.wells == {well: {"context_digest": digests[well], "status": "done"} for well in bench.wells}
    stored = json.loads((bench.results / "receipts/s01-cpu/batches/b001.json").read_text())
    assert stored == {"plate": "demo", "stage": "s01-cpu", "batch": "b001", "wells": dict(batch.wells)}
    for well in bench.wells:
        rows = []
        for site in bench.sites:
            group = bench.group(well, site)
            planes = [tifffile.imread(bench.raw / bench.file(well, site, channel)) for channel in bench.channels]
            np.testing.assert_array_equal(read_image(group), np.stack(planes))
            labels = expected_labels(bench, well, site)
            stored_labels = read_image(group, "nuclei")
            assert stored_labels.dtype == np.int32
            np.testing.assert_array_equal(stored_labels, labels)
            rows.append(regionprops_table(labels, properties=("label", "area", "centroid")))
        table = read_table(bench.table(well))
        lengths = [len(row["label"]) for row in rows]
        assert table.schema.names == ["Metadata_Plate", "Metadata_Well", "Metadata_Site", *rows[0]]
        assert set(table["Metadata_Plate"].to_pylist()) == {"demo"}
        assert set(table["Metadata_Well"].to_pylist()) == {well}
        assert table["Metadata_Site"].to_pylist() == [1] * lengths[0] + [2] * lengths[1]
        for name in rows[0]:
            np.testing.assert_array_equal(table[name].to_numpy(), np.concatenate([row[name] for row in rows]))


def test_receipt_has_the_version_of_each_function_of_ours(bench: Any) -> None:
    context = bench.contexts["B02"]
    ours = [
        context.functions[0].model_copy(update={"id": f"hcs.{name}", "library": "hcs", "version": version})
        for name, version in (("project", "1"), ("segment_nuclei", "2"))
    ]
    other = context.functions[0]
    record = Record(context.model_copy(update={"functions": (other, *ours)}), "", None)
    versions = record.failed(DataError("no pixels", kind="output"), None).versions
    assert (versions["hcs.project"], versions["hcs.segment_nuclei"]) == ("1", "2")
    assert versions[other.library] == other.version
    assert "hcs" not in versions


def test_receipt_says_what_was_read_counted_and_written(bench: Any) -> None:
    receipt = execute_well(bench.context_path("B02"))
    assert receipt == Receipt.load(bench.receipt_path("B02"))
    assert receipt.context_digest == bench.contexts["B02"].digest
    assert bench.receipt_path("B02").with_name("contexts").joinpath("B02.json").read_bytes() == (
        bench.context_path("B02").read_bytes()
    )
    for site, record in zip(bench.sites, receipt.sites, strict=True):
        assert (record.site, record.status, record.planes) == (site, "done", 2)
        assert dict(record.counts) == {"nuclei": expected_labels(bench, "B02", site).max()}
    assert receipt.planes == {
        f"{bench.file('B02', site, channel)}#0": hashlib.sha256(
            tifffile.imread(bench.raw / bench.file("B02", site, channel)).tobytes()
        ).hexdigest()
        for site in bench.sites
        for channel in bench.channels
    }
    assert [(output.kind, output.path) for output in receipt.outputs] == [
        ("image", "demo.zarr/B/02/1"),
        ("labels", "demo.zarr/B/02/1/labels/nuclei"),
        ("image", "demo.zarr/B/02/2"),
        ("labels", "demo.zarr/B/02/2/labels/nuclei"),
        ("table", "tables/wells/B02/objects.parquet"),
    ]
    for output in receipt.outputs:
        files = [
            file
            for file in [bench.results / output.path, *(bench.results / output.path).rglob("*")]
            if file.is_file() and (output.kind != "image" or "labels" not in file.parts)
        ]
        assert output.files == len(files)
        assert output.bytes == sum(file.stat().st_size for file in files)
    assert set(receipt.seconds) == {"nuclei", "measure", "(reading)", "(writing)", "(tables)"}
    assert receipt.bytes_read == sum(file.stat().st_size for file in bench.raw.glob("B02*"))
    assert receipt.peak_memory_mb > 50
    assert not (bench.results / "work" / "s01-cpu" / "B02").exists()


def test_stage_position_places_the_first_pixel(bench: Any) -> None:
    execute_well(bench.context_path("A01"))
    for folder in ("", "labels/nuclei"):
        document = json.loads((bench.group("A01", 2) / folder / "zarr.json").read_text())
        (dataset,) = document["attributes"]["ome"]["multiscales"][0]["datasets"]
        # The stage position (x 2000, y -200) is that of the centre of 96 × 80 pixels of 0.5 µm.
        y, x = dataset["coordinateTransformations"][1]["translation"][-2:]
        assert (y, x) == (-200 - 95 / 2 * 0.5, 2000 - 79 / 2 * 0.5)


def test_channels_have_the_colours_of_the_microscope_or_of_their_emission(bench: Any) -> None:
    metadata = bench.contexts["A01"].metadata
    bench.compile(metadata=metadata.model_copy(update={"colours": ("FF8000", None)}))
    execute_well(bench.context_path("A01"))
    document = json.loads((bench.group("A01", 1) / "zarr.json").read_text())
    channels = document["attributes"]["ome"]["omero"]["channels"]
    assert [(channel["label"], channel["color"]) for channel in channels] == [("DNA", "FF8000"), ("GFP", "00FF00")]


def test_two_runs_have_the_same_bytes_and_raw_is_untouched(bench: Any) -> None:
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in bench.raw.iterdir()}
    execute_manifest(bench.manifest)
    first = bench.outputs()
    for folder in ("receipts", "demo.zarr", "tables"):
        shutil.rmtree(bench.results / folder)
    bench.compile()
    execute_manifest(bench.manifest)
    assert bench.outputs() == first
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in bench.raw.iterdir()} == before


def test_wells_that_are_done_are_kept(bench: Any) -> None:
    execute_manifest(bench.manifest)
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == set()
    assert redone(bench, lambda: [execute_well(bench.context_path(well)) for well in bench.wells]) == set()


def test_kept_wells_need_no_raw_plate(bench: Any) -> None:
    execute_manifest(bench.manifest)
    shutil.rmtree(bench.raw)
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == set()


def remove_chunk(bench: Any) -> None:
    (chunk,) = [file for file in (bench.group("B02", 1) / "labels/nuclei/0/c").rglob("*") if file.is_file()]
    chunk.unlink()


def shorten_image(bench: Any) -> None:
    (chunk,) = [file for file in (bench.group("B02", 2) / "0/c").rglob("*") if file.is_file()]
    os.truncate(chunk, chunk.stat().st_size - 1)


def remove_table(bench: Any) -> None:
    bench.table("B02").unlink()


def truncate_receipt(bench: Any) -> None:
    os.truncate(bench.receipt_path("B02"), 100)


def forge_receipt(bench: Any) -> None:
    shutil.copyfile(bench.receipt_path("A01"), bench.receipt_path("B02"))


@pytest.mark.parametrize("damage", [remove_chunk, shorten_image, remove_table, truncate_receipt, forge_receipt])
def test_a_well_that_is_not_whole_is_done_again(bench: Any, damage: Callable[[Any], None]) -> None:
    execute_manifest(bench.manifest)
    before = bench.outputs()
    damage(bench)
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == {"B02"}
    assert bench.outputs() == before


def test_a_changed_context_replaces_the_well_completely(bench: Any) -> None:
    execute_manifest(bench.manifest)
    (bench.group("B02", 1) / "labels" / "stale").mkdir()

    def without_table(context: Any) -> dict[str, Any]:
        if context.axis_id != "B02":
            return {}
        nuclei = bench.steps("B02")[0].model_copy(
            update={"special_outputs": {"labels": "cells"}, "zarr_store": bench.zarr_store("B02", "cells")}
        )
        return {"step_plans": {0: nuclei}}

    bench.compile(without_table)
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == {"B02"}
    assert sorted(path.name for path in (bench.group("B02", 1) / "labels").iterdir()) == ["cells", "zarr.json"]


def test_function_that_raises_fails_its_well_alone(bench: Any) -> None:
    def edit(context: Any) -> dict[str, Any]:
        return {"step_plans": {0: broken_step(bench)}} if context.axis_id == "B02" else {}

    execute_manifest(bench.manifest)
    bench.compile(edit)
    batch = execute_manifest(bench.manifest)
    assert {well: value["status"] for well, value in batch.wells.items()} == {
        "A01": "done",
        "B02": "failed",
        "C11": "done",
    }
    receipt = Receipt.load(bench.receipt_path("B02"))
    assert receipt is not None
    assert receipt.failure is not None
    assert (receipt.failure.kind, receipt.failure.site, receipt.failure.step) == ("function", 1, "nuclei")
    assert "skimage.measure.label raised ValueError" in receipt.reason
    assert [site.status for site in receipt.sites] == ["failed", "skipped"]
    # Nothing of the earlier context is left that looks like a result of this one.
    assert not bench.group("B02", 1).exists()
    assert read_image(bench.group("A01", 1)).shape == (2, 96, 80)

    assert redone(bench, lambda: execute_manifest(bench.manifest)) == set()
    assert redone(bench, lambda: execute_manifest(bench.manifest, retry_failed=True)) == {"B02"}
    bench.compile()
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == {"B02"}


def broken_step(bench: Any) -> Any:
    nuclei = bench.steps("B02")[0]
    broken = nuclei.func.chain[0].model_copy(update={"args": {"connectivity": 7}})
    return nuclei.model_copy(update={"func": nuclei.func.model_copy(update={"chain": (broken,)})})


def test_result_that_is_no_label_image_is_an_error_of_output(bench: Any, plan_call: Any, refer: Any) -> None:
    def edit(context: Any) -> dict[str, Any]:
        nuclei = bench.steps(context.axis_id)[0]
        chain = (plan_call("skimage.filters:gaussian", returns="labels", sigma=1.0),)
        changed = nuclei.model_copy(update={"func": nuclei.func.model_copy(update={"chain": chain})})
        return {"step_plans": {0: changed}, "functions": (refer("skimage.filters:gaussian"),)}

    bench.compile(edit)
    receipt = execute_well(bench.context_path("A01"))
    assert receipt.failure is not None
    assert receipt.failure.kind == "output"
    assert "96 × 80 float64, expected a plane of 96 × 80 integers" in receipt.reason


@pytest.mark.parametrize(
    ("policy", "status", "kind", "sites"),
    [
        ("fail", "failed", "bad_plane", ["skipped", "failed"]),
        ("skip_site", "done", None, ["done", "skipped"]),
        ("skip_well", "failed", "skipped", ["skipped", "skipped"]),
    ],
)
@pytest.mark.parametrize("fault", ["indexed", "missing", "truncated", "shape", "changed"])
def test_policy_for_bad_planes(
    bench: Any, policy: str, status: str, kind: str | None, sites: list[str], fault: str
) -> None:
    path = bench.raw / bench.file("B02", 2, "GFP")
    plane = tifffile.imread(path)
    if fault == "indexed":
        path.unlink()
        bench.compile(bad_planes=policy)
    elif fault == "missing":
        bench.compile(bad_planes=policy)
        path.unlink()
    elif fault == "changed":
        bench.compile(bad_planes=policy)
        tifffile.imwrite(path, plane + 1)
    else:
        # As if it had been damaged within the resolution of time stamps.
        if fault == "truncated":
            os.truncate(path, path.stat().st_size - 200)
        else:
            tifffile.imwrite(path, plane[:50])
        bench.compile(bad_planes=policy)
    batch = execute_manifest(bench.manifest)
    assert {well: value["status"] for well, value in batch.wells.items()} == {
        "A01": "done",
        "B02": status,
        "C11": "done",
    }
    receipt = Receipt.load(bench.receipt_path("B02"))
    assert receipt is not None
    assert [site.status for site in receipt.sites] == sites
    assert (receipt.failure.kind if receipt.failure else None) == kind
    reason = receipt.reason or receipt.sites[1].reason
    assert bench.file("B02", 2, "GFP") in reason
    if fault == "shape":
        assert "50 × 80 pixels of uint8, expected 96 × 80 pixels of uint8" in reason
    if fault == "changed":
        assert "changed after the plate was indexed" in reason
    assert bench.group("B02", 1).exists() == (status == "done")
    assert not bench.group("B02", 2).exists()
    if status == "done":
        assert set(read_table(bench.table("B02"))["Metadata_Site"].to_pylist()) == {1}
        assert any("site 2 is left out" in warning for warning in receipt.warnings)
        np.testing.assert_array_equal(read_image(bench.group("B02", 1), "nuclei"), expected_labels(bench, "B02", 1))


def test_well_without_any_good_site_is_left_out(bench: Any) -> None:
    for site in bench.sites:
        (bench.raw / bench.file("C11", site, "DNA")).unlink()
    bench.compile(bad_planes="skip_site")
    receipt = execute_well(bench.context_path("C11"))
    assert receipt.failure is not None
    assert receipt.failure.kind == "skipped"
    assert [site.status for site in receipt.sites] == ["skipped", "skipped"]


def test_fingerprint_by_content_ignores_time_and_sees_bytes(bench: Any) -> None:
    def by_content(context: Any) -> dict[str, Any]:
        hashed = [
            plane.model_copy(
                update={"mtime_ns": None, "sha256": hashlib.sha256((bench.raw / plane.file).read_bytes()).hexdigest()}
            )
            for plane in context.planes
        ]
        return {"planes": tuple(hashed)}

    bench.compile(by_content)
    for file in bench.raw.iterdir():
        os.utime(file, ns=(1, 1))
    assert execute_well(bench.context_path("A01")).status == "done"
    path = bench.raw / bench.file("B02", 1, "DNA")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    receipt = execute_well(bench.context_path("B02"))
    assert receipt.failure is not None
    assert receipt.failure.kind == "bad_plane"
    assert "other bytes than when indexed" in receipt.reason


def test_raw_plate_that_is_not_there_is_a_failure_of_the_machine(bench: Any) -> None:
    shutil.move(bench.raw, bench.folder / "moved")
    with pytest.raises(MachineError, match="--raw"):
        execute_manifest(bench.manifest)
    assert not bench.receipt_path("A01").exists()
    assert not (bench.results / "receipts/s01-cpu/batches/b001.json").exists()
    execute_manifest(bench.manifest, raw=bench.folder / "moved")
    assert bench.receipt_path("C11").exists()


def test_context_elsewhere_needs_the_results_folder(bench: Any) -> None:
    copy = bench.folder / "context.json"
    shutil.copyfile(bench.context_path("A01"), copy)
    with pytest.raises(UserError, match="--results"):
        execute_well(copy)
    execute_well(copy, results=bench.results.parent)
    assert bench.receipt_path("A01").exists()


def test_manifest_must_name_the_contexts_beside_it(bench: Any) -> None:
    bench.context("B02", threads=2).save(bench.context_path("B02"))
    with pytest.raises(UserError, match="not the one in the manifest"):
        execute_manifest(bench.manifest)
    shutil.copyfile(bench.manifest, bench.manifest.with_name("b002.json"))
    with pytest.raises(UserError, match="does not lie where"):
        execute_manifest(bench.manifest.with_name("b002.json"))


@pytest.mark.parametrize(("digest", "versions", "message"), [
    (None, {"numpy": "1.0"}, r"numpy is .* compiled for 1\.0"),
    ("another", {}, "code of the executor is not that"),
])  # fmt: skip
def test_software_other_than_compiled_for_is_the_machines_fault(
    bench: Any, digest: str | None, versions: dict[str, str], message: str
) -> None:
    bench.compile(engine=Engine(digest=digest or current_engine().digest, versions=versions))
    with pytest.raises(MachineError, match=message):
        execute_well(bench.context_path("A01"))
    assert not bench.receipt_path("A01").exists()


def test_full_disk_is_a_failure_of_the_machine(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    execute_manifest(bench.manifest)
    before = bench.outputs()
    bench.compile(threads=2)

    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hcs_lib.storage.arrays.ArrayWriter.write", full)
    with pytest.raises(MachineError, match="No space left"):
        execute_manifest(bench.manifest)
    assert bench.outputs() == before
    assert list((bench.results / "work").rglob("*.json")) == []
    monkeypatch.undo()
    execute_manifest(bench.manifest)
    assert bench.outputs() == before


def test_well_without_objects_is_done_with_an_empty_table(bench: Any) -> None:
    for site in bench.sites:
        tifffile.imwrite(bench.raw / bench.file("C11", site, "DNA"), np.zeros((96, 80), np.uint8))
    bench.compile()
    receipt = execute_well(bench.context_path("C11"))
    assert receipt.status == "done"
    assert [dict(site.counts) for site in receipt.sites] == [{"nuclei": 0}, {"nuclei": 0}]
    empty = read_table(bench.table("C11"))
    assert empty.num_rows == 0
    execute_well(bench.context_path("A01"))
    full = read_table(bench.table("A01"))
    assert empty.schema.names == full.schema.names
    assert str(empty.schema.field("Metadata_Well").type) == "string"
    assert read_image(bench.group("C11", 1), "nuclei").max() == 0


def test_a_mount_point_without_its_plate_is_a_failure_of_the_machine(bench: Any) -> None:
    moved = bench.folder / "moved"
    shutil.move(bench.raw, moved)
    bench.raw.mkdir()
    (bench.raw / "UNMOUNTED").touch()
    with pytest.raises(MachineError, match=r"holds none of the files of well A01 .*--raw"):
        execute_manifest(bench.manifest)
    assert not list((bench.results / "receipts").rglob("*.json"))
    execute_manifest(bench.manifest, raw=moved)
    assert bench.receipt_path("C11").exists()


def test_a_mount_that_broke_or_may_not_be_read_is_a_failure_of_the_machine(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat, access = Path.stat, os.access

    def broken(path: Path, **options: Any) -> os.stat_result:
        if path.suffix == ".tif":
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", broken)
        with pytest.raises(MachineError, match="not connected"):
            execute_well(bench.context_path("A01"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: Path(path).suffix != ".tif" and access(path, mode))
        with pytest.raises(MachineError, match=r"none of the files of well A01 .*Permission denied"):
            execute_well(bench.context_path("A01"))
    assert not bench.receipt_path("A01").exists()


@pytest.mark.parametrize("fault", ["missing", "undecodable"])
def test_a_bad_plane_that_shows_itself_late_says_what_to_do(
    bench: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = bench.raw / bench.file("B02", 2, "GFP")
    if fault == "missing":
        path.rename(bench.folder / "away.tif")
    else:

        def damaged(*_args: Any, **_kwargs: Any) -> None:
            raise ZeroDivisionError("bad unpacking")

        monkeypatch.setattr(tifffile.TiffPage, "asarray", damaged)
    receipt = execute_well(bench.context_path("B02"))
    assert receipt.failure is not None
    assert receipt.failure.kind == "bad_plane"
    assert "Mend the file and run again" in receipt.reason
    assert "--retry-failed" in receipt.reason
    monkeypatch.undo()
    if fault == "missing":
        (bench.folder / "away.tif").rename(path)
    assert execute_well(bench.context_path("B02"), retry_failed=True).status == "done"


def without_outputs(receipt: dict[str, Any]) -> None:
    receipt["outputs"] = []


def without_labels(receipt: dict[str, Any]) -> None:
    receipt["outputs"] = [output for output in receipt["outputs"] if output["kind"] != "labels"]


@pytest.mark.parametrize("forget", [without_outputs, without_labels])
def test_a_receipt_that_does_not_name_every_output_is_not_kept(
    bench: Any, forget: Callable[[dict[str, Any]], None]
) -> None:
    execute_manifest(bench.manifest)
    receipt = json.loads(bench.receipt_path("B02").read_text())
    forget(receipt)
    bench.receipt_path("B02").write_text(json.dumps(receipt))
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == {"B02"}


def test_a_well_is_kept_without_the_outputs_of_a_site_that_was_left_out(bench: Any) -> None:
    bench.compile(bad_planes="skip_site")
    (bench.raw / bench.file("B02", 2, "GFP")).unlink()
    execute_manifest(bench.manifest)
    assert not bench.group("B02", 2).exists()
    assert redone(bench, lambda: execute_manifest(bench.manifest)) == set()


def test_counts_of_a_well_leave_out_what_its_sites_leave_out(bench: Any) -> None:
    bench.compile(bad_planes="skip_site")
    (bench.raw / bench.file("B02", 2, "GFP")).unlink()
    for well, sites in (("A01", (1, 2)), ("B02", (1,))):
        receipt = execute_well(bench.context_path(well))
        assert dict(receipt.counts) == {"nuclei": sum(int(expected_labels(bench, well, site).max()) for site in sites)}


LOADED = """
import sys
from pathlib import Path
from hcs_lib.execution.execute import execute_manifest
execute_manifest(Path(sys.argv[1]))
import hcs_lib
root = Path(hcs_lib.__file__).parent
for name, module in sys.modules.items():
    if name.startswith("hcs_lib") and module.__file__:
        print(Path(module.__file__).relative_to(root).as_posix())
"""


def test_the_engine_is_all_that_executes(bench: Any) -> None:
    """What a well is executed with is digested, but for what cannot change the bytes of a result."""
    done = subprocess.run([sys.executable, "-c", LOADED, bench.manifest], capture_output=True, text=True, check=True)
    loaded = {file for file in done.stdout.split() if not file.endswith("__init__.py")}
    assert {"execution/steps.py", "registry/base.py", "registry/libraries/skimage.py"} <= loaded
    others = {file for file in loaded if not any(PurePosixPath(file).is_relative_to(source) for source in SOURCES)}
    # Of descriptions and time stamps beside the pixels; of entries, which are looked up when compiling, or by people.
    beside = {"plates/listing.py", "plates/metadata.py", "plates/metaseries.py"}
    assert others == beside | {"registry/cache.py", "registry/entry.py"}


def test_contexts_compiled_here_give_the_same_bytes_from_another_path(bench: Any) -> None:
    execute_manifest(bench.manifest)
    there = type(bench)(bench.folder / "elsewhere" / "deeper")
    for name in ("contexts", "manifests", "plan.json"):
        source, target = bench.results / name, there.results / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    write_plate(there.store, "demo", {well: [str(site) for site in there.sites] for well in there.wells})
    shutil.move(bench.raw, there.raw)
    execute_manifest(there.manifest, raw=there.raw)
    assert there.outputs() == bench.outputs()


def test_the_raw_image_has_the_planes_that_labels_lie_on_whatever_else_is_read(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.compile(lambda context: {"raw_store": bench.raw_store(context.axis_id, ("DNA",))})
    assert {plane.channel for plane in bench.contexts["A01"].planes} == {"DNA", "GFP"}
    execute_manifest(bench.manifest)
    for site in bench.sites:
        image = read_image(bench.group("A01", site))
        assert image.shape == (1, *tifffile.imread(bench.raw / bench.file("A01", site, "DNA")).shape)
        np.testing.assert_array_equal(image[0], tifffile.imread(bench.raw / bench.file("A01", site, "DNA")))
