"""ND2 and CZI: wells, times, positions and pixels; and what is lost, cut or damaged is told, never black."""

import importlib.util
import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.cli.index import index as index_command
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.core.errors import DataError, MachineError, UserError
from hcs_lib.plates.formats.nd2 import well_of_file, well_of_position
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.reading import read_plane

SHAPE = (6, 8)


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_nd2, write_czi = load("nd2_writer").write_nd2, load("czi_writer").write_czi


def image(*key):
    return np.random.default_rng(key).integers(1, 65536, SHAPE, np.uint16)


def frames(count, channels=2):
    return {n: np.stack([image(n, c) for c in range(channels)]) for n in range(count)}


PIPELINE = """\
name: p
steps:
  - {name: max, stack: z, func: {call: hcs.project, args: {method: max}}, keep: true}
"""
CHANNELS = [("DAPI", 452.0, 358.0), ("FITC", 525.0, 490.0)]


def index(folder, **options):
    return index_plate(folder, plate="p", **options)


def told(found):
    return [(p.kind, p.well, p.site, p.channel, p.z, p.t) for p in found.problems]


def pixels(folder, plane):
    return read_plane(folder, plane.file, plane.page)


class TestNd2:
    def test_time_points_positions_and_stacks(self, tmp_path):
        written = frames(2 * 3 * 2)
        points = [("A1", 0.0, 0.0), ("A1 #2", 10.0, 0.0), ("B2", 0.0, 20.0)]
        stamps = [500.0 * n for n in written]
        write_nd2(tmp_path / "p.nd2", written, CHANNELS, points=points, times=2, depth=2, step=1.5, stamps=stamps)
        found = index(tmp_path)
        assert (found.format, found.problems, found.wells) == ("nd2", (), ("A01", "B02"))
        assert (found.sites, found.z, found.t, found.z_spacing_um) == ((1, 2), (1, 2), (1, 2), 1.5)
        assert {well: extent.sites for well, extent in found.extents.items()} == {"A01": (1, 2), "B02": (1,)}
        assert [(p.well, p.site, p.x_um, p.y_um) for p in found.positions] == [
            ("A01", 1, 0, 0), ("A01", 2, 10, 0), ("B02", 1, 0, 20),
        ]  # fmt: skip
        place = {("A01", 1): 0, ("A01", 2): 1, ("B02", 1): 2}
        for plane in found.planes:
            frame = (plane.t - 1) * 6 + place[plane.well, plane.site] * 2 + plane.z - 1
            np.testing.assert_array_equal(pixels(tmp_path, plane), written[frame][int(plane.channel) - 1])
        last = max(found.planes, key=lambda plane: plane.page)
        assert last.acquired == "2026-01-02T00:00:05.500+00:00"

    def test_a_stage_that_runs_against_the_camera(self, tmp_path):
        points = [("A01_0000", 100.0, 50.0), ("A01_0001", 92.0, 50.0)]
        write_nd2(tmp_path / "p.nd2", frames(2), CHANNELS, points=points, turned=True)
        found = index(tmp_path)
        assert [(p.site, p.x_um, p.y_um) for p in found.positions] == [(0, -100, -50), (1, -92, -50)]

    def test_a_file_for_each_channel_and_place(self, tmp_path):
        for n, channel in enumerate(CHANNELS):
            for site in (0, 1):
                name = f"WellC04_PointC04_{site:04d}_Channel{channel[0]}_Seq{n:04d}.nd2"
                write_nd2(tmp_path / name, {0: image(site, n)[None]}, [channel])
        found = index(tmp_path)
        assert (found.wells, found.sites, found.problems) == (("C04",), (0, 1), ())
        assert [(channel.id, channel.name) for channel in found.channels] == [("1", "DAPI"), ("2", "FITC")]
        for plane in found.planes:
            np.testing.assert_array_equal(pixels(tmp_path, plane), image(plane.site, int(plane.channel) - 1))

    def test_two_channels_of_one_name(self, tmp_path):
        write_nd2(tmp_path / "B02.nd2", frames(1), [CHANNELS[0], CHANNELS[0]])
        found = index(tmp_path)
        assert [(channel.id, channel.name) for channel in found.channels] == [("1", "DAPI-1"), ("2", "DAPI-2")]
        assert [plane.page for plane in found.planes] == [0, 1]

    def test_a_series_that_stopped_and_a_frame_that_is_lost(self, tmp_path):
        written = frames(8)
        for lost in (3, 6, 7):
            del written[lost]
        write_nd2(tmp_path / "p_B02.nd2", written, CHANNELS, times=4, depth=2)
        found = index(tmp_path)
        assert told(found) == [
            ("stopped", None, None, None, None, None),
            ("missing", "B02", 1, "1", 2, 2),
            ("missing", "B02", 1, "2", 2, 2),
        ]
        assert found.problems[0].message == "stopped: 4 time points were asked for, 3 are recorded."
        assert len(found.planes) == 10
        with pytest.raises(DataError, match="holds no frame 3"):
            read_plane(tmp_path, "p_B02.nd2", 6)

    def test_a_frame_whose_bytes_are_gone(self, tmp_path):
        write_nd2(tmp_path / "B02.nd2", frames(3), CHANNELS, depth=3)
        data = (tmp_path / "B02.nd2").read_bytes()
        start = data.index(b"ImageDataSeq|1!") - 16
        (tmp_path / "B02.nd2").write_bytes(data[:start] + b"\0" * 64 + data[start + 64 :])
        found = index(tmp_path)
        assert told(found) == [("truncated", "B02", 1, "1", 2, 1), ("truncated", "B02", 1, "2", 2, 1)]

    def test_colour_is_refused(self, tmp_path):
        write_nd2(tmp_path / "B02.nd2", frames(1, 3), CHANNELS[:1], components=3)
        with pytest.raises(UserError, match=r"B02\.nd2: its images have 3 samples in 1 channel"):
            index(tmp_path)

    def test_a_file_of_no_well(self, tmp_path):
        write_nd2(tmp_path / "beads.nd2", frames(1), CHANNELS)
        with pytest.raises(UserError, match=r"neither the file's name nor that of its position \(none\) tells a well"):
            index(tmp_path)
        write_nd2(tmp_path / "B02.nd2", frames(1), CHANNELS)
        assert told(index(tmp_path)) == [("inconsistent", None, None, None, None, None)]

    @pytest.mark.parametrize(("name", "expected"), [
        ("A1", ("A01", None)), ("B02_0003", ("B02", 3)), ("Well C12 #4", ("C12", 4)), ("AF48", ("AF48", None)),
        ("Z99", (None, None)), ("centre", (None, None)), ("#7", (None, None)), ("", (None, None)),
    ])  # fmt: skip
    def test_names_of_positions(self, name, expected):
        assert well_of_position(name) == expected

    @pytest.mark.parametrize(("name", "expected"), [
        ("WellB02_ChannelDAPI_Seq0001.nd2", ("B02", None)), ("x/WellB2_PointB02_0005_Seq0.nd2", ("B02", 5)),
        ("20260102_C03.nd2", ("C03", None)), ("S01_B02.nd2", (None, None)), ("plate.nd2", (None, None)),
    ])  # fmt: skip
    def test_names_of_files(self, name, expected):
        assert well_of_file(name) == expected


