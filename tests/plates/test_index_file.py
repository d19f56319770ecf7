"""An index that stands in a file is taken where nothing changed, and only there."""

import os

import numpy as np
import pytest
import tifffile

from hcs_lib.plates import index_file, indexing
from hcs_lib.plates.index import PlateIndex

IMAGE = np.arange(48, dtype=np.uint16).reshape(6, 8)


@pytest.fixture
def plate(tmp_path):
    folder = tmp_path / "plate"
    folder.mkdir()
    for well in ("A01", "B02"):
        tifffile.imwrite(folder / f"{well}_s1_w1.tif", IMAGE)
    return folder


@pytest.fixture
def made(monkeypatch):
    """How often an index was made."""
    calls = []
    make = indexing.index_plate

    def count(*given, **options):
        calls.append(given)
        return make(*given, **options)

    monkeypatch.setattr(indexing, "index_plate", count)
    return calls


@pytest.fixture
def index(plate, tmp_path):
    def run(**options):
        return index_file.index_into(
            tmp_path / "out" / "index.json", plate, plate="p", pattern="{well}_s{site}_w{channel}.tif", **options
        )

    return run


def test_nothing_changed(index, made, tmp_path):
    first = index()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert index() == first == PlateIndex.load(tmp_path / "out" / "index.json")
    assert len(made) == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert before.keys() == {"index.json", "index.stamp.json", "headers.json"}


@pytest.mark.parametrize("what", ["touched", "new", "gone", "index", "stamp", "option", "code", "index gone"])
def test_whatever_changed_is_seen(index, made, plate, tmp_path, monkeypatch, what):
    index()
    output, options = tmp_path / "out" / "index.json", {}
    if what == "touched":
        os.utime(plate / "A01_s1_w1.tif", ns=(1, 1))
    elif what == "new":
        tifffile.imwrite(plate / "C03_s1_w1.tif", IMAGE)
    elif what == "gone":
        (plate / "A01_s1_w1.tif").unlink()
    elif what == "index":
        output.write_bytes(output.read_bytes().replace(b"B02", b"B03"))
    elif what == "stamp":
        output.with_name("index.stamp.json").write_text("{")
    elif what == "option":
        options = {"pixel_size_um": 0.5}
    elif what == "code":
        monkeypatch.setattr(index_file, "digest_sources", lambda *_: "other")
    elif what == "index gone":
        output.unlink()
    found = index(**options)
    assert len(made) == 2
    assert PlateIndex.load(output) == found == indexing.index_plate(
        plate, plate="p", pattern="{well}_s{site}_w{channel}.tif", **options
    )  # fmt: skip


def test_content_is_always_looked_at(index, made, plate):
    first = index(fingerprint="content")
    stat = (plate / "A01_s1_w1.tif").stat()
    tifffile.imwrite(plate / "A01_s1_w1.tif", IMAGE + 1)
    os.utime(plate / "A01_s1_w1.tif", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert index(fingerprint="content").planes[0].sha256 != first.planes[0].sha256
    assert len(made) == 2


def test_a_file_that_cannot_be_read_is_tried_again(index, made, plate):
    (plate / "A01_s1_w1.tif").write_text("no image")
    index()
    index()
    assert len(made) == 2
