"""Brightness of objects in one channel, and where it lies."""

from __future__ import annotations

import numpy as np

from hcs_lib.functions.objects import Array, ObjectPixels

INTENSITY = (
    "IntegratedIntensity", "IntegratedIntensityEdge", "LowerQuartileIntensity", "MADIntensity", "MassDisplacement",
    "MaxIntensity", "MaxIntensityEdge", "MeanIntensity", "MeanIntensityEdge", "MedianIntensity", "MinIntensity",
    "MinIntensityEdge", "StdIntensity", "StdIntensityEdge", "UpperQuartileIntensity",
)  # fmt: skip
"""Features of `Intensity`, in the order of the table."""


def measure_intensity(objects: ObjectPixels, plane: Array, y: Array, x: Array) -> tuple[dict[str, Array], Array, Array]:
    """Measure the features of `INTENSITY` and the centre of mass: one value per object that is there.

    Parameters
    ----------
    objects
        The objects.
    plane
        The channel, (y, x).
    y, x
        Centres of the objects.

    Returns
    -------
    features, y, x
        By name; and the centre of mass of brightness, NaN where an object is black.

    Raises
    ------
    ValueError
        Where an object holds NaN or infinity.
    """
    segments = objects.segments
    raw = plane.ravel()[objects.pixels]
    if raw.dtype == np.bool_:
        raw = raw.astype(np.uint8)
    values = raw.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("an object holds NaN or infinity in the image that is measured")
    total = segments.sum(values)
    ordered = segments.sort(raw)
    median = segments.quantile(ordered, 0.5)
    deviation = 2 * np.abs(ordered - segments.spread(median))
    if np.issubdtype(raw.dtype, np.integer) and raw.dtype.itemsize <= 2:
        # Twice the deviation from a median of integers is an integer, which sorts faster.
        deviation = deviation.astype(np.int32)
    with np.errstate(divide="ignore", invalid="ignore"):
        mass_y = np.where(total != 0, segments.sum(values * objects.y) / total, np.nan)
        mass_x = np.where(total != 0, segments.sum(values * objects.x) / total, np.nan)
    edge, edges = values[objects.edge], objects.edge_segments
    measured = {
        "IntegratedIntensity": total,
        "IntegratedIntensityEdge": edges.sum(edge),
        "LowerQuartileIntensity": segments.quantile(ordered, 0.25),
        "MADIntensity": segments.quantile(segments.sort(deviation), 0.5) / 2,
        "MassDisplacement": np.hypot(mass_y - y, mass_x - x),
        "MaxIntensity": ordered[segments.ends],
        "MaxIntensityEdge": edges.max(edge),
        "MeanIntensity": total / segments.counts,
        "MeanIntensityEdge": edges.mean(edge),
        "MedianIntensity": median,
        "MinIntensity": ordered[segments.starts],
        "MinIntensityEdge": edges.min(edge),
        "StdIntensity": segments.std(values),
        "StdIntensityEdge": edges.std(edge),
        "UpperQuartileIntensity": segments.quantile(ordered, 0.75),
    }
    return {name: measured[name].astype(np.float64) for name in INTENSITY}, mass_y, mass_x
