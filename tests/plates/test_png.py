import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.errors import DataError
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.reading import read_plane

RANDOM = np.random.default_rng(4)
IMAGE = RANDOM.integers(0, 65536, (12, 16), np.uint16)


def index(folder):
    return index_plate(folder, plate="p", pattern="{well}.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_image_is_a_plane(tmp_path, dtype):
    image = IMAGE.astype(dtype)
    (tmp_path / "B2.png").write_bytes(imagecodecs.png_encode(image))
    found = index(tmp_path)
    assert (found.shape, found.dtype, found.problems) == ((12, 16), image.dtype.name, ())
    pixels = read_plane(tmp_path, "B2.png", 0)
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, image)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("cut", "truncated"),
        ("head", "truncated"),
        ("empty", "empty"),
        ("tiff", "unreadable"),
        ("colour", "not_a_plane"),
    ],
)
def test_what_is_no_whole_plane(tmp_path, how, kind):
    whole = imagecodecs.png_encode(IMAGE)
    for well in ("A1", "A2", "A3"):
        (tmp_path / f"{well}.png").write_bytes(whole)
    if how == "tiff":
        tifffile.imwrite(tmp_path / "A3.png", IMAGE)
    else:
        colour = imagecodecs.png_encode(RANDOM.integers(0, 255, (12, 16, 3), np.uint8))
        data = {"cut": whole[:-1], "head": whole[:20], "empty": b"", "colour": colour}[how]
        (tmp_path / "A3.png").write_bytes(data)
    (problem,) = index(tmp_path).problems
    assert (problem.kind, problem.well, problem.file) == (kind, "A03", "A3.png")
    with pytest.raises(DataError) as error:
        read_plane(tmp_path, "A3.png", 0)
    assert error.value.kind == "bad_plane"


def test_a_page_that_is_not_there(tmp_path):
    (tmp_path / "A1.png").write_bytes(imagecodecs.png_encode(IMAGE))
    with pytest.raises(DataError, match="one plane, none of number 1"):
        read_plane(tmp_path, "A1.png", 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_anywhere_is_an_error_or_the_same_shape(tmp_path, data):
    whole = imagecodecs.png_encode(IMAGE)
    start = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / "A1.png").write_bytes(whole[:start] + data.draw(st.binary(min_size=1, max_size=8)) + whole[start + 4 :])
    try:
        assert read_plane(tmp_path, "A1.png", 0).ndim == 2
    except DataError as error:
        assert error.kind == "bad_plane"  # noqa: PT017


def test_records_of_a_cellvoyager_whose_images_are_png(tmp_path, shared_data):
    source = shared_data / "yokogawa-metadata" / "CellVoyager_1w1p1c1z1t"
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    name = "20200812-CardiomyocyteDifferentiation14-Cycle1_B03_T0001F001L01A01Z01C01.png"
    (tmp_path / name).write_bytes(imagecodecs.png_encode(IMAGE))
    found = index_plate(tmp_path, plate="p")
    assert [(plane.file, plane.well, plane.t) for plane in found.planes] == [(name, "B03", 2)]
    assert found.pixel_size_um == 0.1625
