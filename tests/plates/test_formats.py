"""The same checks of every format: what the real plates of vendors hold, as their truth says."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.reading import read_plane
from hcs_lib.screening.collect import collect_plate
from hcs_lib.storage.images import read_image
from hcs_lib.storage.tables import read_table


def index(folder, **options):
    return index_plate(folder, plate="p", **options)


def facts(found):
    return {
        "format": found.format,
        "size": (len(found.wells), len(found.sites), len(found.channels), len(found.z), len(found.t)),
        "planes": len(found.planes),
        "shape": (*found.shape, found.dtype),
        "pixel": found.pixel_size_um and round(found.pixel_size_um, 4),
        "spacing": found.z_spacing_um,
        "grid": found.grid,
        "channels": [(c.id, c.name, c.wavelength_nm, c.colour) for c in found.channels],
        "problems": dict(Counter(problem.kind for problem in found.problems)),
    }


REAL = {
    "imagexpress-exported": {
        "format": "imagexpress",
        "size": (2, 2, 4, 3, 1),
        "planes": 24,
        "shape": (256, 256, "uint16"),
        "pixel": 1.3672,
        "spacing": 3.01,
        "grid": (1, 2),
        "channels": [
            ("1", "DAPI", 452, None), ("2", "FITC", 520, None), ("3", "Texas Red", 624, None), ("4", "Cy5", 692, None),
        ],
        "problems": {"repeated": 24},
    },
    "imagexpress-database": {
        "format": "imagexpress",
        "size": (1, 2, 3, 1, 2),
        "planes": 12,
        "shape": (256, 256, "uint16"),
        "pixel": 13.5504,
        "spacing": None,
        "grid": (2, 1),
        "channels": [("1", "FITC", 536, None), ("2", "Cy3", 593, None), ("3", "Texas Red", 624, None)],
        "problems": {},
    },
    "imagexpress-hcsai": {
        "format": "imagexpress-hcsai",
        "size": (1, 1, 1, 1, 1),
        "planes": 1,
        "shape": (576, 576, "uint16"),
        "pixel": 1.294,
        "spacing": None,
        "grid": (1, 1),
        "channels": [("0", "DAPI", 440, None)],
        "problems": {},
    },
    "operetta-harmony": {
        "format": "harmony",
        "size": (1, 2, 1, 1, 1),
        "planes": 2,
        "shape": (1080, 1080, "uint16"),
        "pixel": 1.196,
        "spacing": None,
        "grid": (1, 2),
        "channels": [("1", "Fluorescein (FITC)", 525, None)],
        "problems": {},
    },
    "yokogawa-cv8000": {
        "format": "cellvoyager",
        "size": (3, 4, 2, 4, 1),
        "planes": 96,
        "shape": (2000, 2000, "uint16"),
        "pixel": 0.325,
        "spacing": 3,
        "grid": (2, 2),
        "channels": [("1", "BP445/45", 445, "002FFF"), ("2", "BP525/50", 525, "00FFA1")],
        "problems": {},
    },
    "yokogawa-metadata/CV7000_z_processed": {
        "format": "cellvoyager",
        "size": (5, 9, 3, 1, 1),
        "planes": 0,
        "shape": (2160, 2560, "uint16"),
        "pixel": 0.1083,
        "spacing": None,
        "grid": (3, 3),
        "channels": [
            ("1", "BP445/45", 445, "1B54FF"), ("3", "BP600/37", 600, "FF8200"), ("4", "BP676/29", 676, "FF1B00"),
        ],
        "problems": {"missing": 135},
    },
    "yokogawa-metadata/CellVoyager_1w1p1c1z1t": {
        "format": "cellvoyager",
        "size": (1, 1, 1, 1, 1),
        "planes": 0,
        "shape": (2160, 2560, "uint16"),
        "pixel": 0.1625,
        "spacing": None,
        "grid": (1, 1),
        "channels": [("1", "1", None, None)],
        "problems": {"inconsistent": 1, "missing": 1},
    },
    "omezarr-hcs-04": {
        "format": "ome-zarr",
        "size": (2, 1, 3, 1, 1),
        "planes": 6,
        "shape": (256, 512, "uint16"),
        "pixel": 2.7336,
        "spacing": None,
        "grid": (1, 1),
        "channels": [
            ("1", "Maximum-Projection_FITC_05-1", None, "73FF00"),
            ("2", "Best-Focus-Projection_FITC_05", None, "73FF00"),
            ("3", "Maximum-Projection_FITC_05-3", None, "73FF00"),
        ],
        "problems": {},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_a_real_plate_holds_what_its_truth_says(shared_data, name):
    assert facts(index(shared_data / name)) == REAL[name]


@pytest.mark.parametrize("name", REAL)
def test_a_real_plane_is_read_where_the_index_says(shared_data, name):
    found = index(shared_data / name)
    for plane in (*found.planes[:2], *found.planes[-2:]):
        pixels = read_plane(shared_data / name, plane.file, plane.page)
        assert (pixels.shape, pixels.dtype.name) == (found.shape, found.dtype)


def test_imagexpress_projects_its_planes_to_its_own_projection(shared_data):
    from hcs_lib.functions.projection import project

    folder = shared_data / "imagexpress-exported"
    found = index(folder)
    for well in found.wells:
        for site in found.sites:
            for channel in found.channels:
                planes = [p for p in found.planes if (p.well, p.site, p.channel) == (well, site, channel.id)]
                assert len(planes) == (3 if channel.id == "1" else 1)
                stack = np.stack([read_plane(folder, plane.file, plane.page) for plane in planes])
                theirs = planes[0].file.replace("ZStep_1", "ZStep_0")
                np.testing.assert_array_equal(project(stack, method="max"), read_plane(folder, theirs, 0))


def test_imagexpress_stage_and_times(shared_data):
    found = index(shared_data / "imagexpress-exported")
    assert [(p.well, p.site, p.x_um, p.y_um) for p in found.positions[:2]] == [
        ("B02", 1, 22985, 19885), ("B02", 2, 23300, 19885),
    ]  # fmt: skip
    assert found.planes[0].acquired == "2024-07-09T13:13:03.006000"


def test_hcsai_numbers_are_those_of_the_microscope(shared_data):
    folder = shared_data / "imagexpress-hcsai"
    found = index(folder)
    (plane,) = found.planes
    assert plane.address == ("C05", 0, "0", 0, 0)
    assert plane.acquired == "2026-03-02T12:57:52.450000+00:00"
    pixels = read_plane(folder, plane.file, plane.page)
    assert (pixels.min(), pixels.max()) == (1250, 54260)
    assert [(p.x_um, p.y_um) for p in found.positions] == [(50027.34, 30045.34)]


def test_harmony_positions_are_y_downwards_and_the_profile_is_carried(shared_data):
    found = index(shared_data / "operetta-harmony")
    assert [p.address for p in found.planes] == [("C03", 1, "1", 1, 1), ("C03", 2, "1", 1, 1)]
    assert [(p.x_um, p.y_um) for p in found.positions] == [(-645.814, -645.814), (645.814, -645.814)]
    assert "Mean: 373.69866" in found.channels[0].flat_field
    assert found.planes[0].acquired == "2022-12-19T10:19:26.58+01:00"


def test_cellvoyager_records_are_what_a_peer_reads(shared_data):
    found = index(shared_data / "yokogawa-cv8000")
    with (shared_data / "yokogawa-cv8000" / "truth" / "faim-ipa_parsed_records.csv").open() as file:
        peer = {row["file"]: row for row in csv.DictReader(file)}
    ours = {Path(plane.file).name: plane for plane in found.planes if plane.well == "D08"}
    assert ours.keys() == peer.keys()
    positions = {(p.well, p.site): p for p in found.positions}
    for name, plane in ours.items():
        row = peer[name]
        assert (plane.site, plane.channel, plane.z, plane.t) == (
            int(row["FieldIndex"]), row["Ch"], int(row["ZIndex"]), int(row["TimePoint"]),
        )  # fmt: skip
        at = positions[plane.well, plane.site]
        assert (at.x_um, -at.y_um, plane.acquired) == (float(row["X"]), float(row["Y"]), row["Time"])


BLANK = """
name: blank
steps:
  - {name: projection, stack: z, func: {call: hcs.project, args: {method: max}}, keep: true}
  - name: nuclei
    channels: [BP445/45]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 8 um}}
    outputs: {labels: nuclei}
  - name: measure
    input: projection
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: nuclei}
    outputs: {table: objects}
