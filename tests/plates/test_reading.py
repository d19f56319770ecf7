import errno
import resource

import numpy as np
import pytest
import tifffile

from hcs_lib.core.errors import DataError, MachineError
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
    assert "has 1 page(s), none of number 1" in bad(tmp_path, 1)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_cut_short(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], compression=compression)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:-10])
    assert "bytes of the file" in bad(tmp_path)


@pytest.mark.parametrize("source", ["strips", "zlib", "tiles", "microscope"])
def test_no_cut_file_gives_other_pixels(tmp_path, shared_data, source):
    """Cut anywhere in its structure, a file is read as it was (only metadata is gone) or is an error."""
    options = {
        "strips": {"rowsperstrip": 5},
        "zlib": {"compression": "zlib", "rowsperstrip": 5},
        "tiles": {"tile": (16, 16)},
    }
    path = tmp_path / "a.tif"
    if source == "microscope":
        path.write_bytes(
            (shared_data / "imagexpress-exported/9987_Plate_3434/TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF").read_bytes()
        )
    else:
        tifffile.imwrite(path, STACK[0], **options[source])
    whole, data = read_plane(tmp_path, "a.tif", 0), path.read_bytes()
    errors = 0
    for size in {*range(0, 300, 3), *range(len(data) - 400, len(data), 3)}:
        path.write_bytes(data[:size])
        try:
            np.testing.assert_array_equal(read_plane(tmp_path, "a.tif", 0), whole)
        except DataError:
            errors += 1
    assert errors > 100


def test_a_header_damaged_in_any_way_is_an_error_or_no_damage(tmp_path):
    random = np.random.default_rng(3)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0])
    data, errors = path.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(data)
        for position in random.integers(0, 250, 3):
            damaged[position] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_plane(tmp_path, "a.tif", 0)
        except DataError:
            errors += 1
    assert errors > 50


def test_a_failing_disk_is_no_bad_plane(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])

    def fails(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(tifffile, "TiffFile", fails)
    with pytest.raises(MachineError, match=r"a\.tif: Input/output error"):
        read_plane(tmp_path, "a.tif", 0)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_too_many_open_files_are_no_bad_plane(tmp_path, name):
    from skimage.io import imsave

    imsave(tmp_path / name, STACK[0], check_contrast=False)
    read_plane(tmp_path, name, 0)  # what is imported needs no file any more
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with (tmp_path / name).open("rb") as file:
            resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno() + 1, limits[1]))
            with pytest.raises(MachineError, match=f"{name}: Too many open files"):
                read_plane(tmp_path, name, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_pixels_overwritten_behind_a_sound_header(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        offset = tif.pages[0].dataoffsets[0]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    assert "cut short or damaged: " in bad(tmp_path)
