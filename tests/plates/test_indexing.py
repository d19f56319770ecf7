import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import UserError
from hcs_lib.plates.index import PlateIndex
from hcs_lib.plates.indexing import index_plate, snapshot
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import write_metaseries

PATTERN = "{well}_s{site}_w{channel}.tif"
IMAGE = np.arange(48, dtype=np.uint16).reshape(6, 8)


@pytest.fixture
def plate(tmp_path):
    """2 wells x 2 sites x 2 channels."""
    folder = tmp_path / "plate"
    folder.mkdir()
    for name in ("A01", "B02"):
        for site in (1, 2):
            for channel in (1, 2):
                tifffile.imwrite(folder / f"{name}_s{site}_w{channel}.tif", IMAGE)
    return folder


def index(folder, pattern=PATTERN, **options):
    return index_plate(folder, plate="p", pattern=pattern, **options)


def told(found):
    return [(problem.kind, problem.well, problem.site, problem.channel, problem.z) for problem in found.problems]


def state(folder):
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_ctime_ns,
            path.is_file() and path.read_bytes(),
        )
        for path in [folder, *folder.rglob("*")]
    }


def test_a_whole_plate(plate):
    found = index(plate)
    assert (found.format, found.shape, found.dtype, found.problems) == ("pattern", (6, 8), "uint16", ())
    assert (found.wells, found.sites, found.z, found.t) == (("A01", "B02"), (1, 2), (1,), (1,))
    assert [channel.id for channel in found.channels] == ["1", "2"]
    assert (found.pixel_size_um, found.z_spacing_um, found.grid, found.positions) == (None, None, None, ())
    assert [plane.file for plane in found.planes] == sorted(path.name for path in plate.iterdir())
    stat = (plate / "B02_s2_w1.tif").stat()
    (plane,) = [plane for plane in found.planes if plane.file == "B02_s2_w1.tif"]
    assert plane.address == ("B02", 2, "1", 1, 1)
    assert (plane.page, plane.size, plane.mtime_ns, plane.sha256) == (0, stat.st_size, stat.st_mtime_ns, None)


def test_the_index_is_read_back_as_it_was(plate, tmp_path):
    (plate / "A01_s1_w1.tif").unlink()
    found = index(plate)
    found.save(tmp_path / "out" / "index.json")
    assert PlateIndex.load(tmp_path / "out" / "index.json") == found


def test_the_same_folder_gives_the_same_bytes(plate):
    (plate / "A01_s1_w1.tif").unlink()
    (plate / "A01_s2_w1.tif").write_bytes(b"")
    assert len({canonical_json(index(plate).model_dump(mode="json")) for _ in range(3)}) == 1


def test_indexing_leaves_the_plate_as_it_was(plate):
    (plate / "A01_s2_w1.tif").write_bytes(b"x")
    before = state(plate)
    index(plate, fingerprint="content")
    snapshot(plate)
    assert state(plate) == before


def test_a_plate_that_cannot_be_written(plate):
    plate.chmod(0o500)
    try:
        assert len(index(plate).planes) == 8
    finally:
        plate.chmod(0o700)


def test_missing_planes_against_the_full_grid(plate):
    (plate / "A01_s2_w1.tif").unlink()
    (plate / "B02_s1_w1.tif").unlink()
    (plate / "B02_s1_w2.tif").unlink()
    found = index(plate)
    assert told(found) == [("missing", "A01", 2, "1", 1), ("missing", "B02", 1, "1", 1), ("missing", "B02", 1, "2", 1)]
    assert found.problems[0].message == "no file for site 2, channel 1, z 1, t 1."
    assert len(found.planes) == 5


@pytest.fixture
def uneven(tmp_path):
    """2 wells x 2 sites; DNA was taken at 3 z-planes, GFP at one."""
    folder = tmp_path / "uneven"
    folder.mkdir()
    for name in ("A01", "B02"):
        for site in (1, 2):
            for channel, depth in (("DNA", 3), ("GFP", 1)):
                for z in range(1, depth + 1):
                    tifffile.imwrite(folder / f"{name}_s{site}_w{channel}_z{z}.tif", IMAGE)
    return folder, "{well}_s{site}_w{channel}_z{z}.tif"


