"""Uneven illumination: the smooth background under small bright objects."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.annotations import Gt
from hcs_lib.core.declare import image_function
from hcs_lib.core.units import Pixels
from hcs_lib.functions.checks import require_plane


@image_function(tags=("background", "illumination"))
def subtract_background(image: NDArray[Any], *, radius: Annotated[Pixels, Gt(0)]) -> NDArray[Any]:
    """Subtract the smooth background, estimated where no bright object is.

    A top-hat transform (Meyer 1979; Gonzalez & Woods, Digital Image Processing, 9.6) with a large window: the
    image is averaged to coarse pixels, opened (minimum, then maximum), smoothed and interpolated back.

    Parameters
    ----------
    image
        Plane (y, x), integer or float, any unit.
    radius
        Half the window, in pixels: larger than the largest object or clump, smaller than the illumination's
        unevenness. Every window must hold some background.

    Returns
    -------
    ndarray
        Plane of the same dtype and unit, nowhere below 0; integers are rounded. Nothing is rescaled.

    Raises
    ------
    ValueError
        For an array that is no plane or not finite, or a radius that is not above 0.
    """
    require_plane("subtract_background", image)
    values = image.astype(np.float64)
    corrected = np.maximum(values - estimate_background(values, radius), 0)
    if np.issubdtype(image.dtype, np.integer):
        corrected = np.rint(corrected)
    restored: NDArray[Any] = corrected.astype(image.dtype)
    return restored


def estimate_background(image: NDArray[Any], radius: float) -> NDArray[Any]:
    """Return the background that `subtract_background` subtracts: a float plane of the shape of the image."""
    from scipy import ndimage

    factor = max(1, int(radius / 8))
    height, width = image.shape
    padded = np.pad(image, ((0, -height % factor), (0, -width % factor)), mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    coarse = padded.reshape(rows, factor, columns, factor).mean((1, 3))
    coarse = ndimage.grey_opening(coarse, 2 * round(radius / factor) + 1, mode="nearest")
    coarse = ndimage.gaussian_filter(coarse, radius / factor / 2, mode="nearest")
    fine: NDArray[Any] = ndimage.zoom(coarse, factor, order=1, mode="nearest", grid_mode=True)[:height, :width]
    return fine
