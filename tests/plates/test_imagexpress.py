from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.plates.formats import imagexpress
from hcs_lib.plates.indexing import index_plate

UUID = "21C731DC-B545-430A-B705-5BEF20B33B9A"


def find(files):
    return imagexpress.find(Path(), files)


@given(
    plate=st.text(alphabet="abzP019 -._#", min_size=1, max_size=12).filter(lambda text: not text.startswith(".")),
    site=st.none() | st.integers(1, 400),
    channel=st.none() | st.integers(1, 30),
    uuid=st.none() | st.uuids(),
    extension=st.sampled_from(["tif", "TIF", "tiff"]),
)
def test_every_optional_part(plate, site, channel, uuid, extension):
    name = f"{plate}_B07"
    name += f"_s{site}" if site else ""
    name += f"_w{channel}" if channel else ""
    name += str(uuid).upper() if uuid else ""
    (plane,) = find([f"TimePoint_3/ZStep_2/{name}.{extension}"]).planes
    assert plane[1:8] == (".", plate, "B07", site or 1, str(channel or 1), 2, 3)


def test_folders_give_plate_folder_time_and_z():
    files = [
        "a/b/TimePoint_2/ZStep_4/p_A01_w1.tif",
        "a/TimePoint_1/p_A01_w1.tif",
        "ZStep_2/p_A01_w1.tif",
        "p_A01_w1.tif",
    ]
    assert [(plane.root, plane.t, plane.z) for plane in find(files).planes] == [
        ("a/b", 2, 4), ("a", 1, None), (".", 1, 2),
    ]  # fmt: skip


def test_the_projection_of_a_stack_is_no_plane():
    files = [f"TimePoint_1/ZStep_{z}/p_A01_s1_w1.TIF" for z in range(3)] + ["TimePoint_1/p_A01_s1_w1.TIF"]
    found = find(files)
    assert [plane.file for plane in found.planes] == files[1:3]
    assert found.others == {files[0], files[3]}


def test_a_projection_without_its_stack_is_taken():
    (plane,) = find(["TimePoint_1/ZStep_0/p_A01_s1_w1.TIF"]).planes
    assert plane.z == 0


def test_a_projection_stands_for_no_stack_that_is_lost():
    files = [f"ZStep_{z}/p_A0{column}_w1.TIF" for z in range(3) for column in (1, 2)]
    found = find([file for file in files if file not in ("ZStep_1/p_A02_w1.TIF", "ZStep_2/p_A02_w1.TIF")])
    assert {(plane.well, plane.z) for plane in found.planes} == {("A01", 1), ("A01", 2)}


def test_a_projection_of_a_channel_without_stacks_is_taken():
    found = find(["TimePoint_1/ZStep_0/p_A01_s1_w1.TIF", "TimePoint_1/ZStep_1/p_A01_s1_w2.TIF"])
    assert [(plane.channel, plane.z) for plane in found.planes] == [("1", 0), ("2", 1)]


def test_thumbnails_are_known_and_left_out():
    name = f"Projection-Mix_E07_s1_w1_thumb{UUID}.tif"
    found = find([name])
    assert (found.planes, found.others) == ((), {name})


def test_a_site_is_not_taken_for_a_well():
    (plane,) = find(["9987_B02_s1_w1.TIF"]).planes
    assert (plane.plate, plane.well, plane.site, plane.channel) == ("9987", "B02", 1, "1")


def test_a_well_that_cannot_be_is_no_plane():
    assert find(["p_B49_s1_w1.tif", "p_ZZ01_s1_w1.tif"]).planes == ()


HTD = (
    '"HTSInfoFile", Version 1.0\r\n"Description", "a \u00b5m, and b"\r\n"TimePoints", 2\r\n'
    '"XWells", 3\r\n"YWells", 2\r\n'
    '"WellsSelection1", TRUE, FALSE, TRUE\r\n"WellsSelection2", FALSE, FALSE, FALSE\r\n"Sites", TRUE\r\n"XSites", 2\r\n'
    '"YSites", 1\r\n"SiteSelection1", TRUE, TRUE\r\n"Waves", TRUE\r\n"NWavelengths", 2\r\n"WaveName1", "DAPI"\r\n'
    '"WaveName2", "Cy, 5"\r\n"WaveCollect1", 1\r\n"WaveCollect2", 1\r\n"EndFile"\r\n'
)


@pytest.fixture
def plate(tmp_path):
    """One image, and the settings of a plate of 2 wells x 2 sites x 2 channels x 2 time points."""
    folder = tmp_path / "P1"
    (folder / "TimePoint_1").mkdir(parents=True)
    tifffile.imwrite(folder / "TimePoint_1" / "P1_A01_s1_w1.tif", np.zeros((4, 5), np.uint16))
    (folder / "P1.HTD").write_bytes(HTD.encode("cp1252"))
    return folder


def test_what_was_asked_for_and_is_not_there_is_told(plate):
    found = index_plate(plate, plate="p")
    assert [(problem.kind, problem.well, problem.site, problem.channel) for problem in found.problems] == [
        ("stopped", None, None, None), ("missing", None, 2, None), ("missing", None, None, "2"),
        ("missing", "A03", None, None),
    ]  # fmt: skip
    messages = " ".join(problem.message for problem in found.problems)
    assert "2 time points were asked for" in messages
    assert "asks for site 2; no well has a file of it" in messages
    assert "asks for channel 2 (Cy, 5); it has no file" in messages
    assert [(channel.id, channel.name) for channel in found.channels] == [("1", "DAPI")]


def test_settings_of_one_site(plate):
    (plate / "P1.HTD").write_text(HTD.replace('"Sites", TRUE', '"Sites", FALSE'), encoding="utf-8")
    found = index_plate(plate, plate="p")
    assert (found.sites, found.grid, [p.site for p in found.problems if p.site]) == ((1,), (1, 1), [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(HTD)), st.integers(0, 40))
def test_a_damaged_htd_is_a_problem_and_the_image_is_there(plate, junk, start, removed):
    data = HTD.encode()
    (plate / "P1.HTD").write_bytes(data[:start] + junk + data[start + removed :])
    found = index_plate(plate, plate="p")
    assert len(found.planes) == 1
    assert {problem.kind for problem in found.problems} <= {"unreadable", "missing", "stopped"}
