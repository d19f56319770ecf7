"""What else a folder may hold: every kind of TIFF, names in any script, duplicates, paths out of it, many files."""

import os
import re
from contextlib import suppress
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.cli.index import index as index_command
from hcs_lib.core.errors import UserError
from hcs_lib.plates.formats.htd import read as read_htd
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.metaseries import read_metaseries
from hcs_lib.plates.platemap import read_platemap
from hcs_lib.plates.reading import read_plane
from hcs_lib.plates.vendorfiles import VendorFileError
from hcs_lib.storage.images import read_image

RANDOM = np.random.default_rng(0)
SHAPE = (48, 64)
DEEP = RANDOM.integers(0, 65536, (2, *SHAPE), np.uint16)
WRITTEN = {
    "big-endian": (DEEP, {"byteorder": ">"}),
    "BigTIFF": (DEEP, {"bigtiff": True}),
    "tiles": (DEEP, {"tile": (16, 32)}),
    "tiles, compressed, with a predictor": (DEEP, {"tile": (16, 16), "compression": "zlib", "predictor": 2}),
    "LZW": (DEEP, {"compression": "lzw"}),
    "strips, Zstandard": (DEEP, {"compression": "zstd", "rowsperstrip": 7}),
    "12 bits in 16": (DEEP >> 4, {}),
    "8 bits": ((DEEP >> 8).astype(np.uint8), {}),
    "signed": ((DEEP.astype(np.int32) - 32768).astype(np.int16), {}),
    "float": ((DEEP / 7 - 1000).astype(np.float32), {}),
    "32 bits": (DEEP.astype(np.uint32) * 3, {}),
}
PIPELINE = """\
name: p
steps:
  - {name: max, stack: z, func: {call: hcs.project, args: {method: max}}, keep: true}
"""


@pytest.mark.parametrize("kind", WRITTEN)
def test_values_of_every_tiff_come_through_unchanged(tmp_path, compiled, kind):
    pixels, options = WRITTEN[kind]
    writing = {key: options[key] for key in options if key in ("byteorder", "bigtiff")}
    plate = tmp_path / "plate"
    for z, plane in enumerate(pixels, start=1):
        (plate / f"ZStep_{z}").mkdir(parents=True)
        with tifffile.TiffWriter(plate / f"ZStep_{z}" / "p_B02_s1_w1.tif", **writing) as file:
            file.write(plane, **{key: options[key] for key in options.keys() - writing.keys()})
    found = index_plate(plate, plate="p")
    assert (found.dtype, found.shape, found.problems) == (pixels.dtype.name, SHAPE, ())
    for plane in found.planes:
        read = read_plane(plate, plane.file, plane.page)
        assert read.dtype == pixels.dtype
        np.testing.assert_array_equal(read, pixels[plane.z - 1])
    results, receipts = compiled(plate, PIPELINE)()
    assert receipts["B02"].status == "done"
    image = read_image(results / "p.zarr/B/02/1").squeeze()
    assert image.dtype == pixels.dtype
    np.testing.assert_array_equal(image, pixels.max(axis=0))


def test_names_with_spaces_and_in_any_script(tmp_path, compiled):
    plate = tmp_path / "Platte Nr. 1 – 平板 (копия)" / "TimePoint_1"
    plate.mkdir(parents=True)
    for site in (1, 2):
        tifffile.imwrite(plate / f"Zellen µ, π; 'x' #1_B02_s{site}_w1.TIF", DEEP[site - 1])
    assert len(index_plate(plate.parent, plate="p").planes) == 2
    results, receipts = compiled(plate.parent, PIPELINE)()
    assert receipts["B02"].status == "done"
    np.testing.assert_array_equal(read_image(results / "p.zarr/B/02/2").squeeze(), DEEP[1])


def test_names_that_are_no_utf_8_are_told(tmp_path):
    for name in (b"p_B02_s1_w1.tif", b"p\xb5_B02_s2_w1.tif", b"\xc4.txt"):
        (tmp_path / os.fsdecode(name)).touch()
    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", DEEP[0])
    found = index_plate(tmp_path, plate="p")
    assert len(found.planes) == 1
    (tmp_path / "p_B02_s1_w1.tif").unlink()
    with pytest.raises(UserError, match=r"p\\xb5_B02_s2_w1\.tif: the file cannot be opened"):
        index_plate(tmp_path, plate="p")


def test_names_that_differ_in_case_are_one_plane(tmp_path):
    for name in ("p_B02_s1_w1.tif", "p_B02_S1_W1.TIF", "p_B02_s2_w1.tif"):
        tifffile.imwrite(tmp_path / name, DEEP[0])
    found = index_plate(tmp_path, plate="p")
    assert [(p.kind, p.well, p.site, p.file) for p in found.problems] == [
        ("repeated", "B02", 1, "p_B02_S1_W1.TIF"), ("repeated", "B02", 1, "p_B02_s1_w1.tif"),
    ]  # fmt: skip
    assert [plane.site for plane in found.planes] == [2]