def tile(scene, m, x, y, c=0, t=0):
    return {"S": scene, "M": m, "C": c, "Z": 0, "T": t}, (x, y), image(scene, m, c, t)


def scenes(*names):
    return "".join(
        f'<Scene Index="{n}" Name="P{n}"><ArrayName>{name}</ArrayName></Scene>' for n, name in enumerate(names)
    )


class TestCzi:
    def test_scenes_are_wells_and_tiles_that_overlap_are_sites(self, tmp_path, layouts):
        written = [
            tile(scene, m, 100 * scene + 6 * m, 7 * scene, c) for scene in (0, 1, 2) for m in (0, 1) for c in (0, 1)
        ]
        write_czi(tmp_path / "p.czi", written, layouts.czi_xml(scenes("B2", "C3", "C3")))
        found = index(tmp_path)
        assert (found.format, found.problems) == ("czi", ())
        assert {well: extent.sites for well, extent in found.extents.items()} == {"B02": (1, 2), "C03": (1, 2, 3, 4)}
        at = {(p.well, p.site): (p.x_um, p.y_um) for p in found.positions}
        assert (at["B02", 1], at["B02", 2], at["C03", 3]) == ((2.0, 1.5), (5.0, 1.5), (102.0, 8.5))
        for plane in found.planes:
            scene = {"B02": 0, "C03": 1}[plane.well] + (plane.site - 1) // 2
            expected = image(scene, (plane.site - 1) % 2, int(plane.channel) - 1, 0)
            np.testing.assert_array_equal(pixels(tmp_path, plane), expected)

    def test_what_is_lost_and_what_stopped(self, tmp_path, layouts):
        written = [tile(0, m, 8 * m, 0, t=t) for m in (0, 1) for t in (0, 1)]
        write_czi(tmp_path / "p_B02.czi", written[:-1], layouts.czi_xml(times=5))
        found = index(tmp_path)
        assert told(found) == [("stopped", None, None, None, None, None), ("missing", "B02", 2, "1", 1, 2)]
        assert found.problems[0].message == "stopped: 5 time points were asked for, 2 are recorded."

    def test_a_channel_of_fewer_z_planes_lacks_nothing(self, tmp_path, layouts):
        places = [(c, z, m) for m in (0, 1) for c, z in ((0, 0), (0, 1), (0, 2), (1, 1))]
        written = [({"C": c, "Z": z, "M": m}, (8 * m, 0), image(c, z, m)) for c, z, m in places]
        write_czi(tmp_path / "B02.czi", written, layouts.czi_xml())
        found = index(tmp_path)
        assert (found.problems, found.frames) == ((), {"1": {(1, 1), (2, 1), (3, 1)}, "2": {(2, 1)}})
        for plane in found.planes:
            expected = image(int(plane.channel) - 1, plane.z - 1, plane.site - 1)
            np.testing.assert_array_equal(pixels(tmp_path, plane), expected)

    def test_colour_and_axes_that_planes_do_not_have(self, tmp_path, layouts):
        write_czi(tmp_path / "B02.czi", [({"C": 0}, (0, 0), np.zeros((6, 8, 3), np.uint8))], layouts.czi_xml())
        with pytest.raises(UserError, match="its pixels are bgr24"):
            index(tmp_path)
        write_czi(tmp_path / "B02.czi", [({"C": 0, "H": h}, (0, 0), image(h)) for h in (0, 1)], layouts.czi_xml())
        with pytest.raises(UserError, match="run over the axis H"):
            index(tmp_path)

    def test_a_bomb_in_the_metadata_is_never_expanded(self, tmp_path):
        entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
        bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">{entities}]><ImageDocument>&j;</ImageDocument>'
        write_czi(tmp_path / "B02.czi", [tile(0, 0, 0, 0)], bomb)
        assert [channel.name for channel in index(tmp_path).channels] == ["1"]

    def test_a_file_of_no_well(self, tmp_path, layouts):
        write_czi(tmp_path / "p.czi", [tile(0, 0, 0, 0)], layouts.czi_xml())
        with pytest.raises(UserError, match="neither its name nor its scenes 0 tell a well"):
            index(tmp_path)


