"""Stages: which steps of a pipeline run in one process. Where there is a gate, image quality comes first."""

from __future__ import annotations

import dataclasses
from collections.abc import Container

from hcs_lib.compiler.draft import DraftContext, DraftStep


def split_by_gate(context: DraftContext) -> list[DraftContext]:
    """Return the part of a context that measures image quality, and the rest.

    Both read the raw planes; nothing goes from one to the other, so what the first part makes and the rest needs
    is an error. Phase 1 is done; the parts share its plans and list of problems. A part without steps is left out.
    """
    plans = context.step_plans
    before: dict[int, str] = {}
    """Steps before the gate, each with the step of image quality that it is there for."""
    for index, plan in reversed(plans.items()):
        if plan.measures_sites:
            before[index] = plan.name
        if index in before:
            before |= {needed: before.get(needed, before[index]) for needed in _needs(plan)}
    for index, plan in plans.items():
        if index in before and not plan.measures_sites and plan.output is not None:
            context.problem(plan.source, ("name",),
                            f"its {plan.output} is written, and the gate (qc_gate) lets only image quality be measured "
                            f"before it, here by step '{before[index]}', which needs this step.",
                            f"Let '{before[index]}' take raw by `input`.")  # fmt: skip
        for needed in [] if index in before else _needs(plan):
            if needed in before:
                context.problem(plan.source, ("name",),
                                f"it needs step '{plans[needed].name}', which runs before the gate (qc_gate), for "
                                f"step '{before[needed]}': nothing but flags passes the gate.",
                                f"Let '{before[needed]}' take raw by `input`, or a step of its own.")  # fmt: skip
    return [part for part in (_part(context, before, 1), _part(context, plans.keys() - before, 2)) if part.step_plans]


def _needs(plan: DraftStep) -> set[int]:
    links = {link.producer for links in plan.special_inputs.values() for link in links}
    return links if plan.input is None else links | {plan.input}


def _part(context: DraftContext, indices: Container[int], stage: int) -> DraftContext:
    return dataclasses.replace(
        context,
        stage=stage,
        step_plans={index: plan for index, plan in context.step_plans.items() if index in indices},
        step_state_map={index: state for index, state in context.step_state_map.items() if index in indices},
    )
