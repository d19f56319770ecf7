"""Raw planes that are missing, damaged, changed or out of reach, before they are indexed and while a run goes on."""

import os
import shutil

import numpy as np
import pytest
import tifffile

FILE = "TimePoint_1/ZStep_1/demo_B03_s1_w1.tif"
FAILED = "demo: 2 of 3 wells done, 1 failed (0 allowed)"


def cut(path):
    path.write_bytes(path.read_bytes()[:-9000])


def empty(path):
    path.write_bytes(b"")


def other_shape(path):
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16))


def remove(path):
    path.unlink()


def forbid(path):
    path.chmod(0)


def other_pixels(path):
    """Change pixels, and neither size nor time stamp."""
    found = path.stat()
    image = tifffile.memmap(path, mode="r+")
    image += 1
    image.flush()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


WHEN_INDEXED = {
    "A plane is cut short": (cut, "page 0 needs … bytes of the file, which has …"),
    "A plane has no bytes": (empty, "the file has no bytes. …"),
    "A plane has another shape": (other_shape, "shape (64, 64), most planes have (128, 128). …"),
    "A plane is missing": (remove, "no file for site 1, channel 1, z 1, t 1. …"),
    "A plane may not be read": (forbid, "the file cannot be opened: Permission denied. …"),
}


@pytest.mark.parametrize("fault", WHEN_INDEXED)
def test_bad_when_indexed(make, survived, tmp_path, fault):
    damage, seen = WHEN_INDEXED[fault]
    analysis = make(own_raw=True)
    path = analysis.raw / FILE
    shutil.copy2(path, tmp_path / "whole.tif")
    damage(path)
    for command in ("index", "compile", "s01-cpu", "s02-cpu", "collect"):
        run = analysis.hcs(command, obey=True)
        assert run.status == 0, run.text
    run = analysis.hcs("verdict")
    mend(path, tmp_path / "whole.tif")
    seen = f"demo: well B03, site 1: bad_plane: …: {seen}demo: 2 of 3 wells done, 1 failed (0 allowed); …"
    survived(analysis, fault, "verdict", run, status=1, seen=seen, kept=4, then="mend it, run again")


WHEN_EXECUTED = {
    "A plane is cut short during the run": (cut, "bytes, … when indexed. The file changed after …"),
    "A plane has no bytes any more": (empty, "0 bytes, … when indexed. The file changed after …"),
    "A plane is written again in another shape": (other_shape, "bytes, … when indexed. The file changed after …"),
    "A plane vanishes during the run": (remove, "No such file or directory. Mend the file …"),
    "A plane may not be read any more": (forbid, "Permission denied. Mend the file …"),
    "A plane is written again in the same size": (os.utime, "another time of modification than when indexed. …"),
}


@pytest.mark.parametrize("fault", WHEN_EXECUTED)
def test_bad_when_executed(make, survived, tmp_path, fault):
    damage, seen = WHEN_EXECUTED[fault]
    analysis = make("compile", own_raw=True)
    path = analysis.raw / FILE
    shutil.copy2(path, tmp_path / "whole.tif")
    damage(path)
    run = analysis.hcs("s01-cpu", obey=True)
    mend(path, tmp_path / "whole.tif")
    assert analysis.hcs("clean", "results/demo", "--failed").status == 0
    seen = f"demo B03 s01-cpu: failed: …demo_B03_s1_w1.tif …{seen}"
    survived(
        analysis, fault, "execute", run, status=0, seen=seen, kept=2, then="mend it, `hcs clean --failed`, run again"
    )


def test_changed_without_a_trace(make, survived, tmp_path):
    """Size and time stamp tell nothing; with `fingerprint: content` the bytes do."""
    analysis = make(own_raw=True, keys="fingerprint: content")
    index = [*analysis.arguments("index"), "--fingerprint", "content"]
    assert analysis.hcs(*index).status == 0
    analysis.run(["compile"])
    path = analysis.raw / FILE
    shutil.copy2(path, tmp_path / "whole.tif")
    other_pixels(path)
    run = analysis.hcs("s01-cpu")
    mend(path, tmp_path / "whole.tif")
    assert analysis.hcs("clean", "results/demo", "--failed").status == 0

    def finish():
        assert analysis.hcs(*index).status == 0
        analysis.run(["compile", "s01-cpu", "s02-cpu", "collect", "verdict"])

    survived(
        analysis, "Pixels change, and neither size nor time (`fingerprint: content`)", "execute", run, status=0,
        seen="demo B03 s01-cpu: failed: …demo_B03_s1_w1.tif …: other bytes than when indexed. …", kept=2,
        then="mend it, `hcs clean --failed`, run again", finish=finish,
    )  # fmt: skip


def test_the_raw_plate_is_gone(make, survived, tmp_path):
    analysis = make("compile", own_raw=True)
    analysis.raw.rename(tmp_path / "elsewhere")
    run = analysis.hcs("s01-cpu")
    (tmp_path / "elsewhere").rename(analysis.raw)
    survived(analysis, "The raw plate is not there", "execute", run, status=3,
             seen="hcs: The raw plate is not at … Mount it, or say where it is with --raw.", kept=0,
             then="mount it, run again")  # fmt: skip


def test_the_raw_plate_is_an_empty_mount_point(make, survived, tmp_path):
    analysis = make("compile", own_raw=True)
    analysis.raw.rename(tmp_path / "elsewhere")
    analysis.raw.mkdir()
    run = analysis.hcs("s01-cpu")
    analysis.raw.rmdir()
    (tmp_path / "elsewhere").rename(analysis.raw)
    survived(analysis, "The raw plate is an empty mount point", "execute", run, status=3,
             seen="hcs: The raw plate at … holds none of the files of well B02 that were indexed …", kept=0,
             then="mount it, run again")  # fmt: skip


def test_read_only(make, survived):
    """Nothing is written into a raw plate, nor into a configuration: a whole run needs no right to do so."""
    analysis = make(own_raw=True)
    folders = [path for top in (analysis.raw, analysis.folder / "config") for path in (top, *top.rglob("*"))]
    for path in folders:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for command in ("index", "compile", "s01-cpu", "s02-cpu", "collect", "verdict"):
        run = analysis.hcs(command, obey=True)
        assert run.status == 0, run.text
    survived(analysis, "Raw plate and configuration are read-only", "all", run, status=0, seen="3 of 3 wells done",
             kept=6, then="nothing")  # fmt: skip


@pytest.mark.parametrize(("name", "year"), [("Raw files from the future", 2090), ("Raw files from long ago", 1971)])
def test_clock_skew(make, survived, name, year):
    analysis = make(own_raw=True)
    for path in analysis.raw.rglob("*"):
        os.utime(path, (0, (year - 1970) * 365.25 * 86400))
    analysis.look()
    analysis.run(["index", "compile", "s01-cpu", "s02-cpu", "collect"])
    run = analysis.hcs("verdict")
    survived(analysis, name, "all", run, status=0, seen="3 of 3 wells done", kept=6, then="nothing")


def mend(path, whole):
    if path.exists():
        path.chmod(0o644)
    shutil.copy2(whole, path)
