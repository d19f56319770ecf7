"""What a stage of a well needs: memory, estimated from shapes and dtypes, and the bytes that it reads and writes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import FunctionCall, StepPlan, ZarrStore
from hcs_lib.core.domains import Domain

BASE_MB = 300
"""Of a process that has the image libraries loaded."""

DEVICE_MB = 600
"""Of one that has a library for GPUs loaded too."""

_WORKING_PLANES = 6
"""Planes of float64 that a function works with beside its image and its result."""

_WORKING_VOLUMES = 3
"""Volumes of float64 that a function works with which filters z-planes as one."""

_UNKNOWN = "float64"
"""What is reckoned with where a dtype is not known."""


class Resources(NamedTuple):
    """Megabytes of memory at the peak; bytes of pixels read and, before they are compressed, written."""

    memory_mb: int
    read: int
    written: int


def resources_of(context: FrozenContext) -> Resources:
    """Estimate what the execution of a context needs."""
    plane = math.prod(context.plane_shape)
    size = plane * itemsize(context.plane_dtype)
    stores = [plan.zarr_store for plan in context.step_plans.values() if plan.zarr_store]
    stores += [context.raw_store] if context.raw_store else []
    return Resources(
        memory_mb=memory_mb(context.step_plans, context.plane_shape, context.plane_dtype, context.raw_store),
        read=len(context.planes) * size,
        written=sum(len(store.groups) * _stored(store) for store in stores),
    )


def memory_mb(
    plans: Mapping[int, StepPlan], plane_shape: tuple[int, int], plane_dtype: str, raw_store: ZarrStore | None
) -> int:
    """Estimate the memory of a process that executes the steps of one well.

    Calls run just before what takes anything from them: of each step, and of the raw planes, as much is held as later
    steps stack. The raw planes of one group more are read ahead. The images of a site that are written are put together
    in memory.
    """
    plane = math.prod(plane_shape)
    last, stacked = _last_uses(plans), _stacked_later(plans)
    raw_last = max((index for index, plan in plans.items() if plan.input is None), default=-1)
    raw = max(
        (_group(plan.domain, stacked[index] | {plan.stack}) for index, plan in plans.items() if plan.input is None),
        default=0,
    )
    pixels: dict[int, int] = {}
    peak = 0
    for index, plan in plans.items():
        before = pixels.get(plan.input, plane) if plan.input is not None else plane
        pixels[index] = _pixels(plan, before)
        held = sum(
            _group(other.output_domain, stacked[number]) * pixels[number] * itemsize(other.dtype or _UNKNOWN)
            for number, other in plans.items()
            if number <= index <= last[number] and other.returns in ("image", "labels", "mask")
        )
        if index <= raw_last:
            held += 2 * raw * plane * itemsize(plane_dtype)
        peak = max(peak, held + _working(plan, before, plane_dtype, plans))
    stores = [raw_store, *(plan.zarr_store for plan in plans.values())]
    written = sum(_stored(store) for store in stores if store)
    types = {call.memory_type for plan in plans.values() for call in _calls(plan)}
    return (BASE_MB if types <= {"numpy"} else DEVICE_MB) + math.ceil((peak + written) / 2**20)


def _last_uses(plans: Mapping[int, StepPlan]) -> dict[int, int]:
    """Return the last step that takes anything from each."""
    last = {index: index for index in plans}
    for index, plan in plans.items():
        for producer in _producers(plan):
            if producer in last:
                last[producer] = max(last[producer], index)
    return last


def _stacked_later(plans: Mapping[int, StepPlan]) -> dict[int, set[str | None]]:
    """Return the axes that steps stack which take anything from each, or from what does."""
    found: dict[int, set[str | None]] = {index: set() for index in plans}
    for index in sorted(plans, reverse=True):
        for producer in _producers(plans[index]):
            if producer in found:
                found[producer] |= found[index] | {plans[index].stack}
    return found


def _producers(plan: StepPlan) -> set[int]:
    links = {link.producer for linked in plan.special_inputs.values() for link in linked}
    return links if plan.input is None else links | {plan.input}


def _group(domain: Domain, axes: Iterable[str | None]) -> int:
    """Return how many planes of a domain are stacked together, over some axes."""
    return math.prod(len(domain.values(axis)) for axis in axes if axis is not None)


def _calls(plan: StepPlan) -> list[FunctionCall]:
    return [call for chain in (plan.func.chain, *plan.func.routes.values()) for call in chain]


def itemsize(dtype: str) -> int:
    """Return the bytes of one pixel."""
    bits = re.search(r"\d+$", dtype)
    return int(bits[0]) // 8 if bits else 1


def _pixels(plan: StepPlan, before: int) -> int:
    """Return the pixels of one plane that a step gives; a mosaic that is not stored has at most those of its tiles."""
    if plan.zarr_store is not None:
        return math.prod(plan.zarr_store.array.shape[-2:])
    mosaic = plan.stack == "site" and plan.output_domain.site == (None,) and plan.special_inputs
    return before * len(plan.domain.site) if mosaic else before


def _stacked(plan: StepPlan) -> int:
    return len(plan.domain.values(plan.stack)) if plan.stack else 1


def _working(plan: StepPlan, pixels: int, plane_dtype: str, plans: Mapping[int, StepPlan]) -> int:
    """Return the bytes of a call: its stacked image, and what its functions work with."""
    producer = plans.get(plan.input) if plan.input is not None else None
    given = itemsize(plane_dtype) if plan.input is None else itemsize((producer and producer.dtype) or _UNKNOWN)
    stack = _stacked(plan) * pixels * given
    whole = any(call.contract in ("PURE_3D", "FLEXIBLE") and not call.slice_by_slice for call in _calls(plan))
    work = _WORKING_PLANES * pixels * 8
    if plan.stack and whole:
        # Only z-planes are filtered as a volume; channels and sites are looked at together.
        volumes = _WORKING_VOLUMES if plan.stack == "z" else 1
        work = max(work, volumes * _stacked(plan) * pixels * 8)
    # What reduces a stack sorts or sums a copy of it.
    return 2 * stack + work


def _stored(store: ZarrStore) -> int:
    """Return the bytes of one image with its resolution levels, before they are compressed."""
    whole = math.prod(store.array.shape) * itemsize(store.array.dtype)
    return whole if store.array.levels == 1 else whole * 4 // 3
