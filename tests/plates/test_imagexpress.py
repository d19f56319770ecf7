from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.plates.formats import imagexpress

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


def test_thumbnails_are_known_and_left_out():
    name = f"Projection-Mix_E07_s1_w1_thumb{UUID}.tif"
    found = find([name])
    assert (found.planes, found.others) == ((), {name})


def test_a_site_is_not_taken_for_a_well():
    (plane,) = find(["9987_B02_s1_w1.TIF"]).planes
    assert (plane.plate, plane.well, plane.site, plane.channel) == ("9987", "B02", 1, "1")


def test_a_well_that_cannot_be_is_no_plane():
    assert find(["p_B49_s1_w1.tif", "p_ZZ01_s1_w1.tif"]).planes == ()
