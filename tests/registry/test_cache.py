import hashlib
import json
import os
import time

import pytest

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import MachineError
from hcs_lib.registry.cache import DamagedError, StaleError, read_library, write_library
from hcs_lib.registry.entry import FunctionEntry, Parameter

VERSIONS = {"toy": "1.0", "numpy": "2.4.6"}
ENTRY = FunctionEntry(
    id="toy.smooth", library="toy", version="1.0", memory_type="numpy", target="toy_functions:smooth",
    parameters=(Parameter("size", default=3),), accepts=(2, 3), coupling="mixes", returns="image",
    dtypes={"uint8": "float32"}, keeps_scale=True, uncouple={"axes": [-2, -1]},
)  # fmt: skip
OTHER = FunctionEntry(
    id="toy.a", library="toy", version="1.0", memory_type="numpy", target="toy_functions:a", excluded="needs argument b"
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "registry" / "toy.json"
    write_library(path, "toy", VERSIONS, [ENTRY, OTHER])
    return path


def test_what_is_written_is_read(path):
    assert read_library(path, "toy", VERSIONS) == {"toy.a": OTHER, "toy.smooth": ENTRY}


def test_the_order_of_entries_does_not_change_the_bytes(path, tmp_path):
    write_library(tmp_path / "again.json", "toy", VERSIONS, [OTHER, ENTRY])
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_absent(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_library(tmp_path / "toy.json", "toy", VERSIONS)


@pytest.mark.parametrize(
    "versions",
    [{"toy": "1.1", "numpy": "2.4.6"}, {"toy": "1.0", "numpy": "2.5"}, {"toy": "1.0"}, VERSIONS | {"probe": "2"}],
)
def test_other_versions(path, versions):
    with pytest.raises(StaleError, match="it is for"):
        read_library(path, "toy", versions)


def test_age(path):
    old = time.time() - 8 * 86_400
    os.utime(path, (old, old))
    assert read_library(path, "toy", VERSIONS)
    assert read_library(path, "toy", VERSIONS, max_age_days=9)
    with pytest.raises(StaleError, match="8 days old, more than 7"):
        read_library(path, "toy", VERSIONS, max_age_days=7)


def _seal(body):
    return body + b'"digest":"%s"}\n' % hashlib.sha256(body).hexdigest().encode()


def test_a_file_is_json_with_one_line_for_each_function(path):
    content = path.read_bytes()
    value = json.loads(content)
    assert {name: FunctionEntry.from_json(found) for name, found in value["functions"].items()} == {
        "toy.a": OTHER, "toy.smooth": ENTRY,
    }  # fmt: skip
    assert (value["library"], value["versions"]) == ("toy", VERSIONS)
    assert len(content.splitlines()) == 4
    assert content == _seal(content[: content.index(b'"digest"')])


def test_no_functions(path):
    write_library(path, "toy", VERSIONS, [])
    assert read_library(path, "toy", VERSIONS) == {}


@pytest.mark.parametrize(
    ("old", "new"), [(b'"accepts":[2,3]', b'"accepts":[2]'), (b'"toy":"1.0"', b'"toy":"1.1"'), (b"},\n", b"},")]
)
def test_changed_by_hand(path, old, new):
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(DamagedError, match="by hand"):
        read_library(path, "toy", VERSIONS)


def test_the_file_of_another_library(path):
    with pytest.raises(DamagedError, match="the file of toy"):
        read_library(path, "other", VERSIONS)


def test_another_layout_is_of_another_version_and_not_damaged(path):
    body = path.read_bytes().rpartition(b'"digest"')[0]
    path.write_bytes(_seal(body.replace(b'"schema_version":3', b'"schema_version":4')))
    with pytest.raises(StaleError, match=r"another version of hcs-workflow wrote it \(layout 4, here 3\)"):
        read_library(path, "toy", VERSIONS)
    # As version 2 wrote it: one line, sealed at its beginning.
    registry = {"functions": [ENTRY.to_json()], "library": "toy", "schema_version": 2, "versions": VERSIONS}
    path.write_bytes(canonical_json({"digest": "0" * 64, "registry": registry}))
    with pytest.raises(StaleError, match="layout 2, here 3"):
        read_library(path, "toy", VERSIONS)


def test_fields_that_entries_do_not_have(path):
    body = path.read_bytes().rpartition(b'"digest"')[0]
    path.write_bytes(_seal(body.replace(b'"coupling"', b'"colour"')))
    entries = read_library(path, "toy", VERSIONS)
    assert entries["toy.a"] == OTHER
    with pytest.raises(MachineError, match=r"toy.json: what it says of toy.smooth cannot be read .*colour"):
        entries["toy.smooth"]


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b'{"digest": 1, "registry": []}'])
def test_no_registry_file_at_all(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="not whole"):
        read_library(path, "toy", VERSIONS)


def test_truncated_anywhere(path):
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError):
            read_library(path, "toy", VERSIONS)


def test_a_folder_in_its_place(path):
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedError, match=r"cannot be read \(Is a directory\)"):
        read_library(path, "toy", VERSIONS)