def test_a_channel_of_fewer_z_planes_lacks_nothing(uneven):
    found = index(*uneven)
    assert (found.problems, found.z, len(found.planes)) == ((), (1, 2, 3), 16)
    assert found.frames == {"DNA": {(1, 1), (2, 1), (3, 1)}, "GFP": {(1, 1)}}


def test_holes_are_told_against_what_a_channel_has_elsewhere(uneven):
    folder, pattern = uneven
    for name in ("A01_s2_wDNA_z3.tif", "B02_s1_wGFP_z1.tif"):
        (folder / name).unlink()
    tifffile.imwrite(folder / "B02_s2_wGFP_z2.tif", IMAGE[:3])
    found = index(folder, pattern)
    assert told(found) == [
        ("missing", "A01", 2, "DNA", 3),
        ("missing", "A01", 1, "GFP", 2),
        ("missing", "A01", 2, "GFP", 2),
        ("missing", "B02", 1, "GFP", 1),
        ("missing", "B02", 1, "GFP", 2),
        ("shape", "B02", 2, "GFP", 2),
    ]
    assert found.frames["GFP"] == {(1, 1), (2, 1)}


def test_a_broken_stack_has_the_z_planes_of_its_channel(tmp_path):
    for channel, depth in (("DNA", 3), ("GFP", 2)):
        for t in (1, 2):
            with tifffile.TiffWriter(tmp_path / f"A01_w{channel}_t{t}.tif") as writer:
                for _ in range(depth):
                    writer.write(IMAGE, contiguous=False)
    (tmp_path / "A01_wGFP_t2.tif").write_bytes(b"")
    found = index(tmp_path, "{well}_w{channel}_t{t}.tif")
    assert told(found) == [("empty", "A01", 1, "GFP", None)]
    assert found.frames == {
        "DNA": {(z, t) for z in (1, 2, 3) for t in (1, 2)},
        "GFP": {(z, t) for z in (1, 2) for t in (1, 2)},
    }


def damage(kind, path):
    data = path.read_bytes()
    if kind == "cut":
        path.write_bytes(data[:-1])
    elif kind == "half":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "header only":
        path.write_bytes(data[:8])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is a text, whatever its name says\n")
    elif kind == "compressed, cut":
        tifffile.imwrite(path, np.random.default_rng(0).integers(0, 65536, (64, 64), np.uint16), compression="zlib",
                         rowsperstrip=8)  # fmt: skip
        path.write_bytes(path.read_bytes()[:-1])
    elif kind == "dead link":
        path.unlink()
        path.symlink_to("nowhere.tif")
    elif kind == "colour":
        tifffile.imwrite(path, np.zeros((6, 8, 3), np.uint16), photometric="rgb")
    elif kind == "shape":
        tifffile.imwrite(path, np.zeros((8, 6), np.uint16))
    elif kind == "dtype":
        tifffile.imwrite(path, IMAGE.astype(np.float32))


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("cut", "truncated", "page 0 needs "),
        ("half", "truncated", "cut short or damaged"),
        ("header only", "truncated", "breaks off"),
        ("compressed, cut", "truncated", "page 0 needs "),
        ("empty", "empty", "no bytes"),
        ("text", "unreadable", "not a TIFF file"),
        ("dead link", "unreadable", "cannot be opened: No such file"),
        ("colour", "not_a_plane", "3 sample(s) a pixel; expected one 2D image"),
        ("shape", "shape", "shape (8, 6), most planes have (6, 8)."),
        ("dtype", "dtype", "dtype float32, most planes have uint16."),
    ],
)
def test_a_broken_plane_is_a_problem_of_its_address(plate, how, kind, message):
    damage(how, plate / "A01_s2_w1.tif")
    found = index(plate)
    assert told(found) == [(kind, "A01", 2, "1", 1)]
    assert found.problems[0].file == "A01_s2_w1.tif"
    assert message in found.problems[0].message
    assert len(found.planes) == 7


