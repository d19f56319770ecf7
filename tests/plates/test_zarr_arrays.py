"""Arrays as files of planes, and plates of them: chunks, shards, byte order, damage, transformations."""

import json
import shutil

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

from hcs_lib.core.errors import DataError
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.listing import stat_path
from hcs_lib.plates.reading import read_plane

STACK = np.random.default_rng(2).integers(0, 65536, (2, 3, 40, 60), np.uint16)
AXES = [{"name": "c"}, *({"name": name, "unit": "nanometer"} for name in "zyx")]


@pytest.fixture
def plate(tmp_path):
    """Return how to write a plate of one well: images by path, each its array's options and its metadata."""

    def write(images=(("0", {}, {}),)):
        root = zarr.create_group(LocalStore(tmp_path / "p.zarr"))
        root.attrs["ome"] = {"plate": {"name": "P", "wells": [{"path": "B/02"}]}}
        well = root.create_group("B/02")
        well.attrs["ome"] = {"well": {"images": [{"path": path} for path, _, _ in images]}}
        for path, options, metadata in images:
            image = well.create_group(path)
            scale = {"type": "scale", "scale": [1, 2000, 500, 500]}
            multiscale = {"axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]} | metadata
            image.attrs["ome"] = {"multiscales": [multiscale]}
            values = {"chunks": (1, 2, 16, 60), "dtype": "uint16"} | options
            image.create_array("0", shape=STACK.shape, **values)[...] = STACK
        return tmp_path / "p.zarr"

    return write


def index(folder):
    return index_plate(folder, plate="p")


def told(found):
    return [(problem.kind, problem.well, problem.site, problem.channel, problem.z) for problem in found.problems]


def test_chunks_of_several_slices_and_parts_of_planes(plate):
    folder = plate()
    found = index(folder)
    assert (found.pixel_size_um, found.z_spacing_um, found.problems, found.positions) == (0.5, 2.0, (), ())
    for plane in found.planes:
        np.testing.assert_array_equal(
            read_plane(folder, plane.file, plane.page), STACK[int(plane.channel) - 1, plane.z - 1]
        )
    assert {plane.page for plane in found.planes} == set(range(6))


def test_big_endian_pixels_and_shards(plate):
    folder = plate([("0", {"dtype": ">u2", "shards": (1, 4, 48, 60)}, {})])
    found = index(folder)
    assert (found.dtype, len(found.planes)) == ("uint16", 6)
    pixels = read_plane(folder, found.planes[4].file, found.planes[4].page)
    assert pixels.dtype == np.uint16
    assert pixels.dtype.isnative
    np.testing.assert_array_equal(pixels, STACK[1, 1])


@pytest.mark.parametrize("options", [{}, {"compressors": None}, {"shards": (1, 2, 48, 60)}])
def test_a_deleted_chunk_is_never_read_as_zeros(plate, options):
    folder = plate([("0", options, {})])
    array = folder / "B/02/0/0"
    chunks = sorted((array / "c/1/0").rglob("*"))
    next(chunk for chunk in chunks if chunk.is_file()).unlink()
    found = index(folder)
    # A chunk holds two slices.
    assert told(found) == [("missing", "B02", 0, "2", 1), ("missing", "B02", 0, "2", 2)]
    with pytest.raises(DataError, match=r"B/02/0/0, page 3: chunk .* is not there"):
        read_plane(folder, "B/02/0/0", 3)
    np.testing.assert_array_equal(read_plane(folder, "B/02/0/0", 5), STACK[1, 2])


@pytest.mark.parametrize("compressor", [None, BloscCodec(cname="zstd")])
@pytest.mark.parametrize("how", ["truncated", "empty", "unreadable"])
def test_a_chunk_whose_encoding_tells_its_length(plate, compressor, how):
    folder = plate([("0", {"compressors": compressor}, {})])
    chunk = folder / "B/02/0/0/c/0/1/2/0"
    chunk.write_bytes({"truncated": chunk.read_bytes()[:-1], "empty": b"", "unreadable": b"no image"}[how])
    kind = "truncated" if how == "unreadable" and compressor is None else how
    assert told(index(folder)) == [(kind, "B02", 0, "1", 3)]


def test_fields_that_all_lie_at_one_place_have_no_position(plate):
    origin = {"coordinateTransformations": [{"type": "translation", "translation": [0, 0, 0, 0]}]}
    assert index(plate([("1", {}, origin), ("2", {}, origin)])).positions == ()


def test_damage_that_only_decoding_shows_is_an_error_of_reading(plate):
    folder = plate()
    chunk = folder / "B/02/0/0/c/0/1/2/0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert len(index(folder).planes) == 6
    with pytest.raises(DataError, match="a chunk is cut short or damaged") as error:
        read_plane(folder, "B/02/0/0", 2)
    assert error.value.kind == "bad_plane"


def test_any_change_of_a_chunk_changes_the_fingerprint(plate):
    folder = plate()
    array = folder / "B/02/0/0"
    first = index(folder).planes[0]
    assert (first.size, first.mtime_ns) == stat_path(array)
    assert first.size == sum(path.stat().st_size for path in array.rglob("*") if path.is_file())
    chunk = array / "c/1/1/2/0"
    chunk.write_bytes(chunk.read_bytes())
    second = index(folder).planes[0]
    assert (second.size, second.mtime_ns > first.mtime_ns) == (first.size, True)
    chunk.unlink()
    assert index(folder).planes[0].size < first.size


def test_hidden_metadata_of_zarr_2_are_part_of_the_fingerprint(shared_data, tmp_path):
    folder = shutil.copytree(shared_data / "omezarr-hcs-04", tmp_path / "p")
    before = index(folder).planes[0]
    array = folder / before.file
    (array / ".zarray").chmod(0o600)
    (array / ".zarray").write_text((array / ".zarray").read_text() + " ")
    assert index(folder).planes[0].size == before.size + 1


def test_a_sites_name_is_its_path_where_that_is_a_number(plate):
    assert index(plate([("7", {}, {}), ("3", {}, {})])).sites == (3, 7)


def test_other_paths_are_counted(plate):
    found = index(plate([("left", {}, {}), ("right", {}, {})]))
    assert [(plane.site, plane.file) for plane in found.planes if plane.page == 0] == [
        (1, "B/02/left/0"), (2, "B/02/right/0"),
    ]  # fmt: skip


def test_transformations_of_image_and_level_come_together(plate):
    whole = [{"type": "scale", "scale": [1, 1, 2, 2]}, {"type": "translation", "translation": [0, 0, 5000, 1000]}]
    found = index(plate([("0", {}, {"coordinateTransformations": whole})]))
    assert (found.pixel_size_um, [(p.x_um, p.y_um) for p in found.positions]) == (1.0, [(1 + 29.5, 5 + 19.5)])


@pytest.mark.parametrize("path", ["../../../outside", "/etc", "..\\..\\..\\outside"])
def test_arrays_outside_the_plate_are_never_opened(plate, path):
    folder = plate([("0", {}, {}), ("1", {}, {"datasets": [{"path": path}]})])
    shutil.copytree(folder / "B/02/0/0", folder.parent / "outside")
    found = index(folder)
    assert {plane.site for plane in found.planes} == {0}
    assert [(problem.kind, problem.site) for problem in found.problems] == [("unreadable", 1)]


@pytest.mark.parametrize(
    "shape", [[], [4], [2, 3, 0, 60], [2, 3, 40.5, 60], [10**9, 10**9, 4, 4], [2, 3, 10**30, 60], "x", None]
)
def test_a_shape_that_cannot_be(plate, shape):
    folder = plate([("0", {}, {}), ("1", {}, {})])
    file = folder / "B/02/1/0/zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"shape": shape}))
    assert [(problem.kind, problem.site) for problem in index(folder).problems] == [("unreadable", 1)]


@pytest.mark.parametrize("attributes", [7, {"ome": "x"}, {"ome": {"multiscales": [{"axes": [{"name": "y"}]}]}},
                                        {"ome": {"multiscales": "half \ud800"}}])  # fmt: skip
def test_metadata_of_a_field_that_are_none(plate, attributes):
    folder = plate([("0", {}, {}), ("1", {}, {})])
    file = folder / "B/02/1/zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"attributes": attributes}))
    found = index(folder)
    assert {plane.site for plane in found.planes} == {0}
    assert [(problem.kind, problem.site) for problem in found.problems] == [("unreadable", 1)]


def test_a_unit_that_is_no_word_is_unknown(plate):
    axes = [*AXES[:3], {"name": "x", "unit": ["nanometer"]}]
    found = index(plate([("0", {}, {"axes": axes})]))
    assert (found.pixel_size_um, len(found.planes), found.problems) == (None, 6, ())


@pytest.fixture
def acquired(plate):
    """Return how to write a well of two acquisitions: the images of each, and the names of its channels."""

    def write(first, second, names=(("DNA", "GFP"), ("DNA", "GFP"))):
        folder = plate([(path, {}, {}) for path in (*first, *second)])
        change(folder, lambda ome: ome["plate"].update(acquisitions=[{"id": 7}, {"id": 3}]))
        images = [{"path": path, "acquisition": 7 if path in first else 3} for path in (*first, *second)]
        change(folder / "B/02", lambda ome: ome.update(well={"images": images}))
        for paths, labels in zip((first, second), names, strict=True):
            for path in paths:
                change(folder / "B/02" / path, lambda ome, of=labels: ome.update(
                    omero={"channels": [{"label": name} for name in of]}))  # fmt: skip
        return folder

    return write


def change(group, how):
    path = group / "zarr.json"
    document = json.loads(path.read_bytes())
    how(document["attributes"]["ome"])
    path.write_text(json.dumps(document))


def test_acquisitions_of_the_same_channels_are_time_points(acquired):
    folder = acquired(["0", "2"], ["1", "3"])
    found = index(folder)
    assert (found.problems, found.sites, found.t, len(found.channels)) == ((), (1, 2), (1, 2), 2)
    assert {(plane.site, plane.t, plane.file) for plane in found.planes} == {
        (1, 1, "B/02/0/0"), (2, 1, "B/02/2/0"), (1, 2, "B/02/1/0"), (2, 2, "B/02/3/0"),
    }  # fmt: skip


def test_acquisitions_of_other_channels_add_channels(acquired):
    folder = acquired(["0"], ["1"], (("DNA", "GFP"), ("DNA", "RFP")))
    found = index(folder)
    assert (found.problems, found.sites, found.t) == ((), (1,), (1,))
    assert [(channel.id, channel.name) for channel in found.channels] == [
        ("1", "DNA-1"), ("2", "GFP"), ("3", "DNA-3"), ("4", "RFP"),
    ]  # fmt: skip
    assert {(plane.channel, plane.file) for plane in found.planes} == {
        ("1", "B/02/0/0"), ("2", "B/02/0/0"), ("3", "B/02/1/0"), ("4", "B/02/1/0"),
    }  # fmt: skip


def test_a_field_of_a_later_acquisition_that_is_lost_is_told_at_its_time(acquired):
    folder = acquired(["0"], ["1"])
    chunk = next(path for path in sorted((folder / "B/02/1/0/c").rglob("*")) if path.is_file())
    chunk.unlink()
    assert {(p.kind, p.site, p.t) for p in index(folder).problems} == {("missing", 1, 2)}


def test_one_acquisition_changes_nothing(acquired):
    found = index(acquired(["0", "5"], []))
    assert (found.sites, found.t) == ((0, 5), (1,))
