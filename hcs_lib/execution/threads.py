"""Threads of libraries are part of the plan, never of the machine."""

from __future__ import annotations

import os

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLOSC_NTHREADS",
    "ZARR_THREADING__MAX_WORKERS",
)


def limit_threads(threads: int) -> None:
    """Set the number of threads of numerical libraries that are imported after this call."""
    for variable in _VARIABLES:
        os.environ[variable] = str(threads)