@pytest.fixture
def pair(layouts, tmp_path):
    """Return how to write a plate of two wells, and the file of one of them."""

    def write(kind):
        getattr(layouts, kind)(tmp_path / kind)
        return tmp_path / kind, next((tmp_path / kind).glob("*C03*"))

    return write


@pytest.mark.parametrize("kind", ["nd2", "czi"])
@pytest.mark.parametrize("kept", [0, 1, 20, 300, 0.3, 0.7, -60, -1])
def test_a_file_cut_anywhere_is_told_and_the_other_well_stands(pair, kind, kept):
    folder, file = pair(kind)
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    found = index(folder)
    assert [(p.well, p.file) for p in found.problems] == [("C03", file.name)]
    assert found.problems[0].kind in ({0: {"empty"}}.get(kept) or {"truncated", "unreadable"})
    assert (found.wells, len(found.planes)) == (("B02", "C03"), 8)
    assert "\n" not in found.problems[0].message
    # The same on every machine: neither bytes of the file nor where it lies.
    assert not any(part in found.problems[0].message for part in (str(folder), "\\x", "b'"))


def test_the_well_of_a_broken_file_fails_alone(pair, compiled):
    folder, file = pair("czi")
    file.write_bytes(file.read_bytes()[:300])
    _, receipts = compiled(folder, PIPELINE)()
    assert {well: receipt.status for well, receipt in receipts.items()} == {"B02": "done", "C03": "failed"}
    assert "p_C03.czi" in receipts["C03"].reason
    assert "cut short or damaged" in receipts["C03"].reason


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_anywhere_is_an_error_or_the_same_shape(layouts, tmp_path_factory, data):
    """Of ND2: the library for CZI is C++ that a damaged directory can crash, with the process (docs/formats.md)."""
    folder = tmp_path_factory.mktemp("damaged")
    layouts.nd2(folder)
    file = next(folder.glob("*B02*"))
    raw = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        new = data.draw(st.binary(min_size=1, max_size=8))
        raw[place : place + len(new)] = new
    file.write_bytes(raw)
    with suppress(UserError):
        found = index(folder)
        for plane in found.planes:
            with suppress(DataError):
                assert pixels(folder, plane).shape == found.shape


