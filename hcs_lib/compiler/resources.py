"""What a stage of a well needs: memory, estimated from shapes and dtypes, and the bytes that it reads and writes.

Estimates are no part of contexts: another estimate runs nothing again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hcs_lib.compiler.replay import LEVELS, peak_bytes
from hcs_lib.compiler.working import base_mb
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import ZarrStore
from hcs_lib.core.dtypes import itemsize

DEVICE_MB = 500
"""What a process takes of a GPU before any array: the context of CUDA, and the kernels of a library."""


class Resources(NamedTuple):
    """Megabytes of memory and of GPU memory at the peak; bytes of pixels read and, before compression, written.

    `gpu_mb` is 0 where no step needs a GPU.
    """

    memory_mb: int
    gpu_mb: int
    read: int
    written: int


def resources_of(context: FrozenContext) -> Resources:
    """Estimate what the execution of a context needs."""
    plans = context.step_plans.values()
    stores = [store for store in (context.raw_store, *(plan.zarr_store for plan in plans)) if store is not None]
    peak = peak_bytes(context)
    return Resources(
        memory_mb=base_mb(context) + math.ceil(peak["host"] / 2**20),
        gpu_mb=DEVICE_MB + math.ceil(peak["device"] / 2**20) if any(plan.gpu for plan in plans) else 0,
        read=len(context.planes) * math.prod(context.plane_shape) * itemsize(context.plane_dtype),
        written=sum(len(store.groups) * _stored(store) for store in stores),
    )


def _stored(store: ZarrStore) -> int:
    """Return the bytes of one image with its resolution levels, before they are compressed."""
    whole = math.prod(store.array.shape) * itemsize(store.array.dtype)
    return whole if store.array.levels == 1 else int(whole * LEVELS)
