import errno
import hashlib
import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.canonical import canonical_json, digest, digest_file, digest_tree, measure_tree

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def shuffled(value: object) -> object:
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_changes_no_byte_and_nothing_is_lost(value: object) -> None:
    assert canonical_json(shuffled(value)) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value
    assert digest(shuffled(value)) == digest(value)


def test_bytes() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "µ"}) == '{"a":"µ","b":[1,2.5,null]}\n'.encode()
    assert digest({}) == "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": value})


def test_a_tree_is_digested_by_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"123")
    (tmp_path / "y").write_bytes(b"4567")
    before = digest_tree(tmp_path)
    assert (before.files, before.bytes) == (2, 7) == measure_tree(tmp_path)
    (tmp_path / "y").rename(tmp_path / "z")
    renamed = digest_tree(tmp_path)
    (tmp_path / "z").write_bytes(b"4568")
    assert len({before.digest, renamed.digest, digest_tree(tmp_path).digest}) == 3
    assert digest_file(tmp_path / "z") == hashlib.sha256(b"4568").hexdigest()
    assert measure_tree(tmp_path / "absent") == (0, 0)


def test_one_folder_at_the_top_of_a_tree_can_be_left_out(tmp_path: Path) -> None:
    for folder in ("labels", "other/labels"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x").write_bytes(b"123")
    assert measure_tree(tmp_path, "labels") == (1, 3)
    assert measure_tree(tmp_path) == (2, 6)
    assert digest_tree(tmp_path, "labels").digest == digest({"other/labels/x": hashlib.sha256(b"123").hexdigest()})


def test_a_tree_that_cannot_be_listed_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    scandir = os.scandir

    def fails(path: str) -> object:
        if str(path).endswith("/a"):
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fails)
    with pytest.raises(OSError, match="Input/output error"):
        measure_tree(tmp_path)
