"""Stages: which steps run in one process, and what passes from one stage to the next.

The last act of phase 5. A stage ends at a gate, where the scope changes, after a checkpoint, and around the steps
that need a GPU: it is held from the first of them to the last. What a step gives to later stages goes into a temporary
store, unless it is written anyhow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Sequence

from hcs_lib.compiler.draft import DraftContext, DraftPassed, DraftStage
from hcs_lib.compiler.draft_step import DraftStep
from hcs_lib.contexts.context import PLATE, Scope


def divide_into_stages(drafts: Sequence[DraftContext], *, gated: bool) -> list[DraftContext]:
    """Return the parts of all drafts, stage by stage. That of a stage of the plate stands once, for all of them."""
    stages = _stages(drafts, gated=gated)
    parts = []
    for stage in stages:
        mine = [part for part in (_part(draft, stage, stages) for draft in drafts) if part.step_plans]
        parts += mine if stage.scope == "well" else [_of_the_plate(mine)]
    return parts


def _of_the_plate(parts: Sequence[DraftContext]) -> DraftContext:
    """Return a part of the plate's scope, alike in all drafts, but that it passes on what any of them takes."""
    passes = {(passed.step_index, passed.name or ""): passed for part in parts for passed in part.passes}
    return dataclasses.replace(parts[0], wells=(PLATE,), passes=tuple(passes[key] for key in sorted(passes)))


def _stages(drafts: Sequence[DraftContext], *, gated: bool) -> tuple[DraftStage, ...]:
    """Return the stages of a plate, in order, for the steps that any of its wells go through.

    With a gate, image quality comes first, with the steps that it is measured after; then the steps of the plate, and
    those of the wells in their order. The gate stands after the last stage that measures.
    """
    plans = {plan.number: plan for draft in drafts for plan in draft.step_plans.values()}
    gpu = dict.fromkeys(plans, 0)
    needs: dict[int, set[int]] = {number: set() for number in plans}
    for draft in drafts:
        for plan in draft.step_plans.values():
            gpu[plan.number] = max(gpu[plan.number], plan.gpu)
            needs[plan.number] |= {draft.step_plans[producer].number for producer, _ in plan.sources}
    measuring = {number for number, plan in plans.items() if plan.measures_sites} if gated else set()
    before = set(measuring)
    for number in sorted(plans, reverse=True):
        if number in before:
            before |= needs[number]
    found: list[tuple[Scope, list[int], bool]] = []
    for early in (True, False):
        chosen = [number for number in sorted(plans) if (number in before) == early]
        for scope in ("plate", "well"):
            mine = [number for number in chosen if plans[number].source.model.scope == scope]
            found += [(scope, run, early) for run in _runs(mine, plans, gpu)]
    last = max((index for index, (_, _, early) in enumerate(found) if early), default=None)
    return tuple(
        DraftStage(
            name=f"s{index + 1:02d}-{'gpu' if any(gpu[number] for number in run) else 'cpu'}",
            scope=scope,
            gpu=max(gpu[number] for number in run),
            steps=tuple(run),
            gated=index == last,
        )
        for index, (scope, run, _) in enumerate(found)
    )


def _runs(numbers: Sequence[int], plans: dict[int, DraftStep], gpu: dict[int, int]) -> Iterator[list[int]]:
    """Divide steps after checkpoints, and around those that need a GPU."""
    segments: list[list[int]] = [[]]
    for number in numbers:
        segments[-1].append(number)
        if plans[number].source.model.checkpoint:
            segments.append([])
    for segment in segments:
        using = [place for place, number in enumerate(segment) if gpu[number]]
        first, last = (using[0], using[-1] + 1) if using else (0, 0)
        yield from (run for run in (segment[:first], segment[first:last], segment[last:]) if run)


def _part(draft: DraftContext, stage: DraftStage, stages: Sequence[DraftStage]) -> DraftContext:
    plans = draft.step_plans
    inside = {index for index, plan in plans.items() if plan.number in stage.steps}
    labelled = (other for other in stages if any(_writes_labels(plan, other) for plan in plans.values()))
    return dataclasses.replace(
        draft,
        stage=stage,
        step_plans={index: plans[index] for index in plans if index in inside},
        step_state_map={index: state for index, state in draft.step_state_map.items() if index in inside},
        raw_store=draft.raw_store if next(labelled, None) is stage else None,
        takes=_passed(draft, stages, inside, plans.keys() - inside),
        passes=_passed(draft, stages, plans.keys() - inside, inside),
    )


def _writes_labels(plan: DraftStep, stage: DraftStage) -> bool:
    return plan.output == "labels" and plan.number in stage.steps


def _passed(
    draft: DraftContext, stages: Sequence[DraftStage], takers: Iterable[int], givers: Collection[int]
) -> tuple[DraftPassed, ...]:
    """Return what some steps take from others, in the order of the steps that give it."""
    plans = draft.step_plans
    wanted = {source for taker in takers for source in plans[taker].sources if source[0] in givers}
    return tuple(
        DraftPassed(
            stage=next(stage for stage in stages if plans[producer].number in stage.steps),
            step_index=producer,
            step_name=plans[producer].name,
            name=name,
            domain=plans[producer].domain_of(name),
            store=plans[producer].zarr_store if _is_written(plans[producer], name) else None,
            dtype=plans[producer].dtype_of(name),
        )
        for producer, name in sorted(wanted, key=lambda source: (source[0], source[1] or ""))
    )


def _is_written(plan: DraftStep, name: str | None) -> bool:
    """Tell whether the images or label images are written to the plate's store anyhow."""
    if plan.output == "image":
        return name is None or name == plan.name_of_images
    return plan.output == "labels" and (
        name == plan.source.model.outputs["labels"] or (name is None and plan.outgoing.kind == "labels")
    )
