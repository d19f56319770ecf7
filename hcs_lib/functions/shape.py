"""Size and shape of objects."""

from __future__ import annotations

import math

import numpy as np

from hcs_lib.functions.objects import CORNERS, SIDES, Array, ObjectPixels, neighbour_values

SHAPE = (
    "Area", "BoundingBoxArea", "BoundingBoxMaximum_X", "BoundingBoxMaximum_Y", "BoundingBoxMinimum_X",
    "BoundingBoxMinimum_Y", "Center_X", "Center_Y", "Eccentricity", "EquivalentDiameter", "Extent", "FormFactor",
    "MajorAxisLength", "MinorAxisLength", "Orientation", "Perimeter", "TouchesBorder",
)  # fmt: skip
"""Features of `AreaShape`, in the order of the table."""

# Length by the code of a border pixel: 1 + 2 × neighbours at its sides + 10 × at its corners (Benkrid et al. 2000).
_LENGTHS = np.zeros(50)
_LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
_LENGTHS[[21, 33]] = math.sqrt(2)
_LENGTHS[[13, 23]] = (1 + math.sqrt(2)) / 2


def measure_shape(objects: ObjectPixels, shape: tuple[int, int]) -> dict[str, Array]:
    """Measure the features of `SHAPE` of objects in a plane of the given shape: one value per object that is there."""
    segments = objects.segments
    area = segments.counts.astype(np.float64)
    top, bottom = objects.y[segments.starts], objects.y[segments.ends]
    left, right = segments.min(objects.x), segments.max(objects.x)
    y, x = segments.mean(objects.y), segments.mean(objects.x)
    dy, dx = objects.y - segments.spread(y), objects.x - segments.spread(x)
    yy, xx, xy = segments.mean(dy * dy), segments.mean(dx * dx), segments.mean(dx * dy)
    # Eigenvalues of the covariance are squares of the half axes of the ellipse of the same second moments, over 4.
    centre, radius = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    major, minor = centre + radius, np.maximum(centre - radius, 0)
    box = (bottom - top + 1.0) * (right - left + 1.0)
    perimeter = _perimeter(objects)
    with np.errstate(divide="ignore", invalid="ignore"):
        form_factor = np.where(perimeter > 0, 4 * math.pi * area / perimeter**2, np.nan)
        eccentricity = np.where(major > 0, np.sqrt(1 - minor / major), 0)
    values = {
        "Area": area,
        "BoundingBoxArea": box,
        "BoundingBoxMaximum_X": right + 1.0,
        "BoundingBoxMaximum_Y": bottom + 1.0,
        "BoundingBoxMinimum_X": left + 0.0,
        "BoundingBoxMinimum_Y": top + 0.0,
        "Center_X": x,
        "Center_Y": y,
        "Eccentricity": eccentricity,
        "EquivalentDiameter": np.sqrt(4 * area / math.pi),
        "Extent": area / box,
        "FormFactor": form_factor,
        "MajorAxisLength": 4 * np.sqrt(major),
        "MinorAxisLength": 4 * np.sqrt(minor),
        "Orientation": np.degrees(np.arctan2(2 * xy, yy - xx) / 2),
        "Perimeter": perimeter,
        "TouchesBorder": (top == 0) | (left == 0) | (bottom == shape[0] - 1) | (right == shape[1] - 1),
    }
    return {name: values[name].astype(np.float64) for name in SHAPE}


def _perimeter(objects: ObjectPixels) -> Array:
    """Length of the line through the centres of border pixels, as `skimage.measure.perimeter` (4-connected)."""
    y, x = objects.y[objects.edge], objects.x[objects.edge]
    own = objects.padded[y + 1, x + 1]
    border = np.zeros_like(objects.padded)
    border[y + 1, x + 1] = own
    code = np.ones(own.size, np.int64)
    for neighbours, weight in ((SIDES, 2), (CORNERS, 10)):
        for values in neighbour_values(border, y, x, neighbours):
            code += weight * (values == own)
    return objects.edge_segments.sum(_LENGTHS[code])
