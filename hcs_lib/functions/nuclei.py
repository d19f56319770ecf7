"""Nuclei: bright, compact objects on a darker background, each with a label of its own."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.annotations import Above, Gt, Lt
from hcs_lib.core.declare import image_function
from hcs_lib.core.units import Fraction, Pixels
from hcs_lib.functions.background import estimate_background
from hcs_lib.functions.checks import require_plane
from hcs_lib.functions.declumping import fill_holes, split_clumps

NOISE_FLOOR = 3.0
"""Standard deviations of the smoothed noise by which foreground must exceed the background."""


@image_function(returns="labels", dtypes="int32", tags=("segmentation", "nuclei", "threshold", "watershed"))
def segment_nuclei(
    image: NDArray[Any],
    *,
    min_diameter: Annotated[Pixels, Gt(0)],
    max_diameter: Annotated[Pixels, Above("min_diameter")] | None = None,
    smoothing: Pixels | None = None,
    background_radius: Annotated[Pixels, Gt(0)] | None = None,
    threshold: Literal["li", "otsu"] | float = "li",
    boundary: Annotated[Fraction, Lt(1)] = 0.5,
    declump: Literal["shape", "intensity", "none"] = "shape",
    min_distance: Annotated[Pixels, Gt(0)] | None = None,
    neck: Annotated[Fraction, Gt(0)] = 0.95,
    discard_border: bool = False,
) -> NDArray[np.int32]:
    """Segment nuclei. On many plates only the diameter need be given.

    1. The image is smoothed, and its background (uneven illumination, haze) estimated and taken off.
    2. Foreground is what lies above a threshold of the plane: minimum cross-entropy (Li & Lee 1993, the default
       of CellProfiler's IdentifyPrimaryObjects) or Otsu (1979); never less than three standard deviations of the
       noise (Immerkær 1996, with the median), so that an empty well has no nuclei.
    3. Each basin of brightness gets a boundary of its own at a fraction of its height (full width at half
       maximum): bright nuclei keep no halo, and dim ones beside them keep their size.
    4. Holes are filled, and clumps split by a watershed from the maxima of the smoothed distance to the boundary
       (Malpica et al. 1997) or of the brightness; parts without a real neck between them are joined again.
    5. Objects outside the diameters are discarded, as by CellProfiler.

    Parameters
    ----------
    image
        Plane (y, x), integer or float, any unit. Its values are not rescaled.
    min_diameter, max_diameter
        Smallest and largest diameter of a nucleus (of the circle of the same area), in pixels. `min_diameter`
        also sets the scales of the steps above: about two thirds of a typical nucleus does well.
    smoothing
        Standard deviation of the Gaussian, in pixels. Default: a tenth of `min_diameter`.
    background_radius
        Half the window of the background, in pixels: see `subtract_background`. Default: 4 × `min_diameter`.
    threshold
        `li`, `otsu`, or a number: brightness above the background, in the unit of the image.
    boundary
        Where the boundary of a nucleus lies between background (0) and its plateau (1). Higher is tighter.
    declump
        Split touching nuclei by `shape`, by `intensity`, or not (`none`).
    min_distance
        Smallest distance between centres of nuclei, in pixels. Default: three quarters of `min_diameter`.
    neck
        Two parts stay apart where what joins them is narrower (`intensity`: darker) than this fraction of the
        smaller part. 1 keeps every split, lower values join more.
    discard_border
        Leave out nuclei that touch the border of the plane.

    Returns
    -------
    ndarray of int32
        Labels (y, x): 0 background, 1 … n in the order in which the watershed finds them, without gaps.

    Raises
    ------
    ValueError
        For an array that is no plane or not finite, and for arguments out of range.
    """
    from scipy import ndimage

    require_plane("segment_nuclei", image)
    scale = smoothing if smoothing is not None else min_diameter / 10
    distance = min_distance if min_distance is not None else 0.75 * min_diameter
    values = image.astype(np.float32)
    smooth = ndimage.gaussian_filter(values, scale)
    background = estimate_background(smooth, background_radius or 4 * min_diameter)
    height = smooth - background
    foreground = height > _threshold(values, height, threshold, scale)
    if not foreground.any():
        return np.zeros(image.shape, np.int32)

    hole = math.pi / 4 * min_diameter**2
    # Coarser than the texture of chromatin, finer than the distance between nuclei.
    brightness = np.maximum(ndimage.gaussian_filter(values, max(scale, min_diameter / 6)) - background, 0)
    basins = split_clumps(brightness, fill_holes(foreground, hole), distance, neck=1)
    foreground = fill_holes(foreground & (height > boundary * _plateau(height, basins)), hole)
    if declump == "none":
        labels = ndimage.label(foreground)[0]
    else:
        field = brightness
        if declump == "shape":
            depth = ndimage.distance_transform_edt(foreground).astype(np.float32)
            field = ndimage.gaussian_filter(depth, min_diameter / 10)
        labels = split_clumps(field, foreground, distance, neck)
    return _select(labels, min_diameter, max_diameter, discard_border)


def _threshold(values: NDArray[Any], height: NDArray[Any], threshold: str | float, scale: float) -> float:
    """Return the level of `height` above which a pixel is foreground."""
    from skimage.filters import threshold_li, threshold_otsu

    if not isinstance(threshold, str):
        return float(threshold)
    level = float((threshold_li if threshold == "li" else threshold_otsu)(height))
    below = height[height <= level]
    # A Gaussian of this scale leaves that share of the deviation of white noise.
    share = 1 / (2 * math.sqrt(math.pi) * scale) if scale > 0.3 else 1.0
    return max(level, float(below.mean()) + NOISE_FLOOR * share * _noise(values))


def _noise(values: NDArray[Any]) -> float:
    """Estimate the standard deviation of white noise: median response of the Laplacian difference mask."""
    if min(values.shape) < 3:
        return 0.0
    rows = values[:-2] - 2 * values[1:-1] + values[2:]
    response = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.median(np.abs(response))) / (6 * 0.6745)


def _plateau(height: NDArray[Any], basins: NDArray[Any]) -> NDArray[Any]:
    """Return, for every pixel, the brightness of the upper part of its basin (0 outside)."""
    labels, values = basins.ravel(), height.ravel()
    size = int(labels.max()) + 1
    mean = np.bincount(labels, values, size) / np.maximum(np.bincount(labels, minlength=size), 1)
    upper = (labels > 0) & (values >= mean[labels])
    labels, values = labels[upper], values[upper]
    plateau = np.bincount(labels, values, size) / np.maximum(np.bincount(labels, minlength=size), 1)
    return np.asarray(plateau[basins])


def _select(
    labels: NDArray[Any], min_diameter: float, max_diameter: float | None, discard_border: bool
) -> NDArray[np.int32]:
    """Keep objects of the right size (and off the border), numbered without gaps."""
    area = np.bincount(labels.ravel())
    keep = area >= math.pi / 4 * min_diameter**2
    if max_diameter is not None:
        keep &= area <= math.pi / 4 * max_diameter**2
    if discard_border:
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[side] = False
    keep[0] = False
    number = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    selected: NDArray[np.int32] = number[labels]
    return selected
