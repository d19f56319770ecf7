from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.errors import UserError
from hcs_lib.pipeline.located import parse_yaml, read_yaml

TEXT = """\
# a comment
name: x
steps:
  - name: a
    func: {call: f,
           args: {sigma: 1}}

  - name: b
"""


def test_every_value_knows_its_line() -> None:
    document = parse_yaml(TEXT, "p.yaml")
    assert document.where("name") == "p.yaml:2"
    assert document.where("steps") == "p.yaml:3"
    assert document.where("steps", 0, "func", "args", "sigma") == "p.yaml:6"
    assert document.where("steps", 1, "name") == "p.yaml:8"
    assert document.where("steps", 1, "func", "args") == "p.yaml:8"
    assert document.where("absent") == "p.yaml:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r"p\.yaml:3: The key 'a' stands on line 1 already"),
        ("a:\n  b: 1\n  b: 2\n", r"p\.yaml:3: The key 'b' stands on line 2 already"),
        ("a: [1\nb: 2", r"p\.yaml:2: This is no YAML"),
        ("a: 1\n\tb: 2", r"p\.yaml:2: This is no YAML"),
        ("a: !!python/object/apply:os.system ['true']", r"p\.yaml:1: This is no YAML: could not determine a constr"),
        ("&a [*a]", r"p\.yaml:1: An alias \(`\*`\) contains itself"),
        ("a: 2020-99-01", "month must be in"),
        ("? [1, 2]\n: 3", "unhashable key"),
        ("--- 1\n--- 2", "another document"),
        ("a: \x00", "special characters"),
    ],
)
def test_what_is_no_yaml(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_yaml(text, "p.yaml")


def test_aliases_that_unfold_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UserError, match="unfolds into too many values"):
        parse_yaml("\n".join(lines), "p.yaml")


def test_anchors_and_merges_work() -> None:
    document = parse_yaml("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", "p.yaml")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"none\.yaml: The file does not exist"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    with pytest.raises(UserError, match=r"latin\.yaml: The file cannot be read"):
        read_yaml(tmp_path / "latin.yaml")
    (tmp_path / "p.yaml").write_text("a: µ")
    assert read_yaml(tmp_path / "p.yaml").where("a") == "p.yaml:1"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    message = ""
    try:
        parse_yaml(text, "p.yaml")
    except UserError as error:
        message = str(error)
    assert message == "" or message.startswith("p.yaml")
