"""Which wells were done alike, and how the others differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.core.canonical import digest
from hcs_lib.provenance.calls import CallRecord, Functions, calls_of
from hcs_lib.provenance.runs import WellRun


@dataclass(frozen=True, slots=True)
class Protocol:
    """What was done alike to some wells; the first of them stands for all."""

    wells: tuple[str, ...]
    model: WellRun


def protocols_of(runs: Sequence[WellRun]) -> list[Protocol]:
    """Group wells by what was done to them, whichever planes and sites they have; the largest group first."""
    groups: dict[tuple[str, ...], list[WellRun]] = {}
    for run in sorted(runs, key=lambda run: -len(run.contexts)):
        stages = tuple(digest([_common(context), _steps(context)]) for context in run.contexts)
        # A stage that a well did not reach makes no protocol of its own.
        same = next((other for other in groups if other[: len(stages)] == stages), stages)
        groups.setdefault(same, []).append(run)
    ordered = sorted(groups.values(), key=len, reverse=True)
    return [Protocol(tuple(run.well for run in group), group[0]) for group in ordered]


def _common(context: FrozenContext) -> dict[str, Any]:
    value = context.to_json()
    kept = ("stage", "engine", "threads", "bad_planes", "plane_shape", "plane_dtype", "functions")
    metadata = {name: value["metadata"][name] for name in ("pixel_size_um", "z_spacing_um", "channel_names")}
    return {name: value[name] for name in kept} | {"metadata": metadata}


def _steps(context: FrozenContext) -> dict[str, Any]:
    return {plan.step_name: _step(plan) for plan in context.step_plans.values()}


def _step(plan: StepPlan) -> dict[str, Any]:
    """Return a step without what is of one well: its paths, its sites."""
    value = plan.model_dump(mode="json")
    kept = ("input", "stack", "group_by", "func", "special_inputs", "special_outputs", "keep", "returns", "dtype")
    return {name: value[name] for name in kept} | {"channels": value["domain"]["channel"]}


def differences(main: Protocol, other: Protocol, functions: Functions) -> Iterator[str]:
    """Yield how the steps of other wells differ from those of the main protocol, a sentence each."""
    ours = {plan.step_name: (context, plan) for context, plan in main.model.steps()}
    theirs = {plan.step_name: (context, plan) for context, plan in other.model.steps()}
    for name in [name for name in ours if name not in theirs]:
        yield f"step *{name}* was not executed"
    for name in [name for name in theirs if name not in ours]:
        yield f"step *{name}* was executed in addition ({', '.join(_names(*theirs[name]))})"
    for name in [name for name in ours if name in theirs]:
        yield from _step_differences(name, ours[name], theirs[name], functions)
    for left, right in zip(main.model.contexts, other.model.contexts, strict=False):
        if left.engine != right.engine:
            yield f"the engine was {right.engine.digest[:12]} instead of {left.engine.digest[:12]}"
        for what in ("plane_shape", "plane_dtype", "bad_planes", "threads"):
            if getattr(left, what) != getattr(right, what):
                yield f"{what} was {getattr(right, what)} instead of {getattr(left, what)}"


def _names(_: FrozenContext, plan: StepPlan) -> list[str]:
    chains = [plan.func.chain] if plan.func.group_by is None else list(plan.func.routes.values())
    return list(dict.fromkeys(f"`{call.call}`" for chain in chains for call in chain))


def _step_differences(
    name: str, ours: tuple[FrozenContext, StepPlan], theirs: tuple[FrozenContext, StepPlan], functions: Functions
) -> Iterator[str]:
    if _step(ours[1]) == _step(theirs[1]) and ours[0].functions == theirs[0].functions:
        return
    one, other = list(calls_of(*ours, functions)), list(calls_of(*theirs, functions))
    if [(call.route, call.call.call) for call in one] != [(call.route, call.call.call) for call in other]:
        yield f"step *{name}* called {', '.join(_names(*theirs))} instead of {', '.join(_names(*ours))}"
        return
    told = False
    for left, right in zip(one, other, strict=True):
        for text in _argument_differences(left, right, theirs[0].metadata.pixel_size_um):
            told = True
            yield f"in step *{name}*, {text}"
    if not told:
        yield f"step *{name}* had other inputs, outputs or channels"


def _argument_differences(left: CallRecord, right: CallRecord, pixel_size_um: float | None) -> Iterator[str]:
    if left.reference.version != right.reference.version:
        yield f"`{left.call.call}` was of version {right.reference.version} instead of {left.reference.version}"
    usual: Mapping[str, Any] = {argument.name: argument for argument in left.arguments}
    for argument in right.arguments:
        before = usual.get(argument.name)
        if before is None or before.value != argument.value:
            was = f" instead of {before.text(pixel_size_um)}" if before else ""
            yield f"`{argument.name}` was {argument.text(pixel_size_um)}{was}"
