"""Threads of libraries are part of the plan, never of the machine."""

from __future__ import annotations

import os

VARIABLES = (
    # OpenMP: scikit-image, torch, OpenCV where built so; Arrow asks for it too.
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "BLOSC_NTHREADS",
    "ZARR_THREADING__MAX_WORKERS",
    "ARROW_IO_THREADS",
    # OpenCL on the CPU by pocl, before and since its version 4.
    "POCL_MAX_PTHREAD_COUNT",
    "POCL_CPU_MAX_CU_COUNT",
)
"""What libraries read when they are imported, or first need threads."""


def limit_threads(threads: int) -> None:
    """Set the number of threads of numerical libraries that are imported after this call."""
    for variable in VARIABLES:
        os.environ[variable] = str(threads)
