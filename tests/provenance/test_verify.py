"""Faults of every kind in the results of a real run: each is found and named, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hcs_lib.cli.main import cli
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import write_json
from hcs_lib.provenance.differences import Difference
from hcs_lib.provenance.methods import methods_of
from hcs_lib.provenance.runs import find_plates, load_run
from hcs_lib.provenance.verify import verify_plate
from hcs_lib.storage.images import read_image
from hcs_lib.storage.metadata import read_group, version_of

STAGE = "s01-cpu"
SITE = "demo.zarr/B/02/1"
LABELS = f"{SITE}/labels/nuclei"


def verify(results: Path, **options: bool) -> list[Difference]:
    found: list[Difference] = []
    counted = verify_plate(results, found.append, **options)
    assert counted.differences == len(found)
    return found


def found_in(results: Path) -> list[tuple[str, str, str]]:
    return [(difference.well, difference.kind, difference.path) for difference in verify(results)]


def flip(path: Path, at: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_finished_run_is_intact(finished: Path) -> None:
    found: list[Difference] = []
    counted = verify_plate(finished, found.append, raw=True)
    assert found == []
    # 3 wells × (2 sites × (image, 2 label images) + table); 3 wells × 2 sites × 2 channels × 2 z.
    assert (counted.wells, counted.outputs, counted.planes) == (3, 21, 24)
    on_disk = [file for top in finished.glob("demo.zarr/*/*/*/") for file in top.rglob("*") if file.is_file()] + list(
        finished.glob("tables/wells/*/*")
    )
    # The groups of labels, which name them, belong to no one of them.
    on_disk = [file for file in on_disk if file.parent.name != "labels"]
    assert counted.files == len(on_disk)
    assert counted.bytes == sum(file.stat().st_size for file in on_disk)


def test_a_plate_in_the_older_version_has_the_same_pixels_and_its_faults_are_named(
    finished: Path, rerun: Callable[..., Path]
) -> None:
    older = rerun(lambda folder: None, ome_zarr=0.4)  # as YAML reads it without quotes
    assert verify(older) == []
    assert not list((older / "demo.zarr").rglob("zarr.json"))
    for site in ("B/02/1", "B/04/2"):
        for label in (None, "nuclei", "cytoplasm"):
            here, there = (read_image(results / "demo.zarr" / site, label) for results in (older, finished))
            np.testing.assert_array_equal(here, there)
    tables = [file.relative_to(finished) for file in sorted((finished / "tables").rglob("*")) if file.is_file()]
    assert tables
    assert all((older / table).read_bytes() == (finished / table).read_bytes() for table in tables)

    (older / SITE / "0/1/0/0").unlink()
    (older / LABELS / "0/.zarray").unlink()
    (older / "demo.zarr/B/03/1/.zattrs").unlink()
    (older / "demo.zarr/B/04/.zgroup").unlink()
    (older / "demo.zarr/B/04/1/0/9").write_text("?")
    assert [(found.kind, found.path, found.message) for found in verify(older)] == [
        ("missing", SITE, "image: without 0/1/0/0."),
        ("missing", LABELS, "labels nuclei: without 0/.zarray."),
        ("missing", "demo.zarr/B/03/1", "image: without .zattrs."),
        ("extra", "demo.zarr/B/04/1", "image: 0/9 does not belong there."),
        ("missing", "demo.zarr/B/04/.zgroup", "metadata of the plate's store."),
    ]


def test_progress_reaches_its_end(finished: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify_plate(finished, lambda _: None, advance=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_deleted_chunk_is_named(results: Path) -> None:
    chunk = next(path for path in (results / LABELS / "0/c").rglob("*") if path.is_file())
    chunk.unlink()
    (difference,) = verify(results)
    assert (difference.well, difference.kind, difference.path) == ("B02", "missing", LABELS)
    assert f"without {chunk.relative_to(results / LABELS)}" in difference.message


def test_a_deleted_chunk_of_the_image_is_named(results: Path) -> None:
    chunk = next(path for path in (results / SITE / "0/c").rglob("*") if path.is_file())
    chunk.unlink()
    (difference,) = verify(results)
    assert (difference.kind, difference.path) == ("missing", SITE)
    assert f"without {chunk.relative_to(results / SITE)}" in difference.message


@pytest.mark.parametrize(
    ("file", "path"),
    [
        (f"{LABELS}/0/c/0/0", LABELS),
        (f"{LABELS}/zarr.json", LABELS),
        (f"{SITE}/0/zarr.json", SITE),
        ("tables/wells/B02/objects.parquet", "tables/wells/B02/objects.parquet"),
    ],
)
def test_a_changed_byte_is_found(results: Path, file: str, path: str) -> None:
    flip(results / file)
    assert found_in(results) == [("B02", "changed", path)]


def test_what_was_deleted_and_what_was_changed_in_one_image_are_both_found(results: Path) -> None:
    flip(results / LABELS / "0/c/0/0")
    (results / SITE / "0/zarr.json").unlink()
    assert found_in(results) == [("B02", "missing", SITE), ("B02", "changed", LABELS)]


@pytest.mark.parametrize(
    ("file", "path", "well"),
    [
        (f"{SITE}/0/c/9", SITE, "B02"),
        (f"{LABELS}/0/notes.txt", LABELS, "B02"),
        ("demo.zarr/B/02/9/zarr.json", "demo.zarr/B/02/9", ""),
        ("demo.zarr/notes.txt", "demo.zarr/notes.txt", ""),
        ("demo.zarr/tables/others/table.parquet", "demo.zarr/tables/others", ""),
        ("tables/wells/B02/old.parquet", "tables/wells/B02/old.parquet", "B02"),
        (f"receipts/{STAGE}/H12.json", f"receipts/{STAGE}/H12.json", "H12"),
    ],
)
def test_an_extra_file_is_found(results: Path, file: str, path: str, well: str) -> None:
    (results / file).parent.mkdir(parents=True, exist_ok=True)
    (results / file).write_text("?")
    assert found_in(results) == [(well, "extra", path)]


def test_swapped_wells_are_told_from_changed_ones(results: Path) -> None:
    first, second = results / "demo.zarr/B/02", results / "demo.zarr/B/03"
    first.rename(results / "aside")
    second.rename(first)
    (results / "aside").rename(second)
    parts = {"": "image", "/labels/cytoplasm": "labels cytoplasm", "/labels/nuclei": "labels nuclei"}
    assert [(d.well, d.kind, d.path, d.message) for d in verify(results)] == [
        (
            well, "changed", f"demo.zarr/B/{own}/{site}{part}",
            f"{what}: here is what belongs at demo.zarr/B/{other}/{site}{part}.",
        )
        for well, own, other in (("B02", "02", "03"), ("B03", "03", "02"))
        for site in (1, 2)
        for part, what in parts.items()
    ]  # fmt: skip


def test_swapped_receipts_are_found(results: Path) -> None:
    first, second = (results / f"receipts/{STAGE}/{well}.json" for well in ("B02", "B03"))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert [(d.well, d.kind, d.message) for d in verify(results)] == [
        ("B02", "changed", f"this is the receipt of demo B03, stage {STAGE}."),
        ("B03", "changed", f"this is the receipt of demo B02, stage {STAGE}."),
    ]


def test_a_truncated_receipt_is_damaged_and_its_outputs_are_not_called_extra(results: Path) -> None:
    path = results / f"receipts/{STAGE}/B03.json"
    path.write_bytes(path.read_bytes()[:500])
    (difference,) = verify(results)
    assert (difference.well, difference.kind, difference.path) == ("B03", "damaged", f"receipts/{STAGE}/B03.json")
    assert "500 bytes" in difference.message


def test_a_receipt_without_outputs_is_found(results: Path) -> None:
    shutil.rmtree(results / "demo.zarr/B/02/1")
    (results / "tables/wells/B02/objects.parquet").unlink()
    assert found_in(results) == [
        ("B02", "missing", SITE),
        ("B02", "missing", f"{SITE}/labels/cytoplasm"),
        ("B02", "missing", f"{SITE}/labels/nuclei"),
        ("B02", "missing", "tables/wells/B02/objects.parquet"),
    ]


@pytest.mark.parametrize("name", ["objects.parquet", "sites.parquet", "wells.csv", "failures.csv"])
def test_a_missing_table_is_found(results: Path, name: str) -> None:
    (results / "tables" / name).unlink()
    assert found_in(results) == [("", "missing", f"tables/{name}")]


@pytest.mark.parametrize(
    ("file", "well", "kind"),
    [
        ("plan.json", "", "damaged"),
        (f"manifests/{STAGE}/b001.json", "", "missing"),
        (f"receipts/{STAGE}/batches/b001.json", "", "missing"),
        (f"receipts/{STAGE}/B04.json", "B04", "missing"),
        (f"receipts/{STAGE}/contexts/B04.json", "B04", "missing"),
        (f"contexts/{STAGE}/B04.json", "B04", "missing"),
        ("demo.zarr/B/02/zarr.json", "B02", "missing"),
        ("demo.zarr/zarr.json", "", "missing"),
        ("demo.zarr/tables/objects/zarr.json", "", "missing"),
        ("demo.zarr/tables/objects/table.parquet", "", "missing"),
    ],
)
def test_a_missing_record_is_found(results: Path, file: str, well: str, kind: str) -> None:
    (results / file).unlink()
    assert found_in(results) == [(well, kind, file)]


def test_the_store_has_the_table_of_objects_and_no_other(results: Path) -> None:
    table = results / "demo.zarr/tables/objects/table.parquet"
    assert table.read_bytes() == (results / "tables/objects.parquet").read_bytes()
    table.unlink()
    shutil.copy(results / "tables/sites.parquet", table)
    assert found_in(results) == [("", "changed", "demo.zarr/tables/objects/table.parquet")]
    # With the table of objects gone there is nothing to compare: one fault, told once.
    (results / "tables/objects.parquet").write_bytes(b"PAR1")
    assert found_in(results) == []


@pytest.mark.parametrize("folder", ["contexts", "receipts/{}/contexts"])
def test_a_context_that_differs_from_its_digest_is_damaged(results: Path, folder: str) -> None:
    name = f"{folder.format(STAGE) if '{}' in folder else f'{folder}/{STAGE}'}/B02.json"
    text = (results / name).read_text()
    assert '"threads":1' in text
    (results / name).write_text(text.replace('"threads":1', '"threads":2'))
    assert found_in(results) == [("B02", "damaged", name)]


def test_contexts_swapped_between_wells_are_found(results: Path) -> None:
    name = f"receipts/{STAGE}/contexts/B02.json"
    shutil.copy(results / f"receipts/{STAGE}/contexts/B03.json", results / name)
    assert found_in(results) == [("B02", "changed", name)]


def test_a_batch_that_contradicts_its_wells_is_stale(results: Path) -> None:
    name = f"receipts/{STAGE}/batches/b001.json"
    value = json.loads((results / name).read_text())
    value["wells"]["B02"]["status"] = "failed"
    write_json(results / name, value)
    assert found_in(results) == [("B02", "stale", name)]


def test_raw_planes_are_compared_where_asked(results: Path, tmp_path: Path) -> None:
    plan = json.loads((results / "plan.json").read_text())
    raw = Path(shutil.copytree(plan["raw_folder"], tmp_path / "raw"))
    write_json(results / "plan.json", plan | {"raw_folder": str(raw)})
    receipt = json.loads((results / f"receipts/{STAGE}/B02.json").read_text())
    changed, gone, short = sorted(receipt["planes"])[:3]
    pixels = raw / changed.partition("#")[0]
    import tifffile

    plane = tifffile.imread(pixels)
    plane[7, 9] += 1
    tifffile.imwrite(pixels, plane)
    (raw / gone.partition("#")[0]).unlink()
    cut = raw / short.partition("#")[0]
    cut.write_bytes(cut.read_bytes()[:300])
    assert verify(results) == []
    assert [(d.well, d.kind, d.path) for d in verify(results, raw=True)] == [
        ("B02", "changed", f"raw/{changed}"),
        ("B02", "missing", f"raw/{gone}"),
        ("B02", "damaged", f"raw/{short}"),
    ]


def test_a_failed_well_leaves_nothing_to_miss(rerun: Callable[..., Path]) -> None:
    def truncate(folder: Path) -> None:
        file = next(path for path in sorted((folder / "demo/plate").rglob("*.tif*")) if "B03" in path.name)
        file.write_bytes(file.read_bytes()[:400])

    results = rerun(truncate)
    assert "B03" in (results / "tables/failures.csv").read_text()
    assert verify(results) == []


STAGES = """\
name: stages
steps:
  - name: projection
    channels: [DNA]
    stack: z
    func: {call: hcs.project, args: {method: max}}
    keep: true
    checkpoint: true
  - {name: nuclei, func: {call: hcs.segment_nuclei, args: {min_diameter: 8 um}}, outputs: {labels: nuclei}}
  - {name: measure, input: raw, stack: channel, channels: [GFP], func: hcs.measure_image_quality,
     outputs: {table: quality}}