@pytest.mark.parametrize("kept", [0, 3, 7, 9, 100, 131_000, 131_100, 131_256, 137_000, 137_740])
def test_a_plane_of_a_microscope_cut_anywhere(tmp_path, shared_data, kept):
    """These files have the directory behind the pixels: what is lost first is the directory."""
    source = shared_data / "imagexpress-exported" / "9987_Plate_3434" / "TimePoint_1" / "ZStep_1"
    for name in ("9987_B02_s1_w1.TIF", "9987_B02_s2_w1.TIF"):
        shutil.copyfile(source / name, tmp_path / name)
    with (tmp_path / "9987_B02_s2_w1.TIF").open("r+b") as file:
        file.truncate(kept)
    found = index(tmp_path, pattern=None)
    assert [(problem.well, problem.site, problem.file) for problem in found.problems] == [
        ("B02", 2, "9987_B02_s2_w1.TIF")
    ]
    assert [plane.site for plane in found.planes] == [1]


def test_files_of_one_address_are_all_left_out(plate):
    shutil.copyfile(plate / "A01_s1_w1.tif", plate / "A1_s01_w01.tif")
    found = index(plate)
    assert told(found) == [("repeated", "A01", 1, "1", 1)] * 2
    assert {problem.file for problem in found.problems} == {"A01_s1_w1.tif", "A1_s01_w01.tif"}
    assert "A01_s1_w1.tif, A1_s01_w01.tif" in found.problems[0].message
    assert len(found.planes) == 7


def test_pages_are_z_where_the_name_gives_none(tmp_path):
    for well, depth in (("A01", 3), ("A02", 2)):
        with tifffile.TiffWriter(tmp_path / f"{well}.tif") as writer:
            for z in range(depth):
                writer.write(IMAGE + z, contiguous=False)
    found = index(tmp_path, "{well}.tif")
    assert [(plane.well, plane.z, plane.page) for plane in found.planes] == [
        ("A01", 1, 0), ("A01", 2, 1), ("A01", 3, 2), ("A02", 1, 0), ("A02", 2, 1),
    ]  # fmt: skip
    assert told(found) == [("missing", "A02", 1, "1", 3)]


