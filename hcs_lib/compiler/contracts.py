"""Phase 4: memory contracts. Every function is found, its arguments checked, and what flows between calls followed.

The function pattern is stored in the plan here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from hcs_lib.compiler.arguments import check_arguments
from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftStep
from hcs_lib.compiler.images import IMAGES, ImageType, result_of, sees_volume
from hcs_lib.contexts.plans import FunctionCall, FunctionPattern
from hcs_lib.core.declare import ProcessingContract, Returns
from hcs_lib.registry.entry import FunctionEntry, refused_dtype

_KINDS: dict[Returns, str] = {
    "image": "an image", "labels": "labels", "mask": "a mask", "scalar": "a scalar", "table": "a table",
    "coordinates": "coordinates", "tuple": "a tuple", "list": "a list", "other": "something that is no image",
}  # fmt: skip


def validate_memory_contracts_for_context(context: DraftContext) -> None:
    """Check every pattern against the registry and store it in its plan, with memory types and dtype."""
    for plan in context.step_plans.values():
        results: dict[str | None, ImageType] = {}
        for value, chain in plan.pattern.items():
            image = plan.incoming
            for call in chain:
                call.incoming = image
                _validate_call(context, plan, call, image)
                _validate_size(context, plan, call, image)
                image = result_of(call.entry, image, call.args, call.shapes)
            _validate_result(context, plan, chain[-1], image)
            results[value] = image
        _validate_dtype(context, plan, results)
        _validate_rows(context, plan)
        if all(call.entry for call in plan.calls):
            store_pattern(plan)


def _validate_call(context: DraftContext, plan: DraftStep, call: DraftCall, image: ImageType) -> None:
    entry = call.entry
    place = call.source.location
    if entry is None:
        problem = context.functions.problems[call.source.call]
        context.problem(plan.source, place, problem.message, problem.hint)
        return
    if image.kind is not None and _gets_no_image(call):
        hint = "Let the function that yields it come last." if image.kind == "table" else "Take the one before it out."
        context.problem(plan.source, place, f"{entry.id} needs an image, and is given {_KINDS[image.kind]}.", hint)
    else:
        _validate_dimensions(context, plan, call, entry, image)
        if refused := _refused(entry, image):
            context.problem(plan.source, place, *refused)
    _validate_scale(context, plan, call, entry, image)
    _validate_chance(context, plan, call, entry)
    check_arguments(context, plan, call)


def _validate_dimensions(
    context: DraftContext, plan: DraftStep, call: DraftCall, entry: FunctionEntry, image: ImageType
) -> None:
    place = call.source.location
    if image.dims == 2:
        if 2 not in entry.accepts:
            hint = (
                "Stack an axis with `stack`." if plan.stack is None else "The stack was reduced by a function before."
            )
            context.problem(plan.source, place, f"{entry.id} takes stacks (n, y, x), and is given planes.", hint)
        return
    whole = entry.contract in (ProcessingContract.PURE_3D, ProcessingContract.VOLUMETRIC_TO_SLICE)
    if whole and plan.source.model.slice_by_slice:
        context.problem(plan.source, place, f"{entry.id} takes whole stacks, not slice by slice.")
    elif sees_volume(entry, plan.stack, call.args, slice_by_slice=plan.source.model.slice_by_slice):
        return
    elif whole:
        made = f"is made for {entry.axis}" if entry.axis else "mixes the slices of a stack as if they were z-planes"
        context.problem(plan.source, place, f"{entry.id} {made}, and the step stacks {plan.stack}.")
    elif entry.returns not in IMAGES:
        context.problem(plan.source, place, f"{entry.id} takes planes and yields a {entry.returns}, which slices of a "
                        "stack cannot share.", "Leave out `stack`: it is called for every plane.")  # fmt: skip


def _validate_scale(
    context: DraftContext, plan: DraftStep, call: DraftCall, entry: FunctionEntry, image: ImageType
) -> None:
    """Law 4: values are not rescaled, unless the step says that they may be."""
    if plan.source.model.may_rescale or entry.returns != "image":
        return
    if entry.keeps_scale is not False:
        if image.dtype in entry.squeezed:
            kept = sorted(entry.dtypes.keys() - entry.squeezed)
            context.problem(plan.source, call.source.location,
                            f"{entry.id} rescales pixel values of {image.dtype} to those of "
                            f"{entry.dtypes[image.dtype]}.",
                            f"Give it {' or '.join(kept)}, or say `may_rescale: true` in the step, if that is "
                            "meant.")  # fmt: skip
        return
    for name, value in entry.keep_scale.items():
        if call.args.setdefault(name, value) != value:
            context.problem(plan.source, call.source.where(name),
                            f"with {name}: {call.args[name]!r}, {entry.id} rescales pixel values.",
                            "Leave it out, or say `may_rescale: true` in the step.")  # fmt: skip
    if not entry.keep_scale:
        context.problem(plan.source, call.source.location, f"{entry.id} rescales pixel values.",
                        "Say `may_rescale: true` in the step, if that is meant.")  # fmt: skip


def _validate_chance(context: DraftContext, plan: DraftStep, call: DraftCall, entry: FunctionEntry) -> None:
    """Law 3: the same context gives the same bytes; what draws numbers needs its seed in the context."""
    if "nondeterministic" not in entry.tags or call.args.get("rng") is not None:
        return
    seeded = any(parameter.name == "rng" for parameter in entry.parameters)
    hint = "Give `rng` a number." if seeded else "Take another function."
    context.problem(plan.source, call.source.location, f"{entry.id} gives another result at each call.", hint)


def _validate_size(context: DraftContext, plan: DraftStep, call: DraftCall, image: ImageType) -> None:
    """Values of earlier steps lie on the plate's planes, pixel on pixel; so must the image they are used with."""
    if image.resized_by and call.special_inputs:
        names = ", ".join(call.special_inputs)
        context.problem(plan.source, call.source.location,
                        f"{call.source.call} takes {names}, which may not fit its image: {image.resized_by} changed "
                        "the size.")  # fmt: skip
        return
    for parameter in call.special_inputs:
        for link in plan.special_inputs.get(parameter, ()):
            made = context.step_plans[link.producer]
            slots = {slot for slot, name in made.source.model.outputs.items() if name == link.name}
            if slots & {"labels", "image"} and made.outgoing.shapes != image.shapes:
                context.problem(plan.source, ("inputs", parameter),
                                f"'{link.name}' lies on {_lies_on(made.outgoing)}, and the image that "
                                f"{call.source.call} is given is {_lies_on(image)}.",
                                f"Take an image that fits, of step '{made.name}', by `input`.")  # fmt: skip


