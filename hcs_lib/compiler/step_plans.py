"""Phase 1: step plans and paths. Where each step's images, named values and metadata come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hcs_lib.compiler.draft import DraftCall, DraftContext, DraftPattern, DraftStep, Output
from hcs_lib.compiler.images import LABEL_DTYPE, ImageType, result_of
from hcs_lib.compiler.metadata import RESOLVERS, UnknownMetadataError, inject_metadata_into_pattern
from hcs_lib.compiler.overrides import ResolvedStep
from hcs_lib.contexts.plans import LinkedInput
from hcs_lib.core.domains import AXES, Domain
from hcs_lib.core.errors import nearest

RAW = "raw"


@dataclass(frozen=True, slots=True)
class Named:
    """A named value: who makes it, and where: at planes (labels), or at calls."""

    producer: int
    domain: Domain


def initialize_step_plans_for_context(context: DraftContext, steps: Sequence[ResolvedStep]) -> dict[int, Any]:
    """Make a plan of each step and link it to the steps before.

    Returns
    -------
    dict
        The step state map: the resolved configuration of each step, as it is now.
    """
    names: dict[str, Named] = {}
    for index, step in enumerate(steps):
        plan = _initialize(context, step)
        context.step_plans[index] = plan
        context.step_state_map[index] = step.state()
        _link_special_inputs(context, plan, names)
        _register_special_outputs(context, plan, index, names)
        _inject_metadata(context, plan)
    return context.step_state_map


def _initialize(context: DraftContext, step: ResolvedStep) -> DraftStep:
    source, domain = _source(context, step)
    domain = _restrict_channels(context, step, domain)
    if source is None:
        domain = _restrict_frames(context, step, domain)
    stack = step.model.stack
    if stack is not None and domain.values(stack) == (None,):
        context.problem(step, ("stack",), f"there is no {stack} left to stack, it was stacked before.",
                        "Take an earlier step, or raw, by `input`.")  # fmt: skip
    call_domain = domain.without(stack)
    pattern = _pattern(context, step)
    _check_routes(context, step, call_domain)
    before = context.step_plans[source].outgoing if source is not None else None
    incoming = ImageType(
        before.kind if before else "image",
        2 if stack is None else 3,
        before.dtype if before else context.plate.index.dtype,
        before.resized_by if before else None,
    )
    outgoing = _outgoing(context, step, pattern, incoming)
    return DraftStep(
        source=step,
        pattern=pattern,
        input=source,
        domain=domain,
        call_domain=call_domain,
        output_domain=domain if outgoing.dims == 3 else call_domain,
        incoming=incoming,
        outgoing=outgoing,
        output=_output(step),
    )


def _output(step: ResolvedStep) -> Output | None:
    """Return what the step writes: what it names, or the image that it is asked to keep."""
    for slot in ("labels", "table"):
        if slot in step.model.outputs:
            return slot
    return "image" if step.model.keep else None


def _source(context: DraftContext, step: ResolvedStep) -> tuple[int | None, Domain]:
    """Return the step whose images are read, None for the raw planes, and the domain that comes from there."""
    plans = context.step_plans
    wanted = step.model.input
    by_name = {plan.name: index for index, plan in plans.items()}
    images = [index for index, plan in plans.items() if plan.output in (None, "image")]
    source = images[-1] if images and wanted is None else by_name.get(wanted or RAW)
    if wanted not in (None, RAW) and source is None:
        _report_unknown_input(context, step, by_name)
    if source is None:
        return None, context.plate.domain
    if plans[source].output == "table":
        context.problem(step, ("input",), f"step '{wanted}' yields a table, which is no image.",
                        f"Images come from raw{''.join(f', {plans[i].name}' for i in images)}.")  # fmt: skip
        return None, context.plate.domain
    return source, plans[source].output_domain


def _report_unknown_input(context: DraftContext, step: ResolvedStep, by_name: dict[str, int]) -> None:
    wanted = step.model.input or ""
    later = [other for other in context.pipeline.model.steps if other.name == wanted]
    label = next(
        (plan.name for plan in context.step_plans.values() if wanted in plan.source.model.outputs.values()), ""
    )
    if later:
        why = "is switched off here" if _earlier(context, wanted, step) else "does not come before this one"
        context.problem(step, ("input",), f"step '{wanted}' {why}.", f"Earlier are {', '.join([RAW, *by_name])}.")
    elif label:
        context.problem(step, ("input",), f"'{wanted}' is the name of an output.", f"Name its step: {label}.")
    else:
        hint = nearest(wanted, [RAW, *by_name]) or f"Earlier are {', '.join([RAW, *by_name])}."
        context.problem(step, ("input",), f"there is no step '{wanted}'.", hint)


def _earlier(context: DraftContext, name: str, step: ResolvedStep) -> bool:
    return name in [other.name for other in context.pipeline.model.steps[: step.number]]


def _restrict_channels(context: DraftContext, step: ResolvedStep, domain: Domain) -> Domain:
    wanted = step.model.channels
    if wanted is None:
        return domain
    if domain.channel == (None,):
        context.problem(step, ("channels",), "its input has no channels any more, an earlier step merged them.")
        return domain
    here = [str(name) for name in domain.channel]
    for place, name in enumerate(wanted):
        if name in here:
            continue
        if name in context.plate.channels:
            context.problem(step, ("channels", place), f"its input has no channel '{name}', only {', '.join(here)}.",
                            "Take raw, or another step, by `input`.")  # fmt: skip
        else:
            hint = nearest(name, context.plate.channels) or f"It has {', '.join(context.plate.channels)}."
            context.problem(
                step, ("channels", place), f"plate '{context.plate.index.plate}' has no channel '{name}'.", hint
            )
    kept = tuple(name for name in domain.channel if name in wanted)
    return domain.replace(channel=kept) if kept else domain


def _restrict_frames(context: DraftContext, step: ResolvedStep, domain: Domain) -> Domain:
    """Return the domain with the z-planes and time points that its channels were taken at, the same for all."""
    taken = {str(channel): context.plate.frames(str(channel)) for channel in domain.channel}
    first = next(iter(taken.values()))
    if first is not None and all(frames and (frames.z, frames.t) == (first.z, first.t) for frames in taken.values()):
        return domain.replace(z=first.z, t=first.t)
    said = "; ".join(f"{channel} at {_frames(frames)}" for channel, frames in taken.items())
    context.problem(step, ("channels",),
                    f"its channels were not taken at the same z-planes and time points: {said}.",
                    "Take channels that were taken alike, by `channels`; others in a step of their own.")  # fmt: skip
    return domain


def _frames(domain: Domain | None) -> str:
    if domain is None:
        return "other z-planes at other time points"
    return f"z {', '.join(map(str, domain.z))} and t {', '.join(map(str, domain.t))}"


def _pattern(context: DraftContext, step: ResolvedStep) -> DraftPattern:
    return {
        value: [DraftCall(call, context.functions.entry(call.call), dict(call.args)) for call in chain]
        for value, chain in step.routes.items()
    }


def _check_routes(context: DraftContext, step: ResolvedStep, domain: Domain) -> None:
    axis = step.model.group_by
    if axis is None:
        return
    values = [str(value) for value in domain.values(axis) if value is not None]
    if not values:
        context.problem(step, ("group_by",), f"there is no {axis} left to route by, it was stacked before.")
        return
    for value in step.routes:
        if value not in values:
            hint = nearest(str(value), values) or f"Values are {', '.join(values)}."
            context.problem(step, ("func", str(value)), f"its input has no {axis} '{value}'.", hint)
    absent = [value for value in values if value not in step.routes]
    if absent:
        hint = "Add it, or leave it out of `channels`." if axis == "channel" else "Add it."
        context.problem(step, ("func",), f"the routing table has nothing for {axis} {', '.join(absent)}.", hint)


def _outgoing(context: DraftContext, step: ResolvedStep, pattern: DraftPattern, incoming: ImageType) -> ImageType:
    """Return what the pattern gives; every route must give the same."""
    results: dict[str | None, ImageType] = {}
    for value, chain in pattern.items():
        image = incoming
        for call in chain:
            image = result_of(call.entry, image, call.args)
        results[value] = image
    found = list(results.values())
    known = {(image.kind, image.dims) for image in found if image.kind is not None}
    if len(known) > 1:
        said = ", ".join(f"{value} {image.kind} ({image})" for value, image in results.items())
        context.problem(step, ("func",), f"the routes give different things: {said}.")
    dtypes = {image.dtype for image in found}
    dtype = LABEL_DTYPE if found[0].kind == "labels" else found[0].dtype if len(dtypes) == 1 else None
    resized_by = next((image.resized_by for image in found if image.resized_by), None)
    return ImageType(found[0].kind, found[0].dims, dtype, resized_by)


def _link_special_inputs(context: DraftContext, plan: DraftStep, names: dict[str, Named]) -> None:
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
            why = "is switched off here" if _earlier(context, maker, plan.source) else "does not come before this one"
            context.problem(plan.source, place, f"'{name}' is made by step '{maker}', which {why}.")
        else:
            hint = nearest(name, names) or (
                f"Earlier steps name {', '.join(names)}." if names else "None is named yet."
            )
            context.problem(plan.source, place, f"no earlier step names '{name}' among its outputs.", hint)
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


def _register_special_outputs(context: DraftContext, plan: DraftStep, index: int, names: dict[str, Named]) -> None:
    declared = [name for call in plan.calls if call.entry for name in call.entry.special_outputs]
    slots = ["labels", "table", *declared]
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
        planes = slot == plan.outgoing.kind == "labels"
        names[name] = Named(index, plan.output_domain if planes else plan.call_domain)
        folded[name.lower()] = name
    if {"labels", "table"} <= set(plan.source.model.outputs):
        context.problem(plan.source, ("outputs",), "what a step yields is labels or a table, not both.")


def _inject_metadata(context: DraftContext, plan: DraftStep) -> None:
    for call in plan.calls:
        if call.entry is None:
            continue
        required = {parameter.name for parameter in call.entry.parameters if parameter.required}
        for key in call.entry.special_inputs:
            if key in call.args or key in call.special_inputs:
                continue
            try:
                if key not in RESOLVERS:
                    raise UnknownMetadataError("no earlier step is named for it", f"Write `inputs: {{{key}: …}}`.")
                inject_metadata_into_pattern(plan.pattern, key, RESOLVERS[key](context, plan))
            except UnknownMetadataError as error:
                if key in required:
                    context.problem(plan.source, call.source.location,
                                    f"{call.source.call} needs '{key}', and {error}.", error.hint)  # fmt: skip
