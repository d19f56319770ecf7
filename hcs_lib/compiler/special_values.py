"""Named values that travel between steps: registered by the step that makes them, linked to those that take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftStep
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
    base, _, route = name.rpartition(".")
    if base in names:
        return _link_to_route(context, plan, parameter, base, route, names[base])
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
    _check_made_here(context, plan, parameter, name, value)
    return LinkedInput(name=name, producer=value.producer)


def _check_made_here(
    context: DraftContext, plan: DraftStep, parameter: str, name: str, value: Named, routed: str | None = None
) -> None:
    """Check that there is a value for all that a step works on; `routed` is an axis on which one was chosen."""
    place, maker = ("inputs", parameter), context.step_plans[value.producer]
    giving, axis_of_routes = _routes_that_give(maker, name), maker.source.model.group_by
    if _belongs_to_channels(maker, name) and not _takes_channels_together(plan, parameter):
        others = [str(each) for each in plan.domain.channel if each not in value.domain.channel]
        if others and value.domain.channel != (None,):
            made_for = ", ".join(map(str, value.domain.channel))
            target = "images that have no channel any more" if others == ["None"] else f"channel {', '.join(others)}"
            context.problem(
                plan.source,
                place,
                f"'{name}' is an image of channel {made_for}, and would be used for {target}.",
                "Make it of the same channels: say which by `channels`, there or here.",
            )
            return
    for axis in AXES:
        made, here = value.domain.values(axis), plan.domain.values(axis)
        if axis == axis_of_routes and giving is not None:
            made = tuple(each for each in made if str(each) in giving)
        elif len(made) <= 1:
            continue
        if axis == routed:
            continue
        if here == (None,):
            hint = f"Take it before {axis} is stacked, or make it after."
            if axis == axis_of_routes:
                hint = f"Name one: {', '.join(f'{name}.{each}' for each in made)}."
            context.problem(plan.source, place, f"'{name}' is ambiguous: there is one for each of {len(made)} values "
                            f"of {axis}, and the images of this step have no {axis} any more.", hint)  # fmt: skip
        elif not set(here) <= set(made):
            absent = ", ".join(str(each) for each in here if each not in made)
            context.problem(plan.source, place, f"'{name}' was not made for {axis} {absent}.")


def _belongs_to_channels(maker: DraftStep, name: str) -> bool:
    """Tell whether a value says something of the pixels of its channels; labels and masks are shapes, and serve all."""
    return name == maker.source.model.outputs.get("image") and maker.outgoing.kind == "image"


def _takes_channels_together(plan: DraftStep, parameter: str) -> bool:
    """Tell whether only functions that look at all channels at once take a value: they know them apart."""
    taking = [call.entry for call in plan.calls if call.entry and parameter in call.entry.special_inputs]
    return plan.stack == "channel" and all(entry.axis == "channel" for entry in taking)


def _routes_that_give(maker: DraftStep, name: str) -> set[str] | None:
    """Return the values of a routing table whose chains give a special output; None where all do, or it is none."""
    slots = {slot for slot, given in maker.source.model.outputs.items() if given == name}
    giving = {
        str(value)
        for value, chain in maker.pattern.items()
        if any(call.entry and slots & set(call.entry.special_outputs) for call in chain)
    }
    return giving if giving and len(giving) < len(maker.pattern) else None


def _link_to_route(
    context: DraftContext, plan: DraftStep, parameter: str, name: str, route: str, value: Named
) -> LinkedInput | None:
    """Link what an earlier step gave for one value of the axis that it routes by: `places.DNA`."""
    place, maker = ("inputs", parameter), context.step_plans[value.producer]
    axis = maker.source.model.group_by
    slots = {slot for slot, given in maker.source.model.outputs.items() if given == name}
    if axis is None:
        context.problem(plan.source, place, f"'{name}' comes from no routing table, so there is no '{name}.{route}'.",
                        f"Write `{parameter}: {name}`.")  # fmt: skip
        return None
    if slots & {"labels", "table", "image"}:
        alone = f" For those of {route} alone, make them in a step with `channels: [{route}]`."
        context.problem(plan.source, place,
                        f"'{name}' cannot be taken by route, only special outputs can: each image is given what was "
                        f"made for its own {axis}.",
                        f"Write `{parameter}: {name}`.{alone if axis == 'channel' else ''}")  # fmt: skip
        return None
    giving = _routes_that_give(maker, name) or {str(each) for each in maker.pattern}
    found = next((each for each in value.domain.values(axis) if str(each) == route and route in giving), None)
    if found is None:
        candidates = [f"{name}.{each}" for each in maker.pattern if str(each) in giving]
        context.problem(plan.source, place, f"step '{maker.name}' gives no '{name}.{route}'.",
                        nearest(f"{name}.{route}", candidates) or f"There are {', '.join(candidates)}.")  # fmt: skip
        return None
    _check_made_here(context, plan, parameter, name, value, axis)
    return LinkedInput(name=name, producer=value.producer, axis=axis, value=found)


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
        if slot in ("labels", "table") and _routes_that_give(plan, name) is not None:
            context.problem(plan.source, place, f"only some of its routes give '{slot}'.",
                            "Make a step of its own for them, with `channels`.")  # fmt: skip
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