def test_a_stack_that_breaks_off_is_not_a_short_stack(tmp_path):
    for well in ("A01", "A02"):
        with tifffile.TiffWriter(tmp_path / f"{well}.tif") as writer:
            for _ in range(4):
                writer.write(np.zeros((64, 64), np.uint16), contiguous=False)
    data = (tmp_path / "A02.tif").read_bytes()
    (tmp_path / "A02.tif").write_bytes(data[: len(data) // 2 + 200])
    found = index(tmp_path, "{well}.tif")
    assert told(found) == [("truncated", "A02", 1, "1", None)]
    assert len(found.planes) == 4


def test_pages_and_z_in_the_name_contradict(tmp_path):
    tifffile.imwrite(tmp_path / "A01_z1.tif", IMAGE)
    with tifffile.TiffWriter(tmp_path / "A01_z2.tif") as writer:
        for _ in range(2):
            writer.write(IMAGE, contiguous=False)
    assert told(index(tmp_path, "{well}_z{z}.tif")) == [("inconsistent", "A01", 1, "1", 2)]


def test_most_planes_decide_on_the_shape(plate):
    for name in ("A01_s1_w1.tif", "A01_s1_w2.tif", "B02_s1_w1.tif"):
        damage("shape", plate / name)
    found = index(plate)
    assert found.shape == (6, 8)
    assert [problem.kind for problem in found.problems] == ["shape"] * 3


def test_other_tiffs_beside_the_planes_are_told(plate):
    tifffile.imwrite(plate / "overview.tif", IMAGE)
    (plate / "notes.txt").write_text("mine")
    (plate / "._A01_s1_w1.tif").write_bytes(b"what macOS leaves on network drives")
    (problem,) = index(plate).problems
    assert (problem.kind, problem.well, problem.file) == ("not_a_plane", None, "overview.tif")


def test_content_is_hashed_when_asked_for(plate):
    found = index(plate, fingerprint="content")
    for plane in found.planes:
        assert plane.sha256 == hashlib.sha256((plate / plane.file).read_bytes()).hexdigest()


def test_channels_and_wells_come_in_natural_order(tmp_path):
    for well in ("B1", "A10", "A2"):
        for channel in ("GFP", "10", "2", "01"):
            tifffile.imwrite(tmp_path / f"{well}_s1_w{channel}.tif", IMAGE)
    found = index(tmp_path)
    assert found.wells == ("A02", "A10", "B01")
    assert [channel.id for channel in found.channels] == ["1", "2", "10", "GFP"]
    assert [plane.channel for plane in found.planes[:4]] == ["1", "2", "10", "GFP"]


def test_the_pixel_size_can_be_given(plate):
    assert index(plate, pixel_size_um=0.5).pixel_size_um == 0.5
    with pytest.raises(UserError, match="pixel size: -1 um is none"):
        index(plate, pixel_size_um=-1)


class TestWhichPlate:
    def test_a_folder_above_holds_the_plate(self, plate):
        (plate.parent / "platemap.csv").write_text("well\nA1\n")
        found = index(plate.parent)
        assert len(found.planes) == 8
        assert found.planes[0].file == "plate/A01_s1_w1.tif"

    def test_a_plate_in_the_folder_comes_before_copies_below(self, plate):
        shutil.copytree(plate, plate / "backup")
        assert [plane.file for plane in index(plate).planes] == sorted(path.name for path in plate.glob("*.tif"))

    def test_two_plates_are_an_error(self, plate):
        shutil.copytree(plate, plate.parent / "other")
        with pytest.raises(UserError, match="the folder holds 2 plates, expected one: files in other; files in plate"):
            index(plate.parent)

    def test_of_plates_that_names_tell_apart_the_one_of_that_name(self, tmp_path):
        for name in ("p", "q"):
            tifffile.imwrite(tmp_path / f"{name}_A01_s1_w1.tif", IMAGE)
        assert [plane.file for plane in index(tmp_path, pattern=None).planes] == ["p_A01_s1_w1.tif"]
        with pytest.raises(UserError, match=r"holds 2 plates.*p in \.; q in \."):
            index_plate(tmp_path, plate="other")


@pytest.mark.parametrize(("last", "kept"), [(0, [1]), (1, [1, 2, 3])])
def test_planes_of_one_height_and_time_are_copies_only_where_their_pixels_are_the_same(tmp_path, last, kept):
    said = PlaneMetadata(1.0, 0.0, 0.0, 5.0, "DNA", 450.0)
    text = write_metaseries(said, IMAGE.shape, "").replace(
        "</PlaneInfo>", '<prop id="acquisition-time-local" type="time" value="20260102 03:04:05.678"/></PlaneInfo>'
    )
    for z, image in ((1, IMAGE), (2, IMAGE), (3, IMAGE + last)):
        (tmp_path / f"ZStep_{z}").mkdir()
        tifffile.imwrite(tmp_path / f"ZStep_{z}" / "p_A01_s1_w1.tif", image, description=text, metadata=None)
    found = index(tmp_path, pattern=None)
    assert [plane.z for plane in found.planes] == kept
    assert [(problem.kind, problem.well, problem.z, problem.copy_of) for problem in found.problems] == [
        ("repeated", "A01", z, found.planes[0].file) for z in {1, 2, 3} - set(kept)
    ]


class TestNoPlate:
    def test_a_pattern_that_matches_nothing(self, plate):
        with pytest.raises(UserError) as error:
            index(plate, "img_{well}.tif")
        assert str(error.value) == (
            f"{plate}: the pattern 'img_{{well}}.tif' matches none of its 8 files, such as 'A01_s1_w1.tif' and"
            " 'A01_s1_w2.tif'. Correct the pattern: fields in braces, everything else exactly as in the names."
        )

    def test_no_known_format(self, shared_data):
        with pytest.raises(UserError, match=r"no plate of a known format \(imagexpress, .*\) among its 69 files, such"
                                            r" as 'images/Channel1-01-A-01.tif' and .* Give a pattern"):  # fmt: skip
            index_plate(shared_data / "bbbc013-wortmannin", plate="p")

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(UserError, match="the folder holds no files"):
            index(tmp_path)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(UserError, match="the plate's folder does not exist"):
            index(tmp_path / "none")
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match="is a file, not a folder"):
            index(tmp_path / "file")

    def test_no_plane_that_can_be_used(self, plate):
        for path in plate.iterdir():
            path.write_bytes(b"")
        with pytest.raises(
            UserError, match=r"no plane of the plate can be used \(8 problem\(s\)\). A01_s1_w1.tif: the file"
        ):
            index(plate)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"format": "imagexpres"}, "unknown format 'imagexpres'. Did you mean imagexpress"),
            ({"format": "imagexpress", "pattern": PATTERN}, "a pattern was given together with format 'imagexpress'"),
            ({"format": "pattern"}, "format 'pattern' needs a pattern"),
            ({"format": "imagexpress"}, "no plate of format 'imagexpress' among its 8 files"),
        ],
    )
    def test_a_format_that_cannot_be(self, plate, options, message):
        with pytest.raises(UserError, match=message):
            index_plate(plate, plate="p", **options)