"""


def test_a_well_that_failed_after_its_image_was_written_is_not_listed(rerun: Callable[..., Path]) -> None:
    def change(folder: Path) -> None:
        (folder / "pipeline.yaml").write_text(STAGES)
        max(path for path in (folder / "demo/plate").rglob("*_w2.tif") if "B03" in path.name).write_bytes(b"")

    results = rerun(change)
    assert (results / "demo.zarr/B/03/1/zarr.json").exists()
    assert [well["path"] for well in read_group(results / "demo.zarr")["plate"]["wells"]] == ["B/02", "B/04"]
    assert version_of(results / "demo.zarr/B/03") is None
    assert verify(results) == []


def test_where_every_well_failed_no_store_is_missed(rerun: Callable[..., Path]) -> None:
    def empty_one_plane_of_each(folder: Path) -> None:
        for well in ("B02", "B03", "B04"):
            min(path for path in (folder / "demo/plate").rglob("*.tif*") if well in path.name).write_bytes(b"")

    results = rerun(empty_one_plane_of_each)
    assert not (results / "demo.zarr").exists()
    assert verify(results) == []
    (results / "demo.zarr").mkdir()
    (results / "demo.zarr" / "zarr.json").write_text("{}")
    assert found_in(results) == [("", "extra", "demo.zarr/zarr.json")]


def test_the_command_prints_a_line_for_each_difference(results: Path) -> None:
    runner = CliRunner()
    clean = runner.invoke(cli, ["verify", str(results.parent)])
    assert clean.exit_code == 0
    assert clean.stdout.splitlines()[0].startswith("demo: no differences; 3 wells, 21 outputs, ")
    (results / "tables/sites.parquet").unlink()
    flip(results / LABELS / "0/c/0/0")
    damaged = runner.invoke(cli, ["verify", str(results)])
    assert damaged.exit_code == 1
    assert len(damaged.stdout.splitlines()) == 3
    assert damaged.stdout.splitlines()[0].startswith(f"demo B02: changed: {LABELS}: labels nuclei: other bytes")
    as_json = runner.invoke(cli, ["verify", str(results), "--json"])
    assert as_json.exit_code == 1
    value = json.loads(as_json.stdout)
    assert [difference["kind"] for difference in value["differences"]] == ["changed", "missing"]
    assert value["plates"][0]["differences"] == 2


def test_without_results_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no results of a plate"):
        find_plates(tmp_path)


def test_a_plate_that_its_gate_holds_back_misses_nothing(
    rerun: Callable[..., Path], pass_gate: Callable[[Path], None]
) -> None:
    def gate(folder: Path) -> None:
        path = folder / "pipeline.yaml"
        quality = "  - {name: quality, stack: channel, func: hcs.measure_image_quality, outputs: {table: quality}}\n"
        path.write_text(path.read_text().replace("steps:\n", f"steps:\n{quality}"))

    results = rerun(gate, qc_gate={"max_flagged": 0.5}, gated=True)
    names = sorted(path.name for path in (results / "manifests").iterdir())
    assert len(names) == 2
    assert not (results / "receipts" / names[1]).exists()
    assert verify(results) == []
    text = methods_of(load_run(results))
    assert "- 3 of 3 wells were executed in part, not in all stages: B02–B04." in text
    assert "no more than 50% of its sites" in text
    pass_gate(results)
    assert verify(results) == []
    (results / "gate.json").unlink()
    assert found_in(results) == [("", "missing", "gate.json")]