class TestWithoutTheReader:
    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "nd2", None)
        monkeypatch.setitem(sys.modules, "aicspylibczi", None)

    @pytest.mark.parametrize(("kind", "library"), [("nd2", "nd2"), ("czi", "aicspylibczi")])
    def test_one_line_says_what_to_install(self, pair, kind, library):
        folder, file = pair(kind)
        with pytest.raises(UserError) as error:
            index(folder)
        assert str(error.value).endswith(
            f"{kind.upper()} files are read by the library {library}, which is not installed."
            f" Install it: make setup EXTRAS={kind}, or pip install {library}."
        )
        assert len(str(error.value).splitlines()) == 1
        with pytest.raises(MachineError, match=f"make setup EXTRAS={kind}"):
            read_plane(folder, file.name, 0)

    def test_a_plate_of_another_format_beside_it_is_indexed(self, pair, layouts):
        folder, _ = pair("nd2")
        layouts.cellvoyager(folder)
        assert (index(folder).format, len(index(folder).planes)) == ("cellvoyager", 16)


def test_a_pattern_names_no_planes_of_such_a_file(pair):
    folder, _ = pair("nd2")
    with pytest.raises(UserError, match="tells itself what its planes are"):
        index(folder, pattern="p_Well{well}_Seq{n}.nd2")


def test_the_program_prints_it(pair):
    folder, _ = pair("czi")
    result = CliRunner().invoke(index_command, [str(folder), "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["format"], found["grid"], len(found["planes"])) == ("czi", [1, 2], 16)


def test_contexts_name_the_reader(pair, compiled):
    folder, _ = pair("nd2")
    results, receipts = compiled(folder, PIPELINE)()
    assert {receipt.status for receipt in receipts.values()} == {"done"}
    versions = FrozenContext.load(results / "contexts/s01-cpu/B02.json").engine.versions
    assert {"nd2", "tifffile"} <= versions.keys()
    assert "aicspylibczi" not in versions