"""


def test_cellvoyager_images_of_zeros_have_no_objects_and_whole_tables(shared_data, compiled):
    results, receipts = compiled(shared_data / "yokogawa-cv8000", BLANK)()
    assert {well: (receipt.status, len(receipt.planes), receipt.counts) for well, receipt in receipts.items()} == {
        well: ("done", 32, {"nuclei": 0}) for well in ("D08", "E03", "F08")
    }
    found = collect_plate(results)
    assert (found.wells["done"], found.objects, found.sites_left_out) == (3, 0, 0)
    objects = read_table(results / "tables/objects.parquet")
    assert objects.num_rows == 0
    assert {"Metadata_Well", "Metadata_Site", "Nuclei_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_BP525/50"} <= {
        *objects.column_names
    }
    assert read_table(results / "tables/sites.parquet").column("count_nuclei").to_pylist() == [0] * 12
    rows = list(csv.DictReader((results / "tables/wells.csv").read_text().splitlines()))
    assert [(row["well"], row["status"], row["count_nuclei"]) for row in rows] == [
        (well, "done", "0") for well in ("D08", "E03", "F08")
    ]
    assert not read_image(results / "p.zarr/D/08/1").any()
    assert index(results / "p.zarr").problems == ()


def test_cellvoyager_correction_images_are_named_and_no_planes(shared_data):
    found = index(shared_data / "yokogawa-cv8000")
    first = found.channels[0]
    assert Path(first.flat_field).name == "SC_BP445-45_20x v2_M01_CH01.tif"
    assert Path(first.dark).name == "DC_DCAM#1_CAM3.tif"
    for file in (first.flat_field, first.dark):
        assert (shared_data / "yokogawa-cv8000" / file).is_file()


def test_cellvoyager_tells_projections_and_missing_files_by_name(shared_data):
    found = index(shared_data / "yokogawa-metadata" / "CV7000_z_processed")
    assert found.projected == "Maximum"
    assert found.problems[0].file == "AssayPlate_Cellvis_#384-1.5H-N_C03_T0001F001L01A03Z01C01.tif"
    assert len(found.positions) == 45


def test_omezarr_pixels_are_those_of_the_array(shared_data):
    folder = shared_data / "omezarr-hcs-04"
    found = index(folder)
    assert found.wells == ("E07", "E08")
    stack = [read_plane(folder, plane.file, plane.page) for plane in found.planes if plane.well == "E07"]
    assert (np.min(stack), np.max(stack)) == (101, 25015)


@pytest.mark.parametrize(("name", "expected"), [
    ("operetta-harmony", [475]), ("yokogawa-cv8000", [405, 488]), ("imagexpress-hcsai", [440]),
])  # fmt: skip
def test_wavelengths_of_excitation(shared_data, name, expected):
    assert [channel.excitation_nm for channel in index(shared_data / name).channels] == expected
