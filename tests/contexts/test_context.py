import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hcs_lib.contexts.context import Engine, FrozenContext, ImageMetadata, PlaneRef
from hcs_lib.contexts.plans import FunctionCall, FunctionPattern, StepPlan
from hcs_lib.core.canonical import digest
from hcs_lib.core.domains import Domain
from hcs_lib.core.errors import UserError

DOMAIN = Domain((1, 2), ("DNA",), (0,), (0,))


def plan(index: int, **facts: Any) -> StepPlan:
    call = FunctionCall(
        call="fake.blur", args={"sigma": [1.0, {"deep": [2]}]}, contract="PURE_2D", slice_by_slice=False,
        memory_type="numpy", dtypes=(), returns="image", special_inputs={}, special_outputs=(),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "step_index": index, "step_name": f"s{index}", "axis_id": "B02", "func_name": "fake.blur", "input": None,
        "domain": DOMAIN, "output_domain": DOMAIN, "stack": None, "group_by": None, "special_inputs": {},
        "special_outputs": {}, "input_path": "", "output_path": None, "zarr_store": None, "table": None,
        "read_backend": "raw", "write_backend": "memory", "keep": False, "input_memory_type": "numpy",
        "output_memory_type": "numpy", "returns": "image", "dtype": "uint16",
        "func": FunctionPattern(group_by=None, chain=(call,)), "gpu": 0,
    }  # fmt: skip
    return StepPlan(**(fields | facts))


def make_context(steps: int = 2, **facts: Any) -> FrozenContext:
    fields: dict[str, Any] = {
        "plate": "demo", "scope": "well", "axis_id": "B02", "stage": "s01-cpu",
        "engine": Engine(digest="e", versions={"numpy": "2"}), "threads": 1, "bad_planes": "fail",
        "plane_shape": (64, 80), "plane_dtype": "uint16",
        "metadata": ImageMetadata(
            pixel_size_um=0.5, z_spacing_um=None, channel_names=("DNA",), wavelengths_nm=(None,), colours=(None,),
            positions_um=(),
        ),
        "planes": (PlaneRef(site=1, channel="DNA", z=0, t=0, file="a.tif", page=0, size=9, mtime_ns=1, sha256=None),),
        "problems": (), "functions": (), "raw_store": None, "before": {}, "takes": (), "passes": (),
        "step_plans": {index: plan(index) for index in range(steps)},
        "step_state_map": {index: {"name": f"s{index}"} for index in range(steps)},
    }  # fmt: skip
    return FrozenContext(**(fields | facts))


def test_a_context_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    context = make_context()
    found = context.save(tmp_path / "B02.json")
    loaded = FrozenContext.load(tmp_path / "B02.json")
    assert loaded == context
    assert found == loaded.digest == context.digest == digest(context.to_json())
    assert loaded.step_plans[1].domain == DOMAIN


def test_the_file_is_canonical_and_stays_where_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "B02.json"
    make_context().save(path)
    before = path.stat().st_mtime_ns, path.read_bytes()
    make_context().save(path)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    value = json.loads(before[1])
    assert before[1] == json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert list(value["context"]["step_plans"]) == ["0", "1"]


def test_steps_keep_their_order_beyond_ten(tmp_path: Path) -> None:
    make_context(12).save(tmp_path / "B02.json")
    loaded = FrozenContext.load(tmp_path / "B02.json")
    assert list(loaded.step_plans) == list(loaded.step_state_map) == list(range(12))


def test_nothing_in_it_can_be_changed() -> None:
    context = make_context()
    with pytest.raises(ValidationError, match="frozen"):
        context.threads = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        context.step_plans[0].gpu = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        context.step_plans[2] = plan(2)
    with pytest.raises(TypeError):
        context.step_state_map[0]["name"] = "other"
    with pytest.raises(TypeError):
        context.step_plans[0].func.chain[0].args["sigma"] = 2
    with pytest.raises(TypeError):
        context.step_plans[0].func.chain[0].args["sigma"][1]["deep"] = 3
    with pytest.raises(AttributeError):
        context.step_plans[0].domain.site = (3,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file["context"].update(threads=2), "differs from its digest"),
        (lambda file: file.pop("context_digest"), "no context of schema 1"),
        (lambda file: file.pop("context"), "no context of schema 1"),
    ],
)
def test_what_was_tampered_with_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "B02.json"
    make_context().save(path)
    file = json.loads(path.read_bytes())
    change(file)
    path.write_text(json.dumps(file))
    with pytest.raises(UserError, match=message):
        FrozenContext.load(path)


@pytest.mark.parametrize("change", [{"more": 1}, {"plate": None}, {"step_plans": {"a": {}}}])
def test_another_schema_is_refused_even_with_a_right_digest(tmp_path: Path, change: dict[str, Any]) -> None:
    value = make_context().to_json() | change
    path = tmp_path / "B02.json"
    path.write_text(json.dumps({"context": value, "context_digest": digest(value)}))
    with pytest.raises(UserError, match=r"B02\.json: This is no context of schema 1.*Run `hcs compile`"):
        FrozenContext.load(path)


def test_a_pattern_routes_by_the_text_of_its_values() -> None:
    chain = plan(0).func.chain
    pattern = FunctionPattern(group_by="site", routes={"1": chain, "2": ()})
    assert pattern.chain_for(1) == chain
    assert pattern.chain_for(2) == ()
    assert FunctionPattern(group_by=None, chain=chain).chain_for("anything") == chain
