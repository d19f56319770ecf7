"""Measurements of objects: one row per object, columns named as CellProfiler names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.declare import image_function
from hcs_lib.functions.checks import require_labels
from hcs_lib.functions.intensity import INTENSITY, measure_intensity
from hcs_lib.functions.objects import ObjectPixels
from hcs_lib.functions.shape import SHAPE, measure_shape


@image_function(
    accepts=(3,), returns="table", axis="channel", special_inputs=("labels", "channel_names"), dtypes="float64",
    tags=("measurement", "features", "shape", "intensity"), columns="hcs_lib.functions.measurement:measure_columns",
)  # fmt: skip
def measure_objects(
    image: NDArray[Any], *, labels: Mapping[str, NDArray[Any]], channel_names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Measure size, shape, brightness and location of objects in every channel.

    Names and definitions are those of CellProfiler's MeasureObjectSizeShape and MeasureObjectIntensity, with
    which values agree to the digits it writes, except: brightness is in the unit of the image (CellProfiler
    divides by the largest value of the file's dtype); the border of the plane counts as an edge; quantiles
    interpolate between order statistics as `numpy.quantile` does (CellProfiler's are up to one order statistic
    higher). Lengths are in pixels, areas in square pixels, orientation in degrees. Shape agrees with
    `skimage.measure.regionprops`. `AreaShape_TouchesBorder` (1 or 0) is ours. `MADIntensity` is the median of
    absolute deviations from the median, not scaled; standard deviations are of the population.

    Parameters
    ----------
    image
        Channels (c, y, x), any real dtype.
    labels
        Label images (y, x) by name of the objects. The first are the primary objects; each of the others
        (cytoplasm, cells) belongs to the primary object of the same label.
    channel_names
        Names of the channels, as they end the columns.

    Returns
    -------
    dict
        Column → 1D array with one value per primary object, by ascending label; the names and their order are
        those of `measure_columns`. `…_Number_Object_Number` is int32, all else float64; NaN where an object has
        no counterpart, or a feature no value. No object: empty arrays.

    Raises
    ------
    ValueError
        Where shapes, or numbers of channels and names, do not fit; or where an object holds NaN or infinity.
    """
    if image.ndim != 3 or len(image) != len(channel_names):
        raise ValueError(
            f"measure_objects expects channels (c, y, x), one for each of the names {', '.join(channel_names)}; "
            f"the image has shape {image.shape}"
        )
    if not isinstance(labels, Mapping) or not labels:
        raise ValueError("measure_objects expects labels by name of the objects: give a list of names, [nuclei]")
    for plane in labels.values():
        require_labels("measure_objects", plane, image.shape[1:])
    columns = measure_columns(list(labels), list(channel_names))
    areas = np.bincount(next(iter(labels.values())).ravel())
    areas[:1] = 0
    ids = np.flatnonzero(areas).astype(np.int32)
    values: list[NDArray[Any]] = [ids, *(column for plane in labels.values() for column in _measure(image, plane, ids))]
    return dict(zip(columns, values, strict=True))


def measure_columns(objects: Sequence[str], channel_names: Sequence[str]) -> list[str]:
    """Return the columns that `measure_objects` will give, in order.

    Raises
    ------
    ValueError
        Where names of objects or channels would give a column twice.
    """
    features = [
        *(f"AreaShape_{name}" for name in SHAPE),
        "Location_Center_X",
        "Location_Center_Y",
        *(
            column
            for channel in channel_names
            for column in (
                *(f"Intensity_{name}_{channel}" for name in INTENSITY),
                f"Location_CenterMassIntensity_X_{channel}",
                f"Location_CenterMassIntensity_Y_{channel}",
            )
        ),
    ]
    prefixes = [name[:1].upper() + name[1:] for name in objects]
    columns = [f"{prefixes[0]}_Number_Object_Number"]
    columns += [f"{prefix}_{feature}" for prefix in prefixes for feature in features]
    if len(set(columns)) < len(columns):
        raise ValueError(
            f"the objects {', '.join(objects)} and channels {', '.join(channel_names)} give columns of one name twice"
        )
    return columns


def _measure(image: NDArray[Any], labels: NDArray[Any], ids: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield the columns of one kind of object, in the order of `measure_columns`."""
    objects = ObjectPixels.group(labels, ids)

    def column(values: NDArray[Any]) -> NDArray[np.float64]:
        full = np.full(len(ids), np.nan)
        full[objects.rows] = values
        return full

    shape = measure_shape(objects, labels.shape)
    y, x = shape["Center_Y"], shape["Center_X"]
    yield from map(column, (*shape.values(), x, y))
    for plane in image:
        intensity, mass_y, mass_x = measure_intensity(objects, plane, y, x)
        yield from map(column, (*intensity.values(), mass_x, mass_y))
