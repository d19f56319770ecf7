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
        (function_not_listed, "not among the functions"),
        (function_of_no_library, "os"),
        (function_outside_its_library, "os:system"),
        (input_that_does_not_exist, "not before it"),
        (input_from_later, "not before it"),
        (planes_not_named, "does not name"),
        (output_of_nothing, "nothing gives its output"),
        (site_without_group, "no group for its sites 2"),
        (unknown_key, "no context of schema 1"),
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
