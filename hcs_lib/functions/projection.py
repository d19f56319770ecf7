"""Projections: a stack of planes into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.declare import image_function

METHODS: dict[str, Callable[..., Any]] = {"max": np.max, "mean": np.mean, "min": np.min, "median": np.median}


@image_function(accepts=(3,), coupling="reduces", generic=True, tags=("projection", "z"))
def project(stack: NDArray[Any], *, method: Literal["max", "mean", "min", "median"] = "max") -> NDArray[Any]:
    """Project a stack onto one plane, as ImageJ's Z Project and CellProfiler's MakeProjection do.

    Parameters
    ----------
    stack
        Planes (n, y, x), any real dtype, n ≥ 1.
    method
        What is kept of the n values of a pixel.

    Returns
    -------
    ndarray
        Plane (y, x) of the dtype of the stack. Mean and median of integers are rounded half to even.

    Raises
    ------
    ValueError
        For an array that is no stack of at least one plane, or an unknown method.
    """
    if stack.ndim != 3 or len(stack) == 0:
        raise ValueError(f"project expects a stack (n, y, x) with n ≥ 1, not an array of shape {stack.shape}")
    plane: NDArray[Any] = METHODS[method](stack, axis=0)
    if plane.dtype != stack.dtype and not np.issubdtype(stack.dtype, np.inexact):
        plane = np.rint(plane)
    return plane.astype(stack.dtype, copy=False)
