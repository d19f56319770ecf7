"""Phase 5: GPU requirement. What runs on one, and how many a step needs; which it gets is decided when a job runs.

With `device: auto`, and where the configuration grants a GPU, a function is replaced by its twin there. Functions of
torch and pyclesperanto run on a GPU where one is granted, and else on the CPU. That is fixed in the context: nothing
falls back at run time.
"""

from __future__ import annotations

from typing import Any, Literal

from hcs_lib.compiler.contracts import store_pattern
from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import GPU_ONLY, DraftCall, DraftStep
from hcs_lib.core.declare import MemoryType
from hcs_lib.core.errors import Problem
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.twins import behave_alike, differences

_ARRAYS = frozenset({
    "domain", "footprint", "in2", "kernel", "mask", "matrix", "psf", "structure", "structure1", "structure2", "weights",
})  # fmt: skip
"""Parameters that take an array: functions on the CPU make one of a list, and those on a GPU do not."""

_EITHER: frozenset[MemoryType] = frozenset({"pyclesperanto", "torch"})
"""Memory types whose functions run on the CPU, and on a GPU where one is granted."""


def assign_gpu_resources_for_context(
    context: DraftContext, device: Literal["cpu", "gpu", "auto"], gpus: int = 0
) -> None:
    """Decide what runs on a GPU, set how many each step needs, and check that against the device of the configuration.

    Parameters
    ----------
    gpus
        How many the configuration grants.
    """
    known = all(call.entry for plan in context.step_plans.values() for call in plan.calls)
    granted = device == "gpu" or (device == "auto" and gpus > 0)
    if known and device != "cpu":
        if device == "auto" and gpus:
            _take_twins(context)
        _place_generic_functions(context)
    for plan in context.step_plans.values():
        needing = [call for call in plan.calls if call.runs_on in GPU_ONLY]
        able = granted and any(call.runs_on in _EITHER for call in plan.calls)
        plan.gpu = max(plan.source.model.gpu, 1 if needing or able else 0)
        if plan.gpu and device == "cpu":
            what, place = (f"{needing[0].source.call} needs", "func") if needing else ("it asks for", "gpu")
            context.problem(plan.source, (place,), f"{what} a GPU, and the configuration says `device: cpu`.",
                            "Say `device: gpu` or `auto`, or take another function.")  # fmt: skip
    if device == "gpu" and known and not any(plan.gpu for plan in context.step_plans.values()):
        context.problems.append(
            Problem(
                context.pipeline.where("steps"),
                "The configuration says `device: gpu`, and no function of the pipeline uses one.",
                "Say `device: cpu` or `auto`.",
            )
        )


def _take_twins(context: DraftContext) -> None:
    """Put the twin on the GPU in the place of every function that has one which does the same in this call."""
    for plan in context.step_plans.values():
        for call in plan.calls:
            assert call.entry is not None
            twin = None if call.entry.memory_type in GPU_ONLY else context.functions.twin(call.entry.id)
            if twin is not None and _can_stand_in(twin, call, call.entry):
                call.entry = twin


def _can_stand_in(twin: FunctionEntry, call: DraftCall, entry: FunctionEntry) -> bool:
    """Tell whether a twin takes the arguments of a call in the same sense, and does the same to the image."""
    given = {*call.args, *call.special_inputs}
    for difference in differences(entry.parameters, twin.parameters):
        here, there = difference.here, difference.there
        if difference.name in given:
            if here is None or there is None or here.kind != there.kind:
                return False
        elif there is not None and (there.required or here is not None):
            return False
    if any(_is_array(name, value) for name, value in call.args.items()):
        return False
    return behave_alike(entry, twin, call.incoming.dtype if call.incoming else None)


def _is_array(name: str, value: Any) -> bool:
    nested = isinstance(value, (list, tuple)) and any(isinstance(member, (list, tuple)) for member in value)
    return nested or (name in _ARRAYS and value is not None)


def _place_generic_functions(context: DraftContext) -> None:
    """Let functions that take arrays of NumPy and CuPy alike run where their image lies, or goes to next.

    So a chain moves its image once, however many of them stand in it.
    """
    for plan in context.step_plans.values():
        for chain in plan.pattern.values():
            memory = _arriving(context, plan)
            for number, call in enumerate(chain):
                assert call.entry is not None
                if call.entry.generic and call.entry.memory_type == "numpy":
                    if memory == "numpy":
                        memory = next((later.runs_on for later in chain[number:] if not _is_generic(later)), memory)
                    call.memory_type = memory if memory in GPU_ONLY else None
                memory = call.runs_on
        store_pattern(plan)


def _is_generic(call: DraftCall) -> bool:
    return call.entry is not None and call.entry.generic


def _arriving(context: DraftContext, plan: DraftStep) -> MemoryType:
    return "numpy" if plan.input is None else context.step_plans[plan.input].output_memory_type
