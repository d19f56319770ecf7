from typing import Any

import pytest
from pydantic import ValidationError

from hcs_lib.core.frozen import Frozen, FrozenDict, FrozenJson, freeze, thaw


class Sample(Frozen):
    numbers: tuple[int, ...]
    args: FrozenDict
    any: FrozenJson


def test_nothing_inside_can_be_changed() -> None:
    given: dict[str, Any] = {"a": [1, {"b": [2]}]}
    sample = Sample(numbers=(1,), args=given, any=[{"c": 1}])
    with pytest.raises(ValidationError, match="frozen"):
        sample.numbers = (2,)  # type: ignore[misc]
    with pytest.raises(TypeError):
        sample.args["a"] = 1
    with pytest.raises(TypeError):
        sample.args["a"][1]["b"] = 1
    with pytest.raises(TypeError):
        sample.any[0]["c"] = 2
    given["a"].append(3)
    assert sample.model_dump(mode="json") == {"numbers": [1], "args": {"a": [1, {"b": [2]}]}, "any": [{"c": 1}]}


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Sample(numbers=(), args={}, any=None, more=1)  # type: ignore[call-arg]


def test_thaw_undoes_freeze() -> None:
    value = {"a": [1, [2, {"b": None}]], "c": "text"}
    assert thaw(freeze(value)) == value