class TestSnapshot:
    def test_it_sees_every_change(self, plate):
        path = plate / "A01_s1_w1.tif"
        stat = path.stat()
        seen = [snapshot(plate)]
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
        seen.append(snapshot(plate))
        path.rename(plate / "A03_s1_w1.tif")
        seen.append(snapshot(plate))
        (plate / "sub").mkdir()
        (plate / "sub" / "new.tif").touch()
        seen.append(snapshot(plate))
        assert len(set(seen)) == 4

    def test_it_is_the_same_for_the_same_files(self, plate):
        assert snapshot(plate) == snapshot(plate)

    def test_links_in_a_circle_do_not_stop_it(self, plate):
        (plate / "self").symlink_to("self")
        (plate / "above").symlink_to("..")
        assert len(index(plate).planes) == 8

    def test_a_dead_link_does_not_stop_it(self, plate):
        (plate / "dead").symlink_to("nowhere")
        assert snapshot(plate)

    def test_it_imports_nothing_heavy(self):
        code = ("import sys, hcs_lib.plates.indexing as i; i.snapshot(__import__('pathlib').Path(sys.argv[1]));"
                "print({'numpy', 'pydantic', 'tifffile'} & set(sys.modules))")  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True)
        assert done.stdout == "set()\n", done.stderr


class TestRealPlates:
    def test_bbbc013(self, shared_data):
        """From the folder above, which holds a platemap and tables too."""
        folder = shared_data / "bbbc013-wortmannin"
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        found = index(folder, "Channel{channel}-{n}-{row}-{col}.tif")
        assert (len(found.planes), len(found.wells), found.problems) == (64, 32, ())
        assert (found.shape, found.dtype, found.grid) == ((640, 640), "uint8", (1, 1))
        assert {plane.file for plane in found.planes} == {f"images/{path.name}" for path in folder.glob("images/*")}
        assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def test_imagexpress_exported(self, shared_data):
        found = index_plate(shared_data / "imagexpress-exported", plate="p")
        assert (found.format, len(found.planes)) == ("imagexpress", 24)
        assert {(problem.kind, problem.channel, problem.z) for problem in found.problems} == {
            ("repeated", channel, z) for channel in "234" for z in (2, 3)
        }
        assert len(found.problems) == 24
        for problem in found.problems:
            assert problem.copy_of == problem.file.replace(f"ZStep_{problem.z}", "ZStep_1")
        assert set(found.problems_by_well.values()) == {()}
        assert found.frames == {"1": {(1, 1), (2, 1), (3, 1)}} | {channel: {(1, 1)} for channel in "234"}
        assert not [plane for plane in found.planes if "ZStep_0" in plane.file]
        assert (found.wells, found.sites, found.z, found.t) == (("B02", "B03"), (1, 2), (1, 2, 3), (1,))
        assert [channel.name for channel in found.channels] == ["DAPI", "FITC", "Texas Red", "Cy5"]
        assert [channel.wavelength_nm for channel in found.channels] == [452, 520, 624, 692]
        assert (found.pixel_size_um, found.grid) == (1.3672, (1, 2))
        assert found.z_spacing_um == pytest.approx(3.0, abs=0.05)
        x = {(position.well, position.site): position.x_um for position in found.positions}
        assert (x["B02", 2] - x["B02", 1]) / found.pixel_size_um == pytest.approx(230.4, abs=0.05)

    def test_imagexpress_database(self, shared_data):
        found = index_plate(shared_data / "imagexpress-database", plate="p")
        assert (len(found.planes), found.wells, found.sites, found.t, found.z) == (12, ("C07",), (1, 2), (1, 2), (1,))
        assert [(channel.id, channel.name) for channel in found.channels] == [
            ("1", "FITC"),
            ("2", "Cy3"),
            ("3", "Texas Red"),
        ]
        assert (found.pixel_size_um, found.grid, found.problems) == (13.5504, (2, 1), ())
        assert [(position.site, position.y_um) for position in found.positions] == [(1, 27625.7), (2, 31094.5)]
