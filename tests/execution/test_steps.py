"""Single steps: stacking, routing, special inputs and outputs, what functions may give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hcs_lib.contexts.plans import FunctionPattern, LinkedInput, StepPlan
from hcs_lib.contexts.values import Value, Wiring, calls_of
from hcs_lib.core.domains import Coordinates, Domain
from hcs_lib.core.errors import DataError, MachineError
from hcs_lib.execution.patterns import prepare_patterns_and_functions
from hcs_lib.execution.steps import Steps
from hcs_lib.registry.execute import ContractExecution

DOMAIN = Domain((1, 2), ("DNA", "GFP"), (1, 2, 3), (1,))
Array = np.ndarray[Any, Any]


class Library(ContractExecution):
    """The contracts as libraries of NumPy arrays keep them."""

    def stack(self, slices: Any) -> Any:
        return np.stack(slices)


class Bound:
    """A plain function, bound as the registry binds one."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.registry = Library()


def raw(value: Value) -> Array:
    """Return a plane 4 × 5 whose every pixel says where it stands."""
    site, channel, z, _ = value.at
    assert isinstance(site, int)
    assert z is not None
    return np.full((4, 5), 100 * site + 10 * (channel == "GFP") + z, np.uint16)


class Ran:
    """What the calls of steps gave, everything still there."""

    def __init__(self, plans: dict[int, StepPlan]) -> None:
        self.plans = plans
        self.wiring = Wiring(plans)
        self.held: dict[Value, Any] = {}
        self.counts: dict[int, dict[Any, int]] = {index: {} for index in plans}
        self.warnings: list[str] = []

    def image(self, step: int, at: Coordinates) -> Any:
        return self.held[self.wiring.image(step, at)]

    def named(self, step: int, name: str) -> list[Any]:
        return [self.held[self.wiring.named(step, name, at)] for at in calls_of(self.plans[step])]


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Run steps one after another for all their calls; functions are given by name."""

    def run_all(functions: dict[str, Callable[..., Any]], *plans: StepPlan) -> Ran:
        ran = Ran({plan.step_index: plan for plan in plans})
        bound: Any = {f"test.{name}": Bound(func) for name, func in functions.items()}
        steps = Steps(ran.wiring, bound, Path())
        for plan in plans:
            for at in calls_of(plan):
                if plan.input is None:
                    ran.held |= {value: raw(value) for value in ran.wiring.images(plan, at)}
                result = steps.run(plan, at, ran.held)
                ran.held |= result.values
                ran.warnings += result.warnings
                for key, count in result.counts.items():
                    ran.counts[plan.step_index][key] = ran.counts[plan.step_index].get(key, 0) + count
        return ran

    return run_all


def test_stacked_axis_leads_and_others_stay_apart(run: Any, plan_step: Any, plan_call: Any) -> None:
    seen = []

    def project(stack: Array) -> Array:
        seen.append(stack[:, 0, 0].tolist())
        return stack.max(axis=0)

    plan = plan_step(0, "project", (plan_call("test:project", contract="VOLUMETRIC_TO_SLICE"),), DOMAIN, stack="z")
    values = run({"project": project}, plan)
    assert seen == [[101, 102, 103], [111, 112, 113], [201, 202, 203], [211, 212, 213]]
    assert values.image(0, Coordinates(2, "GFP", None, 1))[0, 0] == 213


def test_volume_that_comes_out_is_planes_again(run: Any, plan_step: Any, plan_call: Any) -> None:
    chain = (plan_call("test:negate", contract="FLEXIBLE"),)
    plan = plan_step(0, "negate", chain, DOMAIN, stack="z", output_domain=DOMAIN)
    values = run({"negate": lambda stack: 1000 - stack.astype(int)}, plan)
    assert values.image(0, Coordinates(1, "DNA", 3, 1))[0, 0] == 1000 - 103


def test_function_cannot_change_what_others_read(run: Any, plan_step: Any, plan_call: Any) -> None:
    def spoil(image: Array) -> Array:
        image[:] = 0
        return image

    domain = DOMAIN.replace(site=(1,), z=(1,))
    first = plan_step(0, "copy", (plan_call("test:copy"),), domain)
    spoiling = plan_step(1, "spoil", (plan_call("test:spoil"),), domain, input=0)
    last = plan_step(2, "again", (plan_call("test:copy"),), domain, input=0)
    values = run({"copy": lambda image: image + 0, "spoil": spoil}, first, spoiling, last)
    assert values.image(2, Coordinates(1, "DNA", 1, 1))[0, 0] == 101


def test_chain_passes_on_and_arguments_arrive(run: Any, plan_step: Any, plan_call: Any) -> None:
    chain = (plan_call("test:add", value=5), plan_call("test:scale", factors=(2, 3), names={"a": ("x",)}))

    def scale(image: Array, *, factors: tuple[int, int], names: dict[str, Any]) -> Array:
        assert type(factors) is tuple
        assert names == {"a": ("x",)}
        assert type(names) is dict
        return image * factors[0] * factors[1]

    domain = DOMAIN.replace(site=(1,), channel=("DNA",), z=(1,))
    values = run({"add": lambda image, value: image + value, "scale": scale}, plan_step(0, "s", chain, domain))
    assert values.image(0, Coordinates(1, "DNA", 1, 1))[0, 0] == (101 + 5) * 6


def test_routing_by_component(run: Any, plan_step: Any, plan_call: Any) -> None:
    routes = {"DNA": (plan_call("test:add", value=1),), "GFP": (plan_call("test:add", value=2),)}
    pattern = FunctionPattern(group_by="channel", routes=routes)
    domain = DOMAIN.replace(z=(1,))
    plan = plan_step(0, "route", routes["DNA"], domain, group_by="channel", func=pattern)
    groups = prepare_patterns_and_functions(plan, list(domain))
    assert [(group.component, [at.site for at in group.calls]) for group in groups] == [
        ("DNA", [1, 2]),
        ("GFP", [1, 2]),
    ]
    assert [group.chain for group in groups] == [routes["DNA"], routes["GFP"]]
    values = run({"add": lambda image, value: image + value}, plan)
    assert values.image(0, Coordinates(2, "DNA", 1, 1))[0, 0] == 202
    assert values.image(0, Coordinates(2, "GFP", 1, 1))[0, 0] == 213


@pytest.mark.parametrize(("axis", "values"), [("site", (1, 2)), ("z", (1, 2, 3)), ("t", (1, 4))])
def test_routing_by_other_components(
    run: Any, plan_step: Any, plan_call: Any, axis: str, values: tuple[int, ...]
) -> None:
    domain = Domain((1,), ("DNA",), (1,), (1,)).replace(**{axis: values})
    routes = {str(value): (plan_call("test:add", value=1000 * value),) for value in values}
    pattern = FunctionPattern(group_by=axis, routes=routes)  # type: ignore[arg-type]
    plan = plan_step(0, "route", routes[str(values[0])], domain, group_by=axis, func=pattern)
    ran = run({"add": lambda image, value: image + value}, plan)
    for at in domain:
        before = 100 * (at.site or 0) + (at.z or 0)
        assert ran.image(0, at)[0, 0] == before + 1000 * getattr(at, axis)


def labelling(plan_step: Any, plan_call: Any, domain: Domain, name: str = "nuclei", index: int = 0) -> StepPlan:
    chain = (plan_call("test:label", returns="labels"),)
    return plan_step(index, name, chain, domain, special_outputs={"labels": name})  # type: ignore[no-any-return]


def label(image: Array) -> Array:
    """Two objects, the second of them numbered by where the plane stands."""
    labels = np.zeros(image.shape, np.int64)
    labels[0] = 1
    labels[1] = int(image[0, 0])
    return labels


def test_labels_of_one_channel_serve_every_call_of_their_site(run: Any, plan_step: Any, plan_call: Any) -> None:
    domain = DOMAIN.replace(z=(1,))
    nuclei = labelling(plan_step, plan_call, domain.replace(channel=("DNA",)))
    cells = labelling(plan_step, plan_call, domain.replace(channel=("GFP",)), "cells", 1)
    links = {"labels": (LinkedInput(name="nuclei", producer=0), LinkedInput(name="cells", producer=1))}
    use = plan_call("test:use").model_copy(update={"special_inputs": {"labels": ("cells", "nuclei")}})
    seen = []

    def measure(stack: Array, labels: dict[str, Array]) -> dict[str, Any]:
        seen.append((stack[:, 0, 0].tolist(), {name: int(plane.max()) for name, plane in labels.items()}, list(labels)))
        return {"n": [1]}

    plan = plan_step(
        2,
        "measure",
        (use.model_copy(update={"returns": "table", "contract": "FLEXIBLE"}),),
        domain,
        stack="channel",
        special_inputs=links,
        special_outputs={"table": "objects"},
        returns="table",
    )
    values = run({"label": label, "use": measure}, nuclei, cells, plan)
    assert seen == [
        ([101, 111], {"cells": 111, "nuclei": 101}, ["cells", "nuclei"]),
        ([201, 211], {"cells": 211, "nuclei": 201}, ["cells", "nuclei"]),
    ]
    assert values.counts[0] == {("nuclei", 1): 2, ("nuclei", 2): 2}
    assert values.named(2, "objects") == [{"n": [1]}, {"n": [1]}]


def test_values_are_stacked_along_a_stacked_axis(run: Any, plan_step: Any, plan_call: Any) -> None:
    domain = DOMAIN.replace(channel=("DNA",))
    nuclei = labelling(plan_step, plan_call, domain)
    seen = []

    def use(stack: Array, labels: Array) -> Array:
        seen.append((stack[:, 0, 0].tolist(), labels[:, 1, 0].tolist(), labels.dtype.name))
        return stack[0]

    call = plan_call("test:use", contract="VOLUMETRIC_TO_SLICE").model_copy(
        update={"special_inputs": {"labels": "nuclei"}}
    )
    links = {"labels": (LinkedInput(name="nuclei", producer=0),)}
    plan = plan_step(1, "use", (call,), domain, stack="z", special_inputs=links)
    run({"label": label, "use": use}, nuclei, plan)
    assert seen == [([101, 102, 103], [101, 102, 103], "int32"), ([201, 202, 203], [201, 202, 203], "int32")]


def test_special_outputs_travel(run: Any, plan_step: Any, plan_call: Any) -> None:
    domain = DOMAIN.replace(z=(1,), channel=("DNA",))
    find = plan_call("test:find").model_copy(update={"special_outputs": ("positions",)})
    first = plan_step(0, "find", (find, plan_call("test:copy")), domain, special_outputs={"positions": "where"})
    take = plan_call("test:take").model_copy(update={"special_inputs": {"positions": "where"}})
    links = {"positions": (LinkedInput(name="where", producer=0),)}
    second = plan_step(1, "take", (take,), domain, input=0, special_inputs=links)
    functions = {
        "find": lambda image: (image + 1, [int(image[0, 0])]),
        "copy": lambda image: image,
        "take": lambda image, positions: image + positions[0],
    }
    values = run(functions, first, second)
    assert values.image(1, Coordinates(2, "DNA", 1, 1))[0, 0] == 202 + 201


@pytest.mark.parametrize(
    ("result", "returns", "message"),
    [
        (lambda image: image[0], "image", "5 uint16, expected a plane"),
        (lambda image: 3.0, "image", "a float, expected a plane"),
        (lambda image: None, "labels", "a NoneType, expected a plane"),
        (lambda image: image > 0, "labels", "4 × 5 bool, expected a plane of 4 × 5 integers"),
        (lambda image: image[:2].astype(int), "labels", "2 × 5 int64, expected a plane of 4 × 5"),
        (lambda image: -image.astype(int), "labels", "reach from -101 to -101"),
        (lambda image: image.astype(np.int64) << 40, "labels", "expected 0 … 2³¹ - 1"),
        (lambda image: {"a": [1], "b": [1, 2]}, "table", "columns of 1, 2 rows"),
        (lambda image: {"a": [[1, 2]]}, "table", "columns of 1 × 2 rows"),
        (lambda image: [1, 2], "table", "a list, expected columns"),
        (lambda image: {}, "table", "a dict, expected columns"),
    ],
)
def test_results_that_are_not_what_was_planned(
    run: Any, plan_step: Any, plan_call: Any, result: Callable[[Array], Any], returns: str, message: str
) -> None:
    domain = DOMAIN.replace(site=(1,), channel=("DNA",), z=(1,))
    outputs = {returns: "x"} if returns != "image" else {}
    plan = plan_step(0, "odd", (plan_call("test:odd", returns=returns),), domain, special_outputs=outputs)
    with pytest.raises(DataError, match=message) as caught:
        run({"odd": result}, plan)
    assert (caught.value.kind, caught.value.site, caught.value.step) == ("output", 1, "odd")


def test_special_outputs_that_are_missing(run: Any, plan_step: Any, plan_call: Any) -> None:
    call = plan_call("test:odd").model_copy(update={"special_outputs": ("positions",)})
    with pytest.raises(DataError, match="expected a tuple of its result and positions"):
        run({"odd": lambda image: image}, plan_step(0, "odd", (call,), DOMAIN))


def test_errors_of_functions_are_told_apart(run: Any, plan_step: Any, plan_call: Any) -> None:
    plan = plan_step(0, "odd", (plan_call("test:odd"),), DOMAIN)

    def raising(error: BaseException) -> Callable[[Array], Array]:
        def odd(image: Array) -> Array:
            raise error

        return odd

    with pytest.raises(
        DataError, match=r"step odd \(site 1, channel DNA, z 1, t 1\): test.odd raised KeyError: 'a'"
    ) as caught:
        run({"odd": raising(KeyError("a"))}, plan)
    assert (caught.value.kind, caught.value.site, caught.value.step) == ("function", 1, "odd")
    with pytest.raises(DataError, match="FileNotFoundError"):
        run({"odd": raising(FileNotFoundError(2, "no model"))}, plan)
    for error in (MemoryError(), MachineError("no GPU"), OSError(28, "No space left on device"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run({"odd": raising(error)}, plan)


def test_memory_of_a_device_that_runs_out_is_tried_once_more(run: Any, plan_step: Any, plan_call: Any) -> None:
    exhausted = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})
    plan = plan_step(0, "odd", (plan_call("test:odd"),), DOMAIN)
    calls = []

    def once(image: Array) -> Array:
        calls.append(image[0, 0])
        if len(calls) == 1:
            raise exhausted("CUDA out of memory.")
        return image + 1

    values = run({"odd": once}, plan)
    assert calls[0] == calls[1] == 101
    assert len(calls) == 13
    assert values.image(0, Coordinates(1, "DNA", 1, 1))[0, 0] == 102

    def always(image: Array) -> Array:
        raise exhausted("CUDA out of memory.")

    with pytest.raises(MachineError, match=r"test\.odd: the memory of the device .* image of 4 × 5 uint16, 40 bytes"):
        run({"odd": always}, plan)


def test_dtypes_that_a_function_was_not_found_to_take_are_refused(run: Any, plan_step: Any, plan_call: Any) -> None:
    chain = (plan_call("test:halve"), plan_call("test:rank", dtypes=("uint16", "uint8")))
    plan = plan_step(0, "rank", chain, DOMAIN)
    with pytest.raises(
        DataError, match=r"step rank \(site 1, .*\): test\.rank does not take float64\. It takes uint16, uint8\."
    ):
        run({"halve": lambda image: image / 2, "rank": lambda image: image}, plan)
    run({"halve": lambda image: image // 2, "rank": lambda image: image}, plan)


def test_warnings_of_functions_are_kept(run: Any, plan_step: Any, plan_call: Any) -> None:
    def warn(image: Array) -> Array:
        warnings.warn("few objects", stacklevel=1)
        return image

    values = run({"warn": warn}, plan_step(0, "w", (plan_call("test:warn"),), DOMAIN.replace(site=(1,), z=(1,))))
    assert values.warnings == ["step w: few objects"] * 2


def test_what_nobody_else_takes_is_given_away_and_the_rest_copied(plan_step: Any, plan_call: Any) -> None:
    domain = DOMAIN.replace(site=(1,), channel=("DNA",))
    alone = domain.replace(z=(1,))
    seen: list[Array] = []

    def look(image: Array) -> Array:
        seen.append(image)
        return image + 1

    chain = (plan_call("test:look", contract="FLEXIBLE"),)
    one, stacked = plan_step(0, "one", chain, alone), plan_step(1, "stacked", chain, domain, stack="z")
    wiring = Wiring({0: one, 1: stacked})
    bound: Any = {"test.look": Bound(look)}
    planes = {value: raw(value) for value in wiring.images(stacked, Coordinates(1, "DNA", None, 1))}
    held = dict(planes)
    first, *others = held
    Steps(wiring, bound, Path()).run(one, first.at, held)
    assert seen[-1] is not planes[first]
    Steps(wiring, bound, Path()).run(one, first.at, held, last=frozenset({first}))
    assert seen[-1] is planes[first]
    assert set(held) == {*others}
    held[first] = planes[first]
    # A stack gives up its planes one by one, but for those that are needed later.
    result = Steps(wiring, bound, Path())
    with pytest.raises(DataError, match="expected a plane"):
        result.run(stacked, Coordinates(1, "DNA", None, 1), held, last=frozenset(others))
    assert seen[-1][:, 0, 0].tolist() == [101, 102, 103]
    assert set(held) == {first}
    read_only = raw(first)
    read_only.flags.writeable = False
    held[first] = read_only
    Steps(wiring, bound, Path()).run(one, first.at, held, last=frozenset({first}))
    assert seen[-1].flags.writeable


def test_special_outputs_lie_in_memory_of_their_own(run: Any, plan_step: Any, plan_call: Any) -> None:
    domain = DOMAIN.replace(site=(1,), channel=("DNA",), z=(1,))
    both = plan_call("test:both").model_copy(update={"special_outputs": ("corrected",)})
    plan = plan_step(0, "both", (both,), domain, special_outputs={"corrected": "flat"})
    values = run({"both": lambda image: (image, image)}, plan)
    image, (flat,) = values.image(0, Coordinates(1, "DNA", 1, 1)), values.named(0, "flat")
    assert not np.may_share_memory(image, flat)
    np.testing.assert_array_equal(image, flat)


@pytest.mark.torch
def test_torch_computes_on_the_gpu_of_a_step_that_asks_for_one(run: Any, plan_step: Any, plan_call: Any) -> None:
    import torch

    domain = DOMAIN.replace(site=(1,), channel=("DNA",), z=(1,))
    seen = []

    def double(image: Any) -> Any:
        seen.append(image.device.type)
        return image * 2

    chain = (plan_call("test:double").model_copy(update={"memory_type": "torch"}),)
    run({"double": double}, plan_step(0, "s", chain, domain))
    assert seen == ["cpu"]
    held = plan_step(0, "s", chain, domain, gpu=1)
    if torch.cuda.is_available():
        run({"double": double}, held)
        assert seen == ["cpu", "cuda"]
    else:
        # Never a silent fallback.
        with pytest.raises(MachineError, match="no device cuda here"):
            run({"double": double}, held)