def _lies_on(image: ImageType) -> str:
    return "a plane of the plate" if image.shapes is None else "a mosaic"


def _validate_result(context: DraftContext, plan: DraftStep, last: DraftCall, result: ImageType) -> None:
    """Check that the last function yields what the step names."""
    if result.kind is None:
        return
    declared = {name for call in plan.calls if call.entry for name in call.entry.special_outputs}
    found = f"{last.source.call} yields {_KINDS[result.kind]}"
    slots: tuple[Literal["labels", "table"], ...] = ("labels", "table")
    for slot in slots:
        if slot in plan.source.model.outputs and result.kind != slot and slot not in declared:
            context.problem(plan.source, ("outputs", slot), f"{found}, not {_KINDS[slot]}.")
    if "image" in plan.source.model.outputs and "image" not in declared and result.kind not in ("image", "mask"):
        context.problem(plan.source, ("outputs", "image"), f"{found}, not an image.")
    if plan.output in ("image", "labels") and result.resized_by:
        entry = next((call.entry for call in plan.calls if call.entry and call.entry.id == result.resized_by), None)
        if entry is not None and entry.shape is not None:
            if plan.is_linked:
                context.problem(
                    plan.source,
                    last.source.location,
                    f"the size of what {entry.id} yields is not known before it runs, and it is to be written.",
                    f"Take its {entry.shape} from a function that tells, such as hcs.stage_tile_positions.",
                )
            return
        switch = "".join(f"`{name}: {str(value).lower()}`" for name, value in entry.keep_size.items()) if entry else ""
        context.problem(plan.source, ("keep",) if plan.output == "image" else ("outputs", "labels"),
                        f"{result.resized_by} changes the size of the image, and what is written has that of the "
                        "plate's planes.", switch and f"Give it {switch}.")  # fmt: skip
    if plan.output in (None, "image") and result.kind not in IMAGES:
        hint = (
            "Name it: `outputs: {table: …}`." if result.kind == "table" else "A step needs an image, labels or a table."
        )
        context.problem(plan.source, last.source.location, f"{found}, where an image is needed.", hint)


