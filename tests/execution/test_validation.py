"""Contexts from strangers: refused before anything is read, written or called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import write_json
from hcs_lib.execution.execute import execute_well


def change_file(context: dict[str, Any]) -> None:
    context["planes"][0]["file"] = "../outside.tif"


def absolute_file(context: dict[str, Any]) -> None:
    context["planes"][0]["file"] = "/etc/passwd"


def store_outside(context: dict[str, Any]) -> None:
    context["raw_store"]["path"] = "../other.zarr"


def group_of_another_well(context: dict[str, Any]) -> None:
    context["raw_store"]["groups"]["1"] = "B/02/1"


def group_outside(context: dict[str, Any]) -> None:
    context["raw_store"]["groups"]["1"] = "A/01/../../../../x"


def label_outside(context: dict[str, Any]) -> None:
    context["step_plans"]["0"]["zarr_store"]["label"] = "../../x"


def table_over_the_plan(context: dict[str, Any]) -> None:
    context["step_plans"]["1"]["table"]["path"] = "plan.json"


def plate_outside(context: dict[str, Any]) -> None:
    context["plate"] = "../demo"


def no_colour(context: dict[str, Any]) -> None:
    context["metadata"]["colours"][0] = "red"


def too_many_threads(context: dict[str, Any]) -> None:
    context["threads"] = 10**9


def another_well(context: dict[str, Any]) -> None:
    context["axis_id"] = "B02"


def function_not_listed(context: dict[str, Any]) -> None:
    context["functions"] = context["functions"][:1]


def function_of_no_library(context: dict[str, Any]) -> None:
    context["functions"][0] |= {"library": "os", "target": "os:system"}


def function_outside_its_library(context: dict[str, Any]) -> None:
    context["functions"][0]["target"] = "os:system"


def input_that_does_not_exist(context: dict[str, Any]) -> None:
    context["step_plans"]["1"]["input"] = 7


def input_from_later(context: dict[str, Any]) -> None:
    context["step_plans"]["0"]["input"] = 1


def planes_not_named(context: dict[str, Any]) -> None:
    context["planes"] = [plane for plane in context["planes"] if plane["channel"] != "DNA"]


def output_of_nothing(context: dict[str, Any]) -> None:
    context["step_plans"]["0"]["special_outputs"]["positions"] = "p"


def site_without_group(context: dict[str, Any]) -> None:
    del context["step_plans"]["0"]["zarr_store"]["groups"]["2"]


def array_of_no_chunks(context: dict[str, Any]) -> None:
    context["raw_store"]["array"]["chunks"] = [1, 0, 0]


def array_larger_than_any(context: dict[str, Any]) -> None:
    context["raw_store"]["array"]["shape"] = [2, 2**40, 2**40]


def planes_without_end(context: dict[str, Any]) -> None:
    for axis in ("z", "t"):
        context["step_plans"]["0"]["domain"][axis] = list(range(10_000))


def values_of_no_axis(context: dict[str, Any]) -> None:
    context["step_plans"]["0"]["domain"]["site"] = [{"site": 1}]


def future_schema(context: dict[str, Any]) -> None:
    context["schema_version"] = 2


def file_outside(context: dict[str, Any]) -> None:
    args = context["step_plans"]["0"]["func"]["chain"][0]["args"]
    args["model"] = {"lazy": "json", "name": "x", "sha256": "../../secret"}


def file_that_is_run(context: dict[str, Any]) -> None:
    args = context["step_plans"]["0"]["func"]["chain"][0]["args"]
    args["model"] = {"lazy": "pickle", "name": "x", "sha256": "0" * 64}


def unknown_key(context: dict[str, Any]) -> None:
    context["step_plans"]["0"]["callable"] = "exec"


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (change_file, "does not lie within the raw plate"),
        (absolute_file, "does not lie within the raw plate"),
        (store_outside, "not one in the plate's results"),
        (group_of_another_well, "not one of this well"),
        (group_outside, "not one of this well"),
        (label_outside, "no name of a label image"),
        (table_over_the_plan, "not where tables of this well belong"),
        (plate_outside, "no proper name"),
        (another_well, "belongs"),
        (no_colour, "a channel's colour is none"),
        (too_many_threads, "asks for 1000000000 threads, expected 1 to 1024"),
        (function_not_listed, "not among the functions"),
        (function_of_no_library, "os"),
        (function_outside_its_library, "os:system"),
        (input_that_does_not_exist, "not before it"),
        (input_from_later, "not before it"),
        (planes_not_named, "does not name"),
        (output_of_nothing, "nothing gives its output"),
        (site_without_group, "no group for its sites 2"),
        (unknown_key, "no context of schema 1"),
        (array_of_no_chunks, "none that images are written as"),
        (array_larger_than_any, "none that images are written as"),
        (planes_without_end, "has more than 10000000 planes"),
        (values_of_no_axis, "site has values that are none"),
        (future_schema, "The context is of schema 2, and this version of hcs reads 1. Run `hcs compile` again, or"),
        (file_outside, "is no reference to a file: String should match"),
        (file_that_is_run, "is no reference to a file: Input should be 'json' or 'npz'"),
    ],
)
def test_forged_context_is_refused(bench: Any, forge: Callable[[dict[str, Any]], None], message: str) -> None:
    path: Path = bench.context_path("A01")
    document = json.loads(path.read_bytes())
    forge(document["context"])
    # With a digest that holds: only what it says is wrong.
    write_json(path, {"context": document["context"], "context_digest": digest(document["context"])})
    before = sorted(bench.folder.rglob("*"))
    with pytest.raises(UserError, match=message):
        execute_well(path)
    assert sorted(bench.folder.rglob("*")) == before


def test_a_million_steps_are_refused_before_any_is_looked_at(bench: Any) -> None:
    path: Path = bench.context_path("A01")
    context = json.loads(path.read_bytes())["context"]
    context["step_plans"] = dict.fromkeys(map(str, range(1_000_000)))
    path.write_text(json.dumps({"context": context, "context_digest": "never computed"}))
    with pytest.raises(UserError, match="The context has 1000000 steps; more than 1000 are not executed"):
        execute_well(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        "[1, 2]",
        "{}",
        '{"context": null}',
        '{"context": {"schema_version": 1, "step_plans": [], "x": NaN}, "context_digest": ""}',
        '{"context": {"schema_version": 1, "step_plans": {}, "x": "\\ud800"}, "context_digest": ""}',
    ],
    ids=["deep", "list", "empty", "null", "nan", "surrogate"],
)
def test_what_is_no_context_is_refused_in_words(bench: Any, text: str) -> None:
    path: Path = bench.context_path("A01")
    path.write_text(text)
    with pytest.raises(UserError, match=r"A01\.json: (This is no context|Context .* cannot be read)") as caught:
        execute_well(path)
    assert "Error" not in str(caught.value)


def test_wrong_digest_is_refused(bench: Any) -> None:
    path: Path = bench.context_path("A01")
    path.write_bytes(path.read_bytes().replace(b'"connectivity":1', b'"connectivity":2'))
    with pytest.raises(UserError, match="differs from its digest"):
        execute_well(path)


def test_all_problems_are_told_at_once(bench: Any) -> None:
    path: Path = bench.context_path("A01")
    document = json.loads(path.read_bytes())
    for forge in (change_file, table_over_the_plan, function_not_listed):
        forge(document["context"])
    write_json(path, {"context": document["context"], "context_digest": digest(document["context"])})
    with pytest.raises(UserError) as caught:
        execute_well(path)
    assert len(caught.value.problems) == 3
