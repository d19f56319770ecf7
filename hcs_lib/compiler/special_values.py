"""Named values that travel between steps: registered by the step that makes them, linked to those that take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hcs_lib.compiler.draft import DraftCall, DraftContext, DraftStep
from hcs_lib.compiler.overrides import ResolvedStep
from hcs_lib.contexts.plans import LinkedInput
from hcs_lib.core.domains import AXES, Domain
from hcs_lib.core.errors import nearest


@dataclass(frozen=True, slots=True)
class Named:
    """A named value: who makes it, and where: at planes (labels), or at calls."""

    producer: int
    domain: Domain


def link_special_inputs(context: DraftContext, plan: DraftStep, names: dict[str, Named]) -> None:
    """Link the `inputs` of a step to the earlier steps that name them."""
    declared = {name for call in plan.calls if call.entry for name in call.entry.special_inputs}
    for parameter, given in plan.source.model.inputs.items():
        if parameter not in declared:
            if all(call.entry for call in plan.calls):
                hint = nearest(parameter, declared) or (
                    f"Special inputs are {', '.join(sorted(declared))}." if declared else "It has no special inputs."
                )
                context.problem(plan.source, ("inputs", parameter), f"no function takes '{parameter}'.", hint)
            continue
        wanted = [given] if isinstance(given, str) else given
        links = [_link(context, plan, parameter, name, names) for name in wanted]
        _check_one_for_all_channels(context, plan, parameter, wanted, names)
        plan.special_inputs[parameter] = tuple(link for link in links if link is not None)
        for call in plan.calls:
            if call.entry and parameter in call.entry.special_inputs:
                call.special_inputs[parameter] = _one_or_many(context, plan, call, parameter, given)


def _check_one_for_all_channels(
    context: DraftContext, plan: DraftStep, parameter: str, wanted: Sequence[str], names: dict[str, Named]
) -> None:
    """A function made for stacked channels takes a value that belongs to all of them."""
    makers = [call.source.call for call in plan.calls
              if call.entry and parameter in call.entry.special_inputs and call.entry.axis == "channel"]  # fmt: skip
    if plan.stack != "channel" or not makers:
        return
    for name in wanted:
        made = names[name].domain.channel if name in names else ()
        if len(made) > 1:
            context.problem(plan.source, ("inputs", parameter),
                            f"{makers[0]} takes one '{name}' for all channels, and there is one for each of "
                            f"{', '.join(map(str, made))}.",
                            f"Say `channels: [{made[0]}]` in the step that makes it.")  # fmt: skip


def _one_or_many(
    context: DraftContext, plan: DraftStep, call: DraftCall, parameter: str, given: str | list[str]
) -> str | tuple[str, ...]:
    """Return one name, or those of a mapping, as the function takes it."""
    assert call.entry is not None
    annotation = next((known.annotation for known in call.entry.parameters if known.name == parameter), "")
    mapping = annotation.strip("'\"").startswith(("Mapping", "dict"))
    if isinstance(given, str):
        return (given,) if mapping else given
    if annotation and not mapping:
        context.problem(plan.source, ("inputs", parameter), f"{call.source.call} takes one value for '{parameter}', "
                        f"found a list.", f"Write `{parameter}: {given[0]}`." if given else "")  # fmt: skip
    return tuple(given)


def _link(
    context: DraftContext, plan: DraftStep, parameter: str, name: str, names: dict[str, Named]
) -> LinkedInput | None:
    place = ("inputs", parameter)
    value = names.get(name)
    if value is None:
        maker = next((step.name for step in context.pipeline.model.steps if name in step.outputs.values()), None)
        if maker is not None:
            why = (
                "is switched off here"
                if stands_before(context, maker, plan.source)
                else "does not come before this one"
            )
            context.problem(plan.source, place, f"'{name}' is made by step '{maker}', which {why}.")
        else:
            hint = nearest(name, names) or (
                f"Earlier steps name {', '.join(names)}." if names else "None is named yet."
            )
            context.problem(plan.source, place, f"no earlier step names '{name}' among its outputs.", hint)
        return None
    maker_plan = context.step_plans[value.producer]
    if plan.source.model.scope == "plate" and maker_plan.source.model.scope == "well":
        context.problem(plan.source, place, f"'{name}' is made in each well, by step '{maker_plan.name}', and this "
                        "is a step of the plate.")  # fmt: skip
        return None
    for axis in AXES:
        made = value.domain.values(axis)
        if len(made) <= 1:
            continue
        here = plan.domain.values(axis)
        if here == (None,):
            context.problem(plan.source, place, f"'{name}' is ambiguous: there is one for each of {len(made)} values "
                            f"of {axis}, and the images of this step have no {axis} any more.")  # fmt: skip
        elif not set(here) <= set(made):
            absent = ", ".join(str(value) for value in here if value not in made)
            context.problem(plan.source, place, f"'{name}' was not made for {axis} {absent}.")
    return LinkedInput(name=name, producer=value.producer)


def register_special_outputs(context: DraftContext, plan: DraftStep, index: int, names: dict[str, Named]) -> None:
    """Enter the names that a step gives to what it yields into `names`."""
    declared = [name for call in plan.calls if call.entry for name in call.entry.special_outputs]
    slots = ["labels", "table", "image", *declared]
    folded = {name.lower(): name for name in names}
    for slot, name in plan.source.model.outputs.items():
        place = ("outputs", slot)
        if slot not in slots and all(call.entry for call in plan.calls):
            hint = nearest(slot, slots) or f"There are {', '.join(dict.fromkeys(slots))}."
            context.problem(plan.source, place, f"it has no output '{slot}'.", hint)
        if name.lower() in folded:
            earlier = names[folded[name.lower()]]
            maker = context.step_plans[earlier.producer].name
            context.problem(plan.source, place, f"'{name}' is the name of an output of step '{maker}' already.",
                            "Names that differ only in case count as the same.")  # fmt: skip
            continue
        names[name] = Named(index, plan.domain_of(name))
        folded[name.lower()] = name
    if {"labels", "table"} <= set(plan.source.model.outputs):
        context.problem(plan.source, ("outputs",), "what a step yields is labels or a table, not both.")


def stands_before(context: DraftContext, name: str, step: ResolvedStep) -> bool:
    """Tell whether the pipeline names a step before another, switched on or not."""
    return name in [other.name for other in context.pipeline.model.steps[: step.number]]
