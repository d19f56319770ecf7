"""Mosaics: what an image of many tiles spans, well by well, known before anything runs."""

from __future__ import annotations

from hcs_lib.compiler.arguments import all_fit
from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftStep
from hcs_lib.compiler.functions import import_hook
from hcs_lib.compiler.images import ImageType, Shapes
from hcs_lib.registry.entry import FunctionEntry


def find_shapes(context: DraftContext, plan: DraftStep, call: DraftCall, image: ImageType) -> Shapes | None:
    """Return what the positions that a call tells span, or the mosaic that it makes; None where that is not known.

    `image` is what the call is given.
    """
    entry = call.entry
    if entry is None or entry.shape is None:
        return None
    if entry.shape in entry.special_inputs:
        return _told_before(context, plan, call, entry.shape)
    known = image.shapes is None and image.resized_by is None and all_fit(entry, call.args)
    return _told(context, plan, call, entry) if known and plan.stack is not None else None


def _told_before(context: DraftContext, plan: DraftStep, call: DraftCall, parameter: str) -> Shapes | None:
    """Return what the function told that gave a special input."""
    for link in plan.special_inputs.get(parameter, ()) if parameter in call.special_inputs else ():
        producer = context.step_plans[link.producer]
        slots = {slot for slot, name in producer.source.model.outputs.items() if name == link.name}
        told = [
            made.shapes
            for value, chain in producer.pattern.items()
            for made in chain
            if link.axis is None or value == str(link.value)
            if made.entry and slots & set(made.entry.special_outputs)
        ]
        if told and all(shapes == told[0] for shapes in told):
            return told[0]
    return None


def _told(context: DraftContext, plan: DraftStep, call: DraftCall, entry: FunctionEntry) -> Shapes | None:
    """Ask the function itself."""
    assert entry.shape is not None
    stack = (len(plan.domain.values(plan.stack or "site")), *context.plate.index.shape)
    shapes = {}
    for well in context.wells:
        try:
            rows, columns = import_hook(entry, entry.shape)(stack, **call.args_of(well))
        except ValueError as error:
            context.problem(plan.source, call.source.location, f"{entry.id} of well {well}: {error}.")
            return None
        shapes[well] = (int(rows), int(columns))
    return shapes
