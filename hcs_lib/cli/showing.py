"""A frozen context as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from hcs_lib.compiler.resources import resources_of
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.lazy import LazyFile
from hcs_lib.contexts.plans import FunctionCall, StepPlan, ZarrStore
from hcs_lib.core.domains import AXES, Domain
from hcs_lib.core.frozen import thaw

_FILES = 4
"""Raw planes that are named."""


def print_context(context: FrozenContext) -> None:
    """Print steps, functions, stores and planes of a context."""
    console = Console(highlight=False, soft_wrap=True)
    bad = f", {len(context.problems)} missing or broken ({context.bad_planes})" if context.problems else ""
    pixel = f"{context.metadata.pixel_size_um:g} µm" if context.metadata.pixel_size_um else "unknown size"
    console.print(
        Text(
            f"{context.plate} {context.axis_id}, stage {context.stage}\n"
            f"digest {context.digest}\n"
            f"{len(context.planes)} planes of {context.plane_shape[0]} × {context.plane_shape[1]} "
            f"{context.plane_dtype}{bad}; pixels of {pixel}; channels {', '.join(context.metadata.channel_names)}"
        )
    )
    for name in dict.fromkeys(plane.file for plane in context.planes[:_FILES]):
        console.print(Text(f"  {name}"))
    if len(context.planes) > _FILES:
        console.print(Text(f"  … and {len(context.planes) - _FILES} planes more"))
    for problem in context.problems:
        console.print(Text(f"  {problem.kind}: {problem.message}", "red"))
    for index, plan in context.step_plans.items():
        console.print(Text(f"\n{index}  {plan.step_name}", "bold"))
        for role, said in _step(context, plan):
            console.print(Text(f"   {role:<7}{said}"))
    console.print()
    for line in _needs(context):
        console.print(Text(line))
    if context.raw_store:
        console.print(Text(f"The raw planes are written too: {_store(context.raw_store)}"))
    versions = ", ".join(f"{name} {version}" for name, version in _versions(context).items())
    console.print(Text(f"Versions: {versions}"))


def _versions(context: FrozenContext) -> dict[str, str]:
    """Return the versions of libraries; each function of ours has one of its own."""
    found: dict[str, str] = {}
    for reference in context.functions:
        alike = {other.version for other in context.functions if other.library == reference.library}
        found[reference.library if len(alike) == 1 else reference.id] = reference.version
    return found | thaw(context.engine.versions)  # type: ignore[no-any-return]


def _step(context: FrozenContext, plan: StepPlan) -> Iterator[tuple[str, str]]:
    """Yield what a step reads, calls, yields and writes."""
    steps = {value.step_index: f"{value.step_name} of stage {value.stage}" for value in context.takes}
    steps |= {index: other.step_name for index, other in context.step_plans.items()}
    source = "raw" if plan.input is None else steps[plan.input]
    stack = f", {len(plan.domain.values(plan.stack))} of {plan.stack} stacked" if plan.stack else ""
    yield "reads", f"{source}{stack}, for {_domain(plan.domain.without(plan.stack))}"
    for parameter, links in plan.special_inputs.items():
        yield "", f"{parameter}: {', '.join(link.key for link in links)}"
    for line in _pattern(plan):
        yield "calls", line
    for line in moves(context, plan):
        yield "moves", line
    yield "yields", _yields(plan)
    if plan.gpu:
        yield "needs", f"{plan.gpu} GPU"
    if plan.zarr_store:
        yield "writes", _store(plan.zarr_store)
    if plan.table:
        yield "writes", plan.table.path


def moves(context: FrozenContext, plan: StepPlan) -> list[str]:
    """Return where the images of a step go from one memory type to another."""
    before = context.step_plans.get(plan.input) if plan.input is not None else None
    found = []
    for chain in (plan.func.chain, *plan.func.routes.values()):
        memory = "numpy" if before is None else before.output_memory_type
        for call in chain:
            if call.memory_type != memory:
                found.append(f"{memory} → {call.memory_type} before {call.call}")
            memory = call.memory_type
    return list(dict.fromkeys(found))


def _needs(context: FrozenContext) -> Iterator[str]:
    """Yield what a job needs, and what it reads and writes."""
    needs = resources_of(context)
    gpus = max((plan.gpu for plan in context.step_plans.values()), default=0)
    gpu = f", {gpus} GPU with about {needs.gpu_mb} MB" if gpus else ""
    yield f"Needs about {needs.memory_mb} MB of memory{gpu}, {context.threads} thread(s)"
    yield f"Reads {_size(needs.read)} of pixels; writes {_size(needs.written)} before they are compressed"
    for value in context.takes:
        yield f"Takes {value.name or 'the images'} of step {value.step_name} from stage {value.stage}"
    for value in context.passes:
        yield f"Passes {value.name or 'the images'} of step {value.step_name} on to later stages"


def _size(count: int) -> str:
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.3g} {unit}"
    return f"{count} bytes"


def _domain(domain: Domain) -> str:
    parts = []
    for axis in AXES:
        values = [value for value in domain.values(axis) if value is not None]
        if axis == "channel" and values:
            parts.append(", ".join(values))
        elif len(values) > 1:
            parts.append(f"{len(values)} of {axis}")
    return " × ".join(parts) or "the well"


def _pattern(plan: StepPlan) -> Iterator[str]:
    chains = {"": plan.func.chain} if plan.func.group_by is None else plan.func.routes
    for value, chain in chains.items():
        for call in chain:
            yield f"{value}: {_call(call)}" if value else _call(call)


def _call(call: FunctionCall) -> str:
    args = ", ".join(f"{name}={_value(value)}" for name, value in call.args.items())
    how = " slice by slice" if call.slice_by_slice else ""
    twin = f", the twin of {call.twin_of}" if call.twin_of else ""
    return f"{call.call}({args}){how}{twin}"


def _value(value: Any) -> str:
    file = LazyFile.of(value)
    if file is not None:
        return f"{file.name} ({file.sha256[:12]})"
    return f"{value:g}" if isinstance(value, float) else repr(thaw(value))


def _yields(plan: StepPlan) -> str:
    names = ", ".join(plan.special_outputs.values())
    dtype = f" {plan.dtype}" if plan.dtype else ""
    return f"{plan.returns}{dtype}{f' ({names})' if names else ''}, {plan.output_memory_type}"


def _store(store: ZarrStore) -> str:
    size = " × ".join(str(size) for size in store.array.shape)
    what = f"labels/{store.label}" if store.label else "image"
    if len(store.groups) > 1:
        what += f" of each of {len(store.groups)} sites"
    return f"{store.path}: {what}, {store.array.axes} {size} {store.array.dtype}"