def _validate_dtype(context: DraftContext, plan: DraftStep, results: Mapping[str | None, ImageType]) -> None:
    """An image that is written has one dtype, which is known. What follows from another problem is not told."""
    if plan.output != "image" or plan.outgoing.dtype is not None or plan.outgoing.kind not in IMAGES:
        return
    calls = [call for other in context.step_plans.values() for call in other.calls]
    if any(call.entry is None or _gets_no_image(call) or _refused(call.entry, call.incoming) for call in calls):
        return
    dtypes = {value: image.dtype for value, image in results.items()}
    if None not in dtypes.values():
        said = ", ".join(f"{value} {dtype}" for value, dtype in dtypes.items())
        context.problem(plan.source, ("keep",), f"it is to be kept, and its routes give different dtypes: {said}.",
                        "Let all of them end with the same.")  # fmt: skip
    else:
        context.problem(plan.source, ("keep",), "the dtype of its image is unknown, so it cannot be kept.",
                        "Keep a step before or after it.")  # fmt: skip


def _gets_no_image(call: DraftCall) -> bool:
    return call.incoming is not None and call.incoming.kind is not None and call.incoming.kind not in IMAGES


def _refused(entry: FunctionEntry, image: ImageType | None) -> tuple[str, str] | None:
    return refused_dtype(entry.id, entry.dtypes, image.dtype) if image and image.dtype else None


def _validate_rows(context: DraftContext, plan: DraftStep) -> None:
    """A table of sites has a row of each site from each call."""
    if not plan.measures_sites:
        return
    if plan.call_domain.site == (None,):
        context.problem(plan.source, ("func",), "it measures sites, and its images have no site any more.",
                        "Let it take raw, or a step before the one that stacks sites, by `input`.")  # fmt: skip
    elif len(plan.call_domain.channel) > 1:
        context.problem(plan.source, ("func",), "it measures sites, and is called for each channel of them.",
                        "Say `stack: channel`.")  # fmt: skip


def _function_call(plan: DraftStep, call: DraftCall) -> FunctionCall:
    entry = call.entry
    assert entry is not None
    args = call.args
    slice_by_slice = (
        plan.stack is not None
        and entry.contract is ProcessingContract.FLEXIBLE
        and not sees_volume(entry, plan.stack, args, slice_by_slice=plan.source.model.slice_by_slice)
    )
    if slice_by_slice and entry.uncouple and not entry.uncouple.keys() & args.keys():
        # One call for the whole stack, with arguments that were proved to keep its slices apart.
        args, slice_by_slice = {**args, **entry.uncouple}, False
    return FunctionCall(
        call=entry.id,
        args=args,
        contract=entry.contract.name,
        slice_by_slice=slice_by_slice,
        memory_type=call.runs_on,
        dtypes=tuple(sorted(entry.dtypes.keys() - (() if plan.source.model.may_rescale else entry.squeezed))),
        returns=entry.returns,
        special_inputs=call.special_inputs,
        special_outputs=entry.special_outputs,
        twin_of=call.twin_of,
    )


def store_pattern(plan: DraftStep) -> None:
    """Store the function pattern in the plan, all of whose functions are known."""
    chains = {value: tuple(_function_call(plan, call) for call in chain) for value, chain in plan.pattern.items()}
    first = next(iter(chains.values()))
    plan.input_memory_type = first[0].memory_type
    plan.output_memory_type = first[-1].memory_type
    plan.returns = plan.outgoing.kind or "other"
    plan.dtype = plan.outgoing.dtype
    group_by = plan.source.model.group_by
    if group_by is None:
        plan.func = FunctionPattern(group_by=None, chain=first)
    else:
        routes = {str(value): chain for value, chain in chains.items()}
        plan.func = FunctionPattern(group_by=group_by, routes=routes)
