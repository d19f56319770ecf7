"""Phase 3: materialization. Where each step reads from and writes to, and what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftStep
from hcs_lib.contexts.plans import Backend

_WRITES: dict[str | None, Backend] = {None: "memory", "image": "zarr", "labels": "zarr", "table": "table"}


def plan_materialization_flags_for_context(context: DraftContext) -> None:
    """Set the backends, and refuse targets that collide and results that go nowhere."""
    for plan in context.step_plans.values():
        plan.read_backend = "raw" if plan.input is None else "memory"
        plan.write_backend = _WRITES[plan.output]
        plan.keep = plan.output == "image"
    _check_targets(context)
    _check_labels_lie_on_image(context)
    _check_nothing_is_lost(context)


def _check_targets(context: DraftContext) -> None:
    """One image, one table of objects, and one of sites, for each pipeline."""
    for output, sites, place, does in (
        ("image", False, ("keep",), "its image is kept"),
        ("table", False, ("outputs", "table"), "it yields the table"),
        ("table", True, ("outputs", "table"), "it yields the table of sites"),
    ):
        plans = [plan for plan in context.step_plans.values() if plan.output == output and plan.measures_sites == sites]
        for plan in plans[1:]:
            context.problem(plan.source, place, f"{does}, but step '{plans[0].name}' does that; only one can.")
    for plan in context.step_plans.values():
        if plan.source.model.keep and plan.output != "image":
            context.problem(plan.source, ("keep",), "only images are kept by `keep`; labels and tables always are.")


def _check_labels_lie_on_image(context: DraftContext) -> None:
    image = next((plan for plan in context.step_plans.values() if plan.keep), None)
    under = image.output_domain if image else context.image_domain
    name = f"the image of step '{image.name}'" if image else "the raw image"
    for plan in context.step_plans.values():
        if plan.output != "labels":
            continue
        if plan.outgoing.shapes != (image.outgoing.shapes if image else None):
            context.problem(plan.source, ("outputs", "labels"),
                            f"its labels do not have the size of {name}, on which they are to lie.",
                            "Keep the image that they were made of.")  # fmt: skip
            continue
        for axis in ("site", "z", "t"):
            mine, there = plan.output_domain.values(axis), under.values(axis)
            if len(mine) > 1 and not set(mine) <= set(there):
                context.problem(plan.source, ("outputs", "labels"),
                                f"its labels have {len(mine)} values of {axis}, and {name}, on which they are to lie, "
                                f"has {len(there)}.")  # fmt: skip
            elif axis == "site" and len(there) > 1 and len(mine) <= 1:
                context.problem(plan.source, ("outputs", "labels"),
                                f"its labels have no site, and {name}, on which they are to lie, has {len(there)}.",
                                "Keep an image that was made of all sites.")  # fmt: skip


def check_steps_of_the_plate(contexts: Sequence[DraftContext]) -> None:
    """Refuse steps of the plate whose results go nowhere, in any of its wells."""
    lost = [[plan for plan in _lost(context) if plan.source.model.scope == "plate"] for context in contexts]
    for context, plans in zip(contexts, lost, strict=True):
        everywhere = set.intersection(*({plan.number for plan in others} for others in lost))
        _refuse(context, (plan for plan in plans if plan.number in everywhere))


def _check_nothing_is_lost(context: DraftContext) -> None:
    """Refuse steps of wells whose results go nowhere."""
    _refuse(context, (plan for plan in _lost(context) if plan.source.model.scope == "well"))


def _lost(context: DraftContext) -> list[DraftStep]:
    """Return the steps whose results go nowhere; what a later step names and did not find may be theirs."""
    plans = context.step_plans
    unlinked = max((index for index, plan in plans.items() if not plan.is_linked), default=-1)
    used = {plan.input for plan in plans.values()}
    used |= {link.producer for plan in plans.values() for links in plan.special_inputs.values() for link in links}
    return [plan for index, plan in plans.items() if plan.output is None and index not in used and index >= unlinked]


def _refuse(context: DraftContext, lost: Iterable[DraftStep]) -> None:
    for plan in lost:
        named = ", ".join(plan.source.model.outputs.values())
        use = (
            f"Take {named} by `inputs` of a later step"
            if named
            else "Name its `image` under `outputs`, and take that by `inputs` of a step"
            if plan.source.model.scope == "plate"
            else "Say `keep: true`, name what it yields under `outputs`"
        )
        context.problem(plan.source, ("name",), "its result is used by no other step and written nowhere.",
                        f"{use}, or switch it off with `enabled: false`.")  # fmt: skip
