"""Flat-field correction: the unevenness of illumination that all images of a channel share."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.annotations import Gt
from hcs_lib.core.declare import image_function
from hcs_lib.core.units import Pixels
from hcs_lib.functions.checks import require_plane

_BLOCK = 2**24
"""Values of the stack that are sorted at a time for the median."""


@image_function(
    accepts=(3,), coupling="reduces", axis="site", dtypes="float32",
    tags=("illumination", "flat", "shading", "vignette"),
)  # fmt: skip
def estimate_flat_field(stack: NDArray[Any], *, sigma: Annotated[Pixels, Gt(0)] | None = None) -> NDArray[np.float32]:
    """Estimate how unevenly a channel is illuminated, from many images of it.

    The median of each pixel over all images, in which what is at any one place differs, smoothed by a Gaussian
    (Singh et al., J. Microsc. 256, 231 (2014), doi:10.1111/jmi.12178; CellProfiler's CorrectIlluminationCalculate).
    It holds where most images have background, or cells of like brightness, at every place.

    Parameters
    ----------
    stack
        Planes (n, y, x) of one channel, integer or float, n ≥ 1; ten and more are wanted.
    sigma
        Width of the Gaussian, a length. By default a tenth of the longer side.

    Returns
    -------
    ndarray
        Plane (y, x) of float32 with a mean of 1, by which images are divided (`apply_flat_field`).

    Raises
    ------
    ValueError
        For an array that is no stack of finite values, a sigma that is not positive, or a median that is
        nowhere above 0.
    """
    from scipy import ndimage

    if stack.ndim != 3 or stack.size == 0:
        raise ValueError(f"estimate_flat_field expects a stack (n, y, x), not an array of shape {stack.shape}")
    rows = max(1, _BLOCK // (stack.shape[0] * stack.shape[2]))
    median = np.concatenate(
        [np.median(stack[:, start : start + rows], axis=0) for start in range(0, stack.shape[1], rows)]
    ).astype(np.float64)
    require_plane("estimate_flat_field", median)
    smooth = ndimage.gaussian_filter(median, max(median.shape) / 10 if sigma is None else sigma, mode="nearest")
    if smooth.min() <= 0:
        raise ValueError("estimate_flat_field: the median of the images is not above 0 everywhere")
    flat: NDArray[np.float32] = (smooth / smooth.mean()).astype(np.float32)
    return flat


@image_function(special_inputs=("flat_field",), generic=True, tags=("illumination", "flat", "shading", "vignette"))
def apply_flat_field(image: NDArray[Any], flat_field: NDArray[Any]) -> NDArray[Any]:
    """Divide an image by a flat field.

    Parameters
    ----------
    image
        Plane (y, x), integer or float, any unit.
    flat_field
        Plane (y, x) with a mean of 1, from `estimate_flat_field`.

    Returns
    -------
    ndarray
        Plane of the same dtype and unit; integers are rounded, and end at the bounds of their dtype.

    Raises
    ------
    ValueError
        For arrays of different shapes, or a flat field that is not finite and above 0 everywhere.
    """
    if image.ndim != 2 or image.shape != flat_field.shape:
        raise ValueError(
            f"apply_flat_field: the flat field has the shape {flat_field.shape}, and the image {image.shape}"
        )
    if not (np.isfinite(flat_field).all() and flat_field.min() > 0):
        raise ValueError("apply_flat_field expects a flat field that is finite and above 0 everywhere")
    corrected = image / flat_field.astype(np.float64)
    if np.issubdtype(image.dtype, np.integer):
        bounds = np.iinfo(image.dtype)
        corrected = np.clip(np.rint(corrected), bounds.min, bounds.max)
    restored: NDArray[Any] = corrected.astype(image.dtype)
    return restored
