"""Wells imaged at fewer sites than others: by design they lack nothing; a site that is lost is told."""

import json
import re

import numpy as np
import pytest

from hcs_lib.plates.indexing import index_plate
from hcs_lib.screening.collect import collect_plate
from hcs_lib.storage.images import read_image
from hcs_lib.storage.tables import read_table

PIPELINE = """\
name: uneven
steps:
  - name: projection
    stack: z
    func: {call: hcs.project, args: {method: max}}
    keep: true
  - name: positions
    stack: site
    func: hcs.stage_tile_positions
    outputs: {positions: places}
  - name: mosaic
    input: projection
    stack: site
    func: hcs.assemble
    inputs: {positions: places}
    keep: true
"""
PROJECTION = PIPELINE[: PIPELINE.index("  - name: positions")]


@pytest.fixture
def plate(layouts, tmp_path):
    """Two sites of B02, one of C03, as the index of the microscope says."""
    folder = tmp_path / "plate"
    layouts.harmony(folder)
    path = folder / "Images" / "Index.idx.xml"
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(re.sub(r"<Image>(?:(?!</Image>).)*r03c03f02(?:(?!</Image>).)*</Image>", "", text))
    for file in (folder / "Images").glob("r03c03f02*"):
        file.unlink()
    return folder


@pytest.fixture
def expected(layouts):
    """Maximum over z, (channel, y, x), by well and site."""
    stacks = {}
    for well, site, channel, _, pixels in layouts.planes():
        stacks.setdefault((well, site), {}).setdefault(channel, []).append(pixels)
    return {
        place: np.stack([np.max(stack, axis=0) for stack in channels.values()]) for place, channels in stacks.items()
    }


def image(results, path):
    return read_image(results / f"p.zarr/{path}").squeeze()


def test_a_well_runs_on_the_sites_that_it_has(plate, compiled, expected):
    index = index_plate(plate, plate="p")
    assert index.problems == ()
    assert {well: extent.sites for well, extent in index.extents.items()} == {"B02": (1, 2), "C03": (1,)}
    results, receipts = compiled(plate, PROJECTION)()
    found = {well: (receipt.status, [site.site for site in receipt.sites]) for well, receipt in receipts.items()}
    assert found == {"B02": ("done", [1, 2]), "C03": ("done", [1])}
    assert not any(receipt.warnings for receipt in receipts.values())
    for (well, site), pixels in expected.items():
        if (well, site) != ("C03", 2):
            np.testing.assert_array_equal(image(results, f"{well[0]}/{well[1:]}/{site}"), pixels)
    collected = collect_plate(results)
    assert (collected.wells, collected.sites_left_out) == ({"done": 2, "failed": 0, "skipped": 0}, 0)
    sites = read_table(results / "tables/sites.parquet")
    assert list(zip(sites["well"].to_pylist(), sites["site"].to_pylist(), strict=True)) == [
        ("B02", 1), ("B02", 2), ("C03", 1),
    ]  # fmt: skip
    well = json.loads((results / "p.zarr/C/03/zarr.json").read_bytes())["attributes"]["ome"]["well"]
    assert well["images"] == [{"path": "1"}]
    assert not (results / "p.zarr/C/03/2").exists()


def test_mosaics_have_the_size_of_their_own_sites(plate, compiled, expected):
    results, _ = compiled(
        plate, PIPELINE.replace("keep: true\n  - name: positions", "keep: false\n  - name: positions")
    )()
    whole = np.concatenate([expected["B02", 1], expected["B02", 2]], axis=2)
    np.testing.assert_array_equal(image(results, "B/02/all"), whole)
    np.testing.assert_array_equal(image(results, "C/03/all"), expected["C03", 1])


FLAT = """\
name: flat
steps:
  - {name: illumination, scope: plate, stack: site, func: hcs.estimate_flat_field, outputs: {image: flat}}
  - {name: corrected, input: raw, func: hcs.apply_flat_field, inputs: {flat_field: flat}, keep: true}
"""


def test_a_step_of_the_plate_looks_at_the_sites_that_there_are(plate, compiled):
    results, receipts = compiled(plate, FLAT)()
    assert {well: receipt.status for well, receipt in receipts.items()} == dict.fromkeys(
        ["plate", "B02", "C03"], "done"
    )
    assert len(receipts["plate"].planes) == 3 * 2 * 2  # sites, channels, z
    assert read_image(results / "p.zarr/C/03/1").shape == (2, 2, 12, 16)


def test_a_site_that_is_lost_is_told_all_the_same(plate, compiled, expected):
    for file in (plate / "Images").glob("r02c02f02*"):
        file.unlink()
    assert {(p.kind, p.well, p.site) for p in index_plate(plate, plate="p").problems} == {("missing", "B02", 2)}
    results, receipts = compiled(plate, PROJECTION, bad_planes="skip_site")()
    assert [(site.site, site.status) for site in receipts["B02"].sites] == [(1, "done"), (2, "skipped")]
    assert [(site.site, site.status) for site in receipts["C03"].sites] == [(1, "done")]
    np.testing.assert_array_equal(image(results, "B/02/1"), expected["B02", 1])
    assert collect_plate(results).sites_left_out == 1


def test_a_well_runs_at_the_time_points_that_it_has(plate, compiled, expected):
    """A series that ended before all wells were imaged once more."""
    path = plate / "Images" / "Index.idx.xml"
    text = path.read_text(encoding="utf-8")
    again = "".join(
        image.replace("sk1", "sk2").replace("<TimepointID>0", "<TimepointID>1")
        for image in re.findall(r"<Image>.*?</Image>", text) if "r02c02" in image
    )  # fmt: skip
    path.write_text(text.replace("</Images>", f"{again}</Images>"), encoding="utf-8")
    for file in (plate / "Images").glob("r02c02*"):
        (plate / "Images" / file.name.replace("sk1", "sk2")).write_bytes(file.read_bytes())
    index = index_plate(plate, plate="p")
    assert (index.problems, {well: extent.t for well, extent in index.extents.items()}) == (
        (),
        {"B02": (1, 2), "C03": (1,)},
    )
    results, receipts = compiled(plate, PROJECTION)()
    assert {well: receipt.status for well, receipt in receipts.items()} == {"B02": "done", "C03": "done"}
    np.testing.assert_array_equal(image(results, "B/02/2"), [expected["B02", 2]] * 2)
    np.testing.assert_array_equal(image(results, "C/03/1"), expected["C03", 1])


def test_no_record_no_design(layouts, tmp_path):
    """Where names are all there is, the grid of the plate is what each well should have."""
    layouts.imagexpress(tmp_path / "ix")
    for file in (tmp_path / "ix").glob("*/*/*_C03_s2_*"):
        file.unlink()
    index = index_plate(tmp_path / "ix", plate="p")
    assert {well: extent.sites for well, extent in index.extents.items()} == {"B02": (1, 2), "C03": (1, 2)}
    assert {(p.kind, p.well, p.site) for p in index.problems} == {("missing", "C03", 2)}
