"""Phase 2: Zarr stores and tables. What will be written, known in full before anything runs."""

from __future__ import annotations

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftStep, DraftStore
from hcs_lib.compiler.images import LABEL_DTYPE
from hcs_lib.core.domains import Domain
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.spec import ArraySpec

MERGED = "merged"
"""Name of the one channel of an image whose channels were merged."""


def declare_zarr_stores_for_context(context: DraftContext) -> None:
    """Declare the store of every image and label image, and the table of every step that yields one.

    Labels lie on an image: where no step keeps one, the raw planes that the pipeline reads are written for it, but for
    those that only image quality is measured on.
    """
    for plan in context.step_plans.values():
        if plan.output == "labels":
            name = plan.source.model.outputs["labels"]
            plan.zarr_store = DraftStore(name, plan.output_domain, _labels(context, plan), plan.outgoing.shapes)
        elif plan.output == "table":
            plan.table = plan.source.model.outputs["table"]
        elif plan.output == "image":
            plan.zarr_store = _image_store(context, plan)
    written = {plan.output: plan for plan in context.step_plans.values()}
    if "labels" in written and "image" not in written:
        if context.image_planes != frozenset(context.image_domain):
            context.problem(written["labels"].source, ("outputs", "labels"),
                            "no step keeps an image, so its labels are to lie on the raw image, whose channels were "
                            "not taken at the same z-planes and time points.",
                            "Say `keep: true` in the step whose image they were made of.")  # fmt: skip
        context.raw_store = _image(context, written["labels"], context.image_domain, context.plate.index.dtype)


def _image_store(context: DraftContext, plan: DraftStep) -> DraftStore | None:
    if plan.outgoing.dtype is None:  # phase 4 says why
        return None
    return _image(context, plan, plan.output_domain, plan.outgoing.dtype)


def _image(context: DraftContext, plan: DraftStep, domain: Domain, dtype: str) -> DraftStore | None:
    """Declare the image of a step, or the raw image below its labels."""
    channels = tuple(name if name is not None else MERGED for name in domain.channel)
    shapes = plan.outgoing.shapes if plan.output == "image" else None
    try:
        return DraftStore(None, domain, _plan(context, domain, dtype, labels=False, channels=channels), shapes)
    except ValueError as error:
        place, image = (("keep",), "its image") if plan.output == "image" else (("outputs", "labels"), "the raw image")
        context.problem(plan.source, place, f"{image} cannot be written: {error}.")
        return None


def _labels(context: DraftContext, plan: DraftStep) -> ArraySpec:
    return _plan(context, plan.output_domain, LABEL_DTYPE, labels=True)


def _plan(
    context: DraftContext, domain: Domain, dtype: str, *, labels: bool, channels: tuple[str, ...] = ()
) -> ArraySpec:
    rows, columns = context.plate.index.shape
    return plan_array(
        {"t": len(domain.t), "c": len(domain.channel), "z": len(domain.z), "y": rows, "x": columns},
        dtype,
        labels=labels,
        channels=channels,
        pixel_size_um=context.plate.pixel_size_um,
        z_spacing_um=context.plate.index.z_spacing_um,
        time_interval_s=context.plate.time_interval_s(domain.t),
        ome_zarr=context.ome_zarr,
    )
