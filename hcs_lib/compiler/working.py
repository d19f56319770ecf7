"""What functions work with, and what a process takes before it holds any image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import FunctionCall

_DEFAULT = 32.0
"""Bytes for each pixel, of functions that were not measured: three of four that were need no more."""

_INTERPRETER_MB = 70
"""Of a process that reads planes, and writes images (`benchmarks/estimates.py`, as those below)."""

_TABLES_MB = 25
"""More of one that writes tables."""

_LIBRARIES_MB = {"scipy": 15, "skimage": 35, "torch": 260, "pyclesperanto": 240}
"""More of one that has imported a library."""


def working_bytes(call: FunctionCall, *, volume: bool, narrow: bool) -> float:
    """Return the bytes for each pixel that a function sees at once, beside its image and its result.

    `benchmarks/working.py` measures them, on planes and volumes, of pixels of two bytes (`narrow`) and of eight. A
    function for GPUs works as the one of the same name on the CPU.
    """
    name = (call.twin_of or call.call).removeprefix("cupyx.").removeprefix("cucim.")
    planes, volumes = _measured().get(name, ((), ()))
    measured = (volumes or planes) if volume else (planes or volumes)
    if not measured:
        return _DEFAULT
    return measured[0] if narrow else max(measured)


def base_mb(context: FrozenContext) -> int:
    """Return the megabytes of a process that has imported what a context needs."""
    used = {function.library.partition(".")[0] for function in context.functions}
    used |= {
        name.replace("scikit-image", "skimage") for function in context.functions for name in function.dependencies
    }
    tables = any(plan.table for plan in context.step_plans.values())
    libraries = sum(size for name, size in _LIBRARIES_MB.items() if name in used)
    return _INTERPRETER_MB + _TABLES_MB * tables + libraries


@cache
def _measured() -> Mapping[str, tuple[list[float], list[float]]]:
    """Return what was measured of planes and of volumes: with narrow pixels first."""
    table = json.loads(files("hcs_lib.compiler").joinpath("working.json").read_bytes())
    return {name: (_known(four[:2]), _known(four[2:])) for name, four in table.items()}


def _known(sizes: list[float | None]) -> list[float]:
    return [size for size in sizes if size is not None]
