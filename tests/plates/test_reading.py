import numpy as np
import pytest
import tifffile

from hcs_lib.core.errors import DataError
from hcs_lib.plates.reading import read_plane

STACK = np.random.default_rng(1).integers(0, 65536, (3, 32, 48), np.uint16)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_one_page_of_a_stack(tmp_path, compression):
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=">") as writer:
        for plane in STACK:
            writer.write(plane, compression=compression, contiguous=False)
    for page, plane in enumerate(STACK):
        found = read_plane(tmp_path, "a.tif", page)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, plane)


def test_a_real_plane(shared_data):
    found = read_plane(shared_data / "bbbc013-wortmannin", "images/Channel1-01-A-01.tif", 0)
    assert (found.shape, found.dtype) == ((640, 640), np.uint8)
    np.testing.assert_array_equal(
        found, tifffile.imread(shared_data / "bbbc013-wortmannin/images/Channel1-01-A-01.tif")
    )


def bad(tmp_path, page=0):
    with pytest.raises(DataError) as error:
        read_plane(tmp_path, "a.tif", page)
    assert error.value.kind == "bad_plane"
    assert str(error.value).startswith(f"a.tif, page {page}: ")
    return str(error.value)


def test_a_file_that_is_gone(tmp_path):
    assert "cannot be opened: No such file" in bad(tmp_path)


def test_a_page_that_is_not_there(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    assert "has no page 1" in bad(tmp_path, 1)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_cut_short(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], compression=compression)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:-10])
    assert "bytes of the file" in bad(tmp_path)


def test_pixels_overwritten_behind_a_sound_header(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        offset = tif.pages[0].dataoffsets[0]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    assert "the pixels cannot be read" in bad(tmp_path)