def test_a_file_that_is_not_what_its_name_says(tmp_path):
    from PIL import Image

    tifffile.imwrite(tmp_path / "p_B02_s1_w1.tif", DEEP[0])
    Image.fromarray(DEEP[0]).save(tmp_path / "p_B02_s2_w1.tif", format="PNG")
    (tmp_path / "p_B02_s3_w1.tif").mkdir()
    found = index_plate(tmp_path, plate="p")
    assert [(p.kind, p.site, p.message) for p in found.problems] == [("unreadable", 2, "this is not a TIFF file.")]


def test_a_crowd_of_other_files(tmp_path):
    for number in range(100):
        (tmp_path / f"{number}").mkdir()
        for other in range(1000):
            (tmp_path / f"{number}" / f"{other}.txt").touch()
    with pytest.raises(UserError, match=r"no plate of a known format .* among its 100000 files") as error:
        index_plate(tmp_path, plate="p")
    assert len(str(error.value).splitlines()) == 1
    for name in ("0/p_B02_s1_w1.tif", "0/p_B02_s2_w1.tif"):
        tifffile.imwrite(tmp_path / name, DEEP[0])
    found = index_plate(tmp_path, plate="p")
    assert (len(found.planes), found.problems) == (2, ())


OUTSIDE = ("../../secret.tif", "/etc/passwd", "C:\\secret.tif", "timepoint0/../../../secret.tif", "..\\..\\secret.tif")


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_of_ome_xml_and_tables_that_leave_the_folder(layouts, tmp_path, name):
    layouts.ome_tiff(tmp_path / "ome", companion=True)
    path = tmp_path / "ome" / "p.companion.ome"
    path.write_text(path.read_text().replace('FileName="B02 field 1.ome.tif"', f'FileName="{name}"', 1))
    with pytest.raises(UserError, match="which lies outside its folder"):
        index_plate(tmp_path / "ome", plate="p")
    layouts.imagexpress_hcsai(tmp_path / "hcsai")
    table = tmp_path / "hcsai" / "experiment" / "image_metadata_1.csv"
    text = table.read_text()
    table.write_text(text.replace("p_t0_B02_s0_w0_z0.tif", name, 1))
    found = index_plate(tmp_path / "hcsai", plate="p")
    assert {problem.kind for problem in found.problems} in ({"inconsistent", "not_a_plane"}, {"missing", "not_a_plane"})
    assert all(
        (tmp_path / "hcsai").resolve() in (tmp_path / "hcsai" / p.file).resolve().parents for p in found.problems
    )
    assert len(found.planes) == 15
    table.write_text(text)
    experiment = tmp_path / "hcsai" / "experiment" / "p.jdce"
    experiment.write_text(experiment.read_text().replace("image_metadata_1.csv", name.replace("\\", "\\\\")))
    found = index_plate(tmp_path / "hcsai", plate="p")
    assert len(found.planes) == 16  # by their names
    assert any("which lies outside its folder" in problem.message for problem in found.problems)


def test_one_line_for_what_is_refused(tmp_path, layouts):
    layouts.harmony(tmp_path / "h")
    for file in (tmp_path / "h" / "Images").glob("*.tiff"):
        file.unlink()
    index_file = tmp_path / "h" / "Images" / "Index.idx.xml"
    index_file.write_text('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')
    result = CliRunner().invoke(index_command, [str(tmp_path / "h")])
    assert isinstance(result.exception, UserError)
    assert re.fullmatch(r"\S*Index\.idx\.xml: it declares a document type, which no microscope does; not read\. .*",
                        str(result.exception))  # fmt: skip


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_platemap_or_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("map") / "map.csv"
    for content in (data, b"well,control,dose\nA01," + data, b"\xff\xfe" + data):
        path.write_bytes(content)
        with suppress(UserError):
            read_platemap(path)


def test_a_cell_without_end_is_refused(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text('well,compound\nA01,"' + "x" * 200_000)
    with pytest.raises(UserError, match=r"map\.csv: it is no sound table: field larger"):
        read_platemap(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_htd_or_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("htd") / "p.HTD"
    path.write_bytes(b'"HTSInfoFile", Version 1.0\n"XSites", ' + data)
    with suppress(VendorFileError):
        read_htd(path, "p.HTD")


@given(st.text(max_size=200))
def test_any_description_is_that_of_a_plane_or_none(text):
    prop = f'<prop id="z-position" type="float" value={quoteattr(text)}/>'
    for description in (text, f"<MetaData>{text}</MetaData>", f"<MetaData><PlaneInfo>{prop}</PlaneInfo></MetaData>"):
        read_metaseries(description)
