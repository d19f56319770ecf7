"""Phase 1: step plans and paths. Where each step's images, named values and metadata come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftPattern, DraftStep, Output
from hcs_lib.compiler.images import LABEL_DTYPE, ImageType, result_of
from hcs_lib.compiler.metadata import RESOLVERS, UnknownMetadataError, inject_metadata_into_pattern
from hcs_lib.compiler.mosaics import find_shapes
from hcs_lib.compiler.overrides import ResolvedStep, named_wells
from hcs_lib.compiler.special_values import Named, link_special_inputs, register_special_outputs, stands_before
from hcs_lib.contexts.lazy import is_lazy
from hcs_lib.core.domains import Domain
from hcs_lib.core.errors import nearest
from hcs_lib.pipeline.files import file_of

RAW = "raw"


def initialize_step_plans_for_context(
    context: DraftContext, steps: Sequence[ResolvedStep], indices: Mapping[int, int]
) -> dict[int, Any]:
    """Make a plan of each step and link it to the steps before.

    Parameters
    ----------
    context, steps
        The wells, and the steps that they go through.
    indices
        Index of each step by its place in the pipeline: it does not depend on the other steps of these wells.

    Returns
    -------
    dict
        The step state map: the resolved configuration of each step, as it is now.
    """
    names: dict[str, Named] = {}
    for step in steps:
        plan, index = _initialize(context, step), indices[step.number]
        context.step_plans[index] = plan
        context.step_state_map[index] = step.state()
        link_special_inputs(context, plan, names)
        _refer_to_files(context, plan)
        _inject_metadata(context, plan)
        _follow(context, plan)
        register_special_outputs(context, plan, index, names)
    return context.step_state_map


def _initialize(context: DraftContext, step: ResolvedStep) -> DraftStep:
    source, domain = _source(context, step)
    if step.model.scope == "plate" and domain.site != (None,) and step.model.stack != "site":
        context.problem(step, ("scope",), "a step of the plate looks at all its sites at once.", "Say `stack: site`.")
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
        before.shapes if before else None,
    )
    return DraftStep(
        source=step,
        pattern=pattern,
        input=source,
        domain=domain,
        call_domain=call_domain,
        output_domain=call_domain,
        incoming=incoming,
        outgoing=incoming,
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
    by_name = {plan.name: index for index, plan in plans.items() if plan.source.model.scope == step.model.scope}
    raw = _raw_domain(context, step)
    images = [by_name[plan.name] for plan in plans.values() if plan.name in by_name and plan.output in (None, "image")]
    source = images[-1] if images and wanted is None else by_name.get(wanted or RAW)
    if wanted not in (None, RAW) and source is None:
        _report_unknown_input(context, step, by_name)
    if source is None:
        return None, raw
    if plans[source].output == "table":
        context.problem(step, ("input",), f"step '{wanted}' yields a table, which is no image.",
                        f"Images come from raw{''.join(f', {plans[i].name}' for i in images)}.")  # fmt: skip
        return None, raw
    return source, plans[source].output_domain


def _raw_domain(context: DraftContext, step: ResolvedStep) -> Domain:
    """Return the grid of the raw planes: of a well, or, for a step of the plate, of the wells that it looks at."""
    if step.model.scope == "well":
        return context.plate.domain
    wells, _ = named_wells(
        context.pipeline, context.plate.index.plate, step.location, step.model.wells, context.plate.index.wells
    )
    return context.plate.whole.domain.replace(site=context.plate.sites_of_wells(wells, step.model.sample))


def _report_unknown_input(context: DraftContext, step: ResolvedStep, by_name: dict[str, int]) -> None:
    wanted = step.model.input or ""
    later = [other for other in context.pipeline.model.steps if other.name == wanted]
    label = next(
        (plan.name for plan in context.step_plans.values() if wanted in plan.source.model.outputs.values()), ""
    )
    if any(plan.name == wanted for plan in context.step_plans.values()):
        one, other = ("the plate", "wells") if step.model.scope == "plate" else ("a well", "the plate")
        hint = (
            f"Earlier are {', '.join([RAW, *by_name])}."
            if other == "wells"
            else ("Name its `image` under `outputs` there, and take that by `inputs` here.")
        )
        context.problem(step, ("input",), f"it is a step of {one}, and step '{wanted}' one of {other}.", hint)
    elif later:
        why = "is switched off here" if stands_before(context, wanted, step) else "does not come before this one"
        context.problem(step, ("input",), f"step '{wanted}' {why}.", f"Earlier are {', '.join([RAW, *by_name])}.")
    elif label:
        context.problem(step, ("input",), f"'{wanted}' is the name of an output.", f"Name its step: {label}.")
    else:
        hint = nearest(wanted, [RAW, *by_name]) or f"Earlier are {', '.join([RAW, *by_name])}."
        context.problem(step, ("input",), f"there is no step '{wanted}'.", hint)


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
    plate = context.plate if step.model.scope == "well" else context.plate.whole
    taken = {str(channel): plate.frames(str(channel)) for channel in domain.channel}
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


def _refer_to_files(context: DraftContext, plan: DraftStep) -> None:
    """Replace arguments that name files, `{file: nuclei.json}`, by references that load when a step needs them."""
    for call in plan.calls:
        for name, value in call.args.items():
            try:
                if is_lazy(value):
                    raise ValueError("references to files are made when compiling; write {file: NAME}")
                file = file_of(value)
                if file is not None:
                    call.args[name] = context.files.reference(file)
            except ValueError as error:
                context.problem(plan.source, call.source.where(name), f"'{name}': {error}.")


def _follow(context: DraftContext, plan: DraftStep) -> None:
    """Find what the pattern gives; every route must give the same."""
    results: dict[str | None, ImageType] = {}
    for value, chain in plan.pattern.items():
        image = plan.incoming
        for call in chain:
            call.shapes = find_shapes(context, plan, call, image)
            image = result_of(call.entry, image, call.args, call.shapes)
        results[value] = image
    found = list(results.values())
    known = {(image.kind, image.dims) for image in found if image.kind is not None}
    if len(known) > 1:
        said = ", ".join(f"{value} {image.kind} ({image})" for value, image in results.items())
        context.problem(plan.source, ("func",), f"the routes give different things: {said}.")
    if any(image.shapes != found[0].shapes for image in found):
        context.problem(plan.source, ("func",), "the routes give images of different sizes.")
    dtypes = {image.dtype for image in found}
    dtype = LABEL_DTYPE if found[0].kind == "labels" else found[0].dtype if len(dtypes) == 1 else None
    resized_by = next((image.resized_by for image in found if image.resized_by), None)
    plan.outgoing = ImageType(found[0].kind, found[0].dims, dtype, resized_by, found[0].shapes)
    if plan.outgoing.dims == 3:
        plan.output_domain = plan.domain


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
