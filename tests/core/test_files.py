import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hcs_lib.core.errors import MachineError, UserError
from hcs_lib.core.files import leftovers, locked, read_json, update_atomic, write_atomic, write_json


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in path.parent.iterdir()] == ["file.json"]


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_file_that_holds_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert update_atomic(path, b"1")
    os.utime(path, ns=(5, 5))
    assert not update_atomic(path, b"1")
    assert path.stat().st_mtime_ns == 5
    assert update_atomic(path, b"2")
    assert path.read_bytes() == b"2"


def test_json_is_read_back_and_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"b": 1, "a": [2]})
    assert path.read_bytes() == b'{"a":[2],"b":1}\n'
    assert read_json(path, "Plan") == {"a": [2], "b": 1}
    path.write_bytes(b'{"a":')
    with pytest.raises(UserError, match=r"file\.json: Plan cannot be read"):
        read_json(path, "Plan")
    with pytest.raises(UserError, match=r"none\.json: Plan not found"):
        read_json(tmp_path / "none.json", "Plan")


def test_what_a_writer_left_that_died_is_known_by_its_name(tmp_path: Path) -> None:
    dies = """
import os, pathlib, sys
from hcs_lib.core.files import write_atomic
os.fsync = lambda _: os._exit(9)
write_atomic(pathlib.Path(sys.argv[1]), b"new")
"""
    killed = subprocess.run([sys.executable, "-c", dies, tmp_path / "plan.json"], check=False)
    assert killed.returncode == 9
    for other in (".nfs00000000012345", ".DS_Store", ".plan.json", "plan.json.abcdefgh", ".collect.lock"):
        (tmp_path / other).touch()
    (left,) = leftovers(tmp_path)
    assert left.read_bytes() == b"new"


def test_a_lock_is_waited_for_and_ends_with_its_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "deep" / "lock"
    order = []

    def second() -> None:
        with locked(path, "it is busy.", 60):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(path, "it is busy.", 0):
        with pytest.raises(MachineError, match=r"deep: it is busy\. Wait for it"), locked(path, "it is busy.", 0):
            pass
        thread.start()
        while "Waiting for it." not in caplog.text:
            pass
        path.unlink()
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert path.exists()  # its own
