"""Quality of whole planes: focus, saturation, background, illumination; columns named as CellProfiler names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.declare import image_function
from hcs_lib.functions.checks import require_plane

Array = NDArray[Any]

FEATURES = (
    "PowerLogLogSlope", "LaplacianVariance", "FocusScore", "PercentMaximal", "PercentMinimal", "PercentSaturated",
    "Background", "BackgroundNoise", "Unevenness", "TotalIntensity", "MeanIntensity", "StdIntensity",
    "MedianIntensity", "MADIntensity", "MinIntensity", "MaxIntensity", "Percentile1Intensity",
    "Percentile99Intensity",
)  # fmt: skip
"""What is measured of each channel, in the order of the table."""

PREFIX = "ImageQuality"

_TILES = 16
"""Tiles along each side of a plane whose background is taken one by one."""

_BELOW_OBJECTS = 0.1
"""Quantile of a tile that counts as its background, and of the tiles that count as the plane's."""


@image_function(
    accepts=(3,), returns="table", rows="sites", axis="channel", special_inputs=("channel_names",), dtypes="float64",
    tags=("measurement", "quality", "focus", "saturation", "background", "illumination"),
    columns="hcs_lib.functions.image_quality:image_quality_columns",
)  # fmt: skip
def measure_image_quality(image: Array, *, channel_names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Measure focus, saturation, background and illumination of each channel: one row.

    Names and definitions are those of CellProfiler's MeasureImageQuality where it has them; brightness is in the
    unit of the image (CellProfiler divides by the largest value of the file's dtype). For a plane I:

    - `PowerLogLogSlope`: slope of the line through log power over log frequency, of the rings of the power spectrum
      from the third to an eighth of the shorter side [1]_. Blur makes it steeper, that is lower. The same for a I + b.
      0 for a constant plane, as in CellProfiler.
    - `LaplacianVariance`: variance of the Laplacian with four neighbours [2]_. Blur lowers it, down to that of
      the noise; a² of it for a I + b.
    - `FocusScore`: variance over mean, as in CellProfiler; 0 where the mean is 0.
    - `PercentMaximal`, `PercentMinimal`: pixels at the plane's own maximum and minimum, in percent.
    - `PercentSaturated`: pixels at the largest value of an integer dtype, in percent; 0 for floats.
    - `Background`: the plane is cut into 16 × 16 tiles; the 10 % quantile of a tile is its background, the 10 %
      quantile of the tiles that of the plane: no objects have to be found.
    - `BackgroundNoise`: standard deviation of the noise by Immerkær's mask [3]_, of the quarter of the tiles with
      the least of it, which hold no edges of objects.
    - `Unevenness`: coefficient of variation of the backgrounds of the tiles, a camera's offset included. The same
      for a I. NaN where the mean is not positive.
    - `TotalIntensity`, `MeanIntensity`, `StdIntensity`, `MedianIntensity`, `MADIntensity` (not scaled),
      `MinIntensity`, `MaxIntensity`, `Percentile1Intensity`, `Percentile99Intensity` (lower order statistic).

    Parameters
    ----------
    image
        Channels (c, y, x), any real dtype.
    channel_names
        Names of the channels, as they end the columns.

    Returns
    -------
    dict
        Column → float64 array of one value; the names and their order are those of `image_quality_columns`.

    Raises
    ------
    ValueError
        Where numbers of channels and names do not fit, or a plane is empty or holds NaN or infinity.

    References
    ----------
    .. [1] Bray, Fraser, Hasaka, Carpenter, Workflow and metrics for image quality control in large-scale
       high-content screens, J Biomol Screen 17 (2012) 266; Field, J Opt Soc Am A 4 (1987) 2379.
    .. [2] Pech-Pacheco, Cristóbal, Chamorro-Martínez, Fernández-Valdivia, Diatom autofocusing in brightfield
       microscopy: a comparative study, ICPR 2000, vol. 3, 314.
    .. [3] Immerkær, Fast noise variance estimation, Comput Vis Image Underst 64 (1996) 300.
    """
    if image.ndim != 3 or len(image) != len(channel_names):
        raise ValueError(
            f"measure_image_quality expects channels (c, y, x), one for each of the names {', '.join(channel_names)}; "
            f"the image has shape {image.shape}"
        )
    values = [value for plane in image for value in _measure(plane)]
    columns = image_quality_columns([], channel_names)
    return {name: np.array([value], np.float64) for name, value in zip(columns, values, strict=True)}


def image_quality_columns(_objects: Sequence[str], channel_names: Sequence[str]) -> list[str]:
    """Return the columns that `measure_image_quality` will give, in order."""
    return [f"{PREFIX}_{feature}_{channel}" for channel in channel_names for feature in FEATURES]


def _measure(plane: Array) -> tuple[float, ...]:
    """Return the values of `FEATURES` of one plane."""
    require_plane("measure_image_quality", plane)
    if plane.dtype == np.bool_:
        plane = plane.astype(np.uint8)
    values, counts = _histogram(plane)
    total = float(counts @ values)
    mean = total / plane.size
    variance = float(counts @ (values - mean) ** 2) / plane.size
    median = _quantile(values, counts, 0.5)
    deviations = np.abs(values - median)
    order = np.argsort(deviations, kind="stable")
    top = np.iinfo(plane.dtype).max if plane.dtype.kind in "iu" else np.inf
    tile = tuple(max(size // _TILES, 1) for size in plane.shape)
    background, unevenness = _background(plane, *tile)
    laplacian_variance, noise = _detail(plane, *tile)
    measured = {
        "PowerLogLogSlope": _power_log_log_slope(plane),
        "LaplacianVariance": laplacian_variance,
        "FocusScore": variance / mean if mean else 0.0,
        "PercentMaximal": 100 * counts[-1] / plane.size,
        "PercentMinimal": 100 * counts[0] / plane.size,
        "PercentSaturated": 100 * counts[-1] / plane.size if values[-1] == top else 0.0,
        "Background": background,
        "BackgroundNoise": noise,
        "Unevenness": unevenness,
        "TotalIntensity": total,
        "MeanIntensity": mean,
        "StdIntensity": variance**0.5,
        "MedianIntensity": median,
        "MADIntensity": _quantile(deviations[order], counts[order], 0.5),
        "MinIntensity": values[0],
        "MaxIntensity": values[-1],
        "Percentile1Intensity": _quantile(values, counts, 0.01, lower=True),
        "Percentile99Intensity": _quantile(values, counts, 0.99, lower=True),
    }
    return tuple(float(measured[name]) for name in FEATURES)


def _histogram(plane: Array) -> tuple[Array, Array]:
    """Return the values of a plane, ascending, as float64, and how often each is there."""
    if plane.dtype.kind == "u" and plane.dtype.itemsize <= 2:
        # Counting is many times faster than sorting.
        found = np.bincount(plane.ravel())
        values = np.flatnonzero(found)
        return values.astype(np.float64), found[values]
    values, counts = np.unique(plane, return_counts=True)
    return values.astype(np.float64), counts


def _quantile(values: Array, counts: Array, fraction: float, *, lower: bool = False) -> float:
    """Return the order statistic at a fraction, or between two, the mean of both: for 0.5 the median."""
    ends = np.cumsum(counts)
    position = fraction * (ends[-1] - 1)
    low = values[np.searchsorted(ends, np.floor(position), side="right")]
    if lower:
        return float(low)
    return float(low + values[np.searchsorted(ends, np.ceil(position), side="right")]) / 2


def _power_log_log_slope(plane: Array) -> float:
    """Return the slope as CellProfiler defines it; 0 where there is none."""
    rows, columns = plane.shape
    rings = np.arange(2, min(rows, columns) // 8)
    if len(rings) < 2 or plane.min() == plane.max():
        return 0.0
    last = int(rings[-1]) - 1
    # Only the frequencies of the rings are needed: the first columns of a real transform along x, then along y.
    power = np.abs(np.fft.fft(np.fft.rfft(plane.astype(np.float64, copy=False), axis=1)[:, : last + 2], axis=0)) ** 2
    near = np.r_[0 : last + 1, rows - 1 - last : rows]
    # CellProfiler counts frequencies from both ends of an axis: -k, which stands at n - k, counts as k - 1.
    both = power[near, : last + 1] + power[-near % rows, 1 : last + 2]
    radii = np.hypot(np.minimum(near, rows - 1 - near)[:, None], np.arange(last + 1)).astype(np.intp) + 1
    sums = np.bincount(radii.ravel(), both.ravel())[rings]
    there = sums > 0
    if np.count_nonzero(there) < 2:
        return 0.0
    x, y = np.log(rings[there]), np.log(sums[there])
    x -= x.mean()
    return float(x @ y / (x @ x))


def _background(plane: Array, height: int, width: int) -> tuple[float, float]:
    """Return level and unevenness of the background, from tiles of height × width."""
    tiles = _tiles(plane, height, width)
    below = int(tiles.shape[1] * _BELOW_OBJECTS)
    levels = np.partition(tiles, below, axis=1)[:, below].astype(np.float64)
    mean = float(levels.mean())
    return float(np.quantile(levels, _BELOW_OBJECTS)), float(levels.std()) / mean if mean > 0 else np.nan


def _detail(plane: Array, height: int, width: int) -> tuple[float, float]:
    """Return the variance of the Laplacian and the noise by Immerkær's mask; 0 where no pixel has all neighbours."""
    if min(plane.shape) < 3:
        return 0.0, 0.0
    # Exact for 16 bits, and half the memory to go through.
    real: Array = plane.astype(np.float32 if plane.dtype.itemsize <= 2 else np.float64)
    down = real[:-2] + real[2:]
    down -= 2 * real[1:-1]
    laplacian = real[1:-1, :-2] + real[1:-1, 2:]
    laplacian -= 2 * real[1:-1, 1:-1]
    laplacian += down[:, 1:-1]
    laplacian -= laplacian.mean(dtype=np.float64)
    mask = down[:, :-2] + down[:, 2:]
    mask -= 2 * down[:, 1:-1]
    np.abs(mask, out=mask)
    means = _tiles(mask, min(height, len(mask)), min(width, mask.shape[1])).mean(axis=1, dtype=np.float64)
    quiet = np.sort(means)[: -(-len(means) // 4)]
    variance = np.square(laplacian, out=laplacian).mean(dtype=np.float64)
    return float(variance), float(np.sqrt(np.pi / 2) / 6 * quiet.mean())


def _tiles(plane: Array, height: int, width: int) -> Array:
    """Cut a plane into tiles, one in each row; what is left over at its lower and right side is left out."""
    rows, columns = plane.shape[0] // height, plane.shape[1] // width
    cut = plane[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return cut.swapaxes(1, 2).reshape(rows * columns, height * width)
