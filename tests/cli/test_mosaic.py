"""From overlapping tiles on disk to one image of each well, its labels and its table: compiled and executed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import UserError
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.index import Channel, Plane, PlateIndex, StagePosition
from hcs_lib.screening.collect import collect_plate
from hcs_lib.storage.images import read_image
from hcs_lib.storage.tables import read_table

FIELD, PIXEL = (48, 64), 0.5
CORNERS = {"B02": [(0, 0), (0, 50), (40, 0), (40, 50)], "B03": [(0, 3), (2, 50), (40, 0), (41, 55)]}

STEPS = """\
name: mosaic
steps:
  - name: positions
    stack: site
    func: hcs.stage_tile_positions
    outputs: {positions: positions}
  - name: assemble
    stack: site
    func: hcs.assemble
    inputs: {positions: positions}
    keep: true
"""

OBJECTS = """\
  - name: objects
    channels: [DNA]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 5 um}}
    outputs: {labels: nuclei}
  - name: measure
    input: assemble
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: nuclei}
    outputs: {table: objects}
"""


def world(well: str, channel: str) -> np.ndarray[Any, Any]:
    """Draw bright discs that lie across the borders of tiles, on noise."""
    rng = np.random.default_rng([ord(letter) for letter in well + channel])
    image = rng.normal(100, 2, (100, 130))
    y, x = np.mgrid[:100, :130]
    for row, column in ((44, 57), (44, 20), (20, 57), (70, 90)):
        image[np.hypot(y - row, x - column) < 8] += 400
    return np.rint(image).astype(np.uint16)


@pytest.fixture
def plate(tmp_path: Path) -> SimpleNamespace:
    """A plate of two wells of 2 × 2 overlapping sites, each with positions of its own."""
    planes, positions = [], []
    for well, corners in CORNERS.items():
        for site, (y, x) in enumerate(corners, 1):
            positions.append(StagePosition(
                well=well, site=site, x_um=7000 + PIXEL * (x + (FIELD[1] - 1) / 2) + 0.1,
                y_um=900 + PIXEL * (y + (FIELD[0] - 1) / 2) - 0.1,
            ))  # fmt: skip
            for channel in ("DNA", "GFP"):
                file = tmp_path / f"raw/{well}_{site}_{channel}.tif"
                file.parent.mkdir(exist_ok=True)
                tifffile.imwrite(file, world(well, channel)[y : y + FIELD[0], x : x + FIELD[1]])
                planes.append(Plane(well=well, site=site, channel=channel, z=1, t=0, file=file.name, page=0,
                                    size=file.stat().st_size, mtime_ns=file.stat().st_mtime_ns))  # fmt: skip
    index = PlateIndex(
        plate="demo", format="pattern", fingerprint="stat", shape=FIELD, dtype="uint16", pixel_size_um=PIXEL,
        z_spacing_um=None, grid=(2, 2), wells=tuple(CORNERS), sites=(1, 2, 3, 4),
        channels=(Channel(id="DNA", name="DNA"), Channel(id="GFP", name="GFP")), z=(1,), t=(0,),
        positions=tuple(positions), planes=tuple(planes), problems=(),
    )  # fmt: skip
    (tmp_path / "plates.tsv").write_text("plate\tpath\ndemo\traw\n")
    results = tmp_path / "results"

    def run(pipeline: str, **changes: Any) -> dict[str, Receipt]:
        index.model_copy(update=changes).save(results / "demo/index.json")
        (tmp_path / "pipeline.yaml").write_text(pipeline)
        settings = load_settings({"plates": "plates.tsv", "pipeline": "pipeline.yaml"}, tmp_path, "config.yaml")
        compile_plate(settings.plates[0], settings, results)
        for manifest in sorted((results / "demo/manifests").glob("*/*.json")):
            execute_manifest(manifest)
        found = [Receipt.load(path) for path in sorted((results / "demo/receipts").glob("*/*.json"))]
        return {receipt.well: receipt for receipt in found if receipt}

    return SimpleNamespace(run=run, results=results / "demo", store=results / "demo/demo.zarr", index=index)


def image_of(plate: SimpleNamespace, well: str, label: str | None = None) -> np.ndarray[Any, Any]:
    return read_image(plate.store / well[0] / well[1:] / "all", label)


def expected(well: str, channel: str) -> np.ndarray[Any, Any]:
    """Return what of the world the tiles show; 0 elsewhere."""
    seen = np.zeros((100, 130), bool)
    for y, x in CORNERS[well]:
        seen[y : y + FIELD[0], x : x + FIELD[1]] = True
    rows, columns = np.nonzero(seen.any(axis=1))[0].max() + 1, np.nonzero(seen.any(axis=0))[0].max() + 1
    return np.where(seen, world(well, channel), 0)[:rows, :columns]


def test_wells_come_out_as_they_were_before_they_were_cut(plate: SimpleNamespace) -> None:
    receipts = plate.run(STEPS)
    assert {well: receipt.status for well, receipt in receipts.items()} == dict.fromkeys(CORNERS, "done")
    for well, shape in (("B02", (88, 114)), ("B03", (89, 119))):
        mosaic = image_of(plate, well)
        assert mosaic.shape == (2, *shape)
        for number, channel in enumerate(("DNA", "GFP")):
            np.testing.assert_array_equal(mosaic[number], expected(well, channel))
    # Pixels on which no tile lies are said, not silent.
    assert receipts["B02"].warnings == ()
    gaps = int((expected("B03", "DNA") == 0).sum())
    assert receipts["B03"].warnings == (
        f"step assemble: {gaps} of {89 * 119} pixels of the mosaic lie on no tile, and are 0",
    )


def test_the_mosaic_lies_where_the_stage_was(plate: SimpleNamespace) -> None:
    plate.run(STEPS)
    document = json.loads((plate.store / "B/02/all/zarr.json").read_bytes())
    scale, translation = document["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [1.0, PIXEL, PIXEL]
    assert translation["translation"] == pytest.approx([0.0, 899.9, 7000.1])


def test_objects_of_a_mosaic_name_its_label_image(plate: SimpleNamespace) -> None:
    plate.run(STEPS + OBJECTS)
    collect_plate(plate.results)
    table = read_table(plate.results / "tables/objects.parquet").to_pydict()
    regions = [f"{well[0]}/{well[1:]}/all/labels/nuclei" for well in table["Metadata_Well"]]
    assert table["Metadata_Region"] == regions
    assert len(set(regions)) == 2


def test_objects_of_a_mosaic_are_whole(plate: SimpleNamespace) -> None:
    """Each disc is one object, across tiles; measured on the mosaic."""
    plate.run(STEPS + OBJECTS)
    for well in CORNERS:
        labels = image_of(plate, well, "nuclei")
        assert labels.shape == expected(well, "DNA").shape
        assert labels.max() == 4
        table = read_table(plate.results / f"tables/wells/{well}/objects.parquet").to_pydict()
        mean = ndimage.mean(expected(well, "GFP"), labels, [1, 2, 3, 4])
        np.testing.assert_allclose(table["Nuclei_Intensity_MeanIntensity_GFP"], mean, rtol=1e-6)


def test_assembling_and_segmenting_in_one_step(plate: SimpleNamespace) -> None:
    segment = "{call: hcs.segment_nuclei, args: {min_diameter: 5 um}}"
    text = STEPS + OBJECTS.replace(
        f"func: {segment}", f"input: positions\n    stack: site\n    func: [hcs.assemble, {segment}]"
    )
    text = text.replace("    outputs: {labels", "    inputs: {positions: positions}\n    outputs: {labels")
    plate.run(text)
    together = image_of(plate, "B02", "nuclei")
    plate.run(STEPS + OBJECTS)
    np.testing.assert_array_equal(together, image_of(plate, "B02", "nuclei"))


def test_positions_of_one_channel_for_all(plate: SimpleNamespace) -> None:
    """A routing table gives positions for each channel; those of one serve the others by its name."""
    routes = "{DNA: hcs.stage_tile_positions, GFP: {call: hcs.stage_tile_positions, args: {overlap: 0.5}}}"
    text = STEPS.replace("func: hcs.stage_tile_positions", f"group_by: channel\n    func: {routes}")
    with pytest.raises(UserError, match=r"the size of what hcs\.assemble yields is not known"):
        plate.run(text)
    plate.run(text.replace("{positions: positions}\n    keep", "{positions: positions.DNA}\n    keep"))
    for number, channel in enumerate(("DNA", "GFP")):
        np.testing.assert_array_equal(image_of(plate, "B02")[number], expected("B02", channel))
    plate.run(text.replace("{positions: positions}\n    keep", "{positions: positions.GFP}\n    keep"))
    assert image_of(plate, "B02").shape == (2, 24 + 48, 32 + 64)


def test_tiles_on_a_grid_where_the_stage_is_unknown(plate: SimpleNamespace) -> None:
    text = STEPS.replace("func: hcs.stage_tile_positions",
                         "func: {call: hcs.stage_tile_positions, args: {overlap: 0.25}}")  # fmt: skip
    plate.run(text, positions=())
    assert image_of(plate, "B02").shape == (2, 36 + 48, 48 + 64)
    with pytest.raises(UserError, match="of well B02: the stage positions of the tiles is not known; with `overlap`"):
        plate.run(STEPS, positions=())


def test_a_real_plate(shared_data: Path, tmp_path: Path) -> None:
    """Sites of the ImageXpress overlap by 25.6 pixels on the stage: the second lies 230 pixels to the right."""
    from hcs_lib.plates.indexing import index_plate

    folder = shared_data / "imagexpress-exported/9987_Plate_3434"
    (tmp_path / "plates.tsv").write_text(f"plate\tpath\ndemo\t{folder}\n")
    first = "stack: site\n    func: hcs.stage"
    (tmp_path / "pipeline.yaml").write_text(STEPS.replace(first, f"channels: [DAPI]\n    {first}"))
    settings = load_settings({"plates": "plates.tsv", "pipeline": "pipeline.yaml"}, tmp_path, "config.yaml")
    index = index_plate(folder, plate="demo")
    index.save(tmp_path / "results/demo/index.json")
    compile_plate(settings.plates[0], settings, tmp_path / "results")
    execute_manifest(next((tmp_path / "results/demo/manifests").glob("*/*.json")))
    for well in ("B02", "B03"):
        mosaic = read_image(tmp_path / f"results/demo/demo.zarr/{well[0]}/{well[1:]}/all")
        assert mosaic.shape[-2:] == (256, 230 + 256)
        for number, z in enumerate(index.z):
            left, right = (
                tifffile.imread(folder / next(p.file for p in index.planes_by_well[well]
                                              if (p.site, p.z, p.channel) == (site, z, index.channels[0].id)))
                for site in (1, 2)
            )  # fmt: skip
            np.testing.assert_array_equal(mosaic[0, number, :, :230], left[:, :230])
            np.testing.assert_array_equal(mosaic[0, number, :, 256:], right[:, 26:])
