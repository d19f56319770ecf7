"""Phase 5: GPU requirement. How many a step needs; which one it gets is decided when a job runs."""

from __future__ import annotations

from typing import Literal

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.core.declare import MemoryType
from hcs_lib.core.errors import Problem

GPU_ONLY: frozenset[MemoryType] = frozenset({"cupy"})
"""Memory types whose arrays lie on a GPU and nowhere else."""


def assign_gpu_resources_for_context(context: DraftContext, device: Literal["cpu", "gpu", "auto"]) -> None:
    """Set the number of GPUs of each step, and check it against the device that the configuration grants."""
    for plan in context.step_plans.values():
        needing = [call for call in plan.calls if call.entry and call.entry.memory_type in GPU_ONLY]
        plan.gpu = 1 if needing else 0
        if needing and device == "cpu":
            context.problem(plan.source, ("func",), f"{needing[0].source.call} needs a GPU, and the configuration says "
                            "`device: cpu`.", "Say `device: gpu` or `auto`, or take another function.")  # fmt: skip
    known = all(call.entry for plan in context.step_plans.values() for call in plan.calls)
    if device == "gpu" and known and not any(plan.gpu for plan in context.step_plans.values()):
        context.problems.append(
            Problem(
                context.pipeline.where("steps"),
                "The configuration says `device: gpu`, and no function of the pipeline uses one.",
                "Say `device: cpu` or `auto`.",
            )
        )
