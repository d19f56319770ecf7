"""Flags of sites: which do not look like the rest of the plate, by their image quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

PREFIX = "ImageQuality"

_DEVIATING = {
    "blurred": ("PowerLogLogSlope", -1, False),
    "dim": ("MeanIntensity", -1, True),
    "uneven": ("Unevenness", 1, True),
}
"""Flag → the measure, the side of the plate's median that is bad, and whether its logarithm is taken."""

_LEAST_SPREAD = 0.05
"""Of logarithms and slopes of logarithms, and of the background as a share of its median: what deviates by less than
a few percent is no outlier, however alike the other sites are."""

_LEAST_SITES = 5
"""With fewer sites there is no telling which is the outlier."""


def flag_sites(columns: Mapping[str, Array], thresholds: Mapping[str, float]) -> dict[str, dict[str, Array]]:
    """Flag the sites of a plate, per channel.

    `blurred`, `dim`, `background` and `uneven` are outliers among the sites of the plate, on one side: further from
    the median than so many robust standard deviations (1.4826 times the median absolute deviation; Iglewicz and
    Hoaglin, How to detect and handle outliers, 1993). These are at least 0.05 of the slope and of logarithms; of the
    background at least 5 % of its median, and not less than the noise of the pixels. They say that a site differs
    from the plate, not that it is bad: a plate that is blurred throughout has no outliers, and what a compound does
    to cells can look like one. `saturated` is absolute: the percentage of pixels at the top of the dtype; or at the
    channel's highest value on the plate, for cameras of fewer bits than their files.

    Parameters
    ----------
    columns
        Column of image quality (`ImageQuality_Background_DNA`) → one value per site, NaN where there is none.
    thresholds
        Flag → threshold; flags without one are off.

    Returns
    -------
    dict
        Flag → channel → boolean array of one value per site, for every flag that is on.
    """
    found: dict[str, dict[str, Array]] = {}
    for flag, threshold in thresholds.items():
        if flag == "saturated":
            found[flag] = _saturated(columns, threshold)
        elif flag == "background":
            found[flag] = _background(columns, threshold)
        else:
            feature, side, logarithm = _DEVIATING[flag]
            found[flag] = {
                channel: _deviations(side * (_log(values) if logarithm else values), _LEAST_SPREAD) > threshold
                for channel, values in _channels(columns, feature).items()
            }
    return found


def _background(columns: Mapping[str, Array], threshold: float) -> dict[str, Array]:
    noises = _channels(columns, "BackgroundNoise")
    flags = {}
    for channel, values in _channels(columns, "Background").items():
        least = max(_LEAST_SPREAD * abs(_median(values)), _median(noises[channel]) if channel in noises else 0.0)
        flags[channel] = _deviations(values, least) > threshold
    return flags


def _saturated(columns: Mapping[str, Array], threshold: float) -> dict[str, Array]:
    import numpy as np

    highest = _channels(columns, "MaxIntensity")
    maximal = _channels(columns, "PercentMaximal")
    lowest = _channels(columns, "MinIntensity")
    flags = {}
    for channel, saturated in _channels(columns, "PercentSaturated").items():
        flags[channel] = saturated > threshold
        if channel in highest and channel in maximal and channel in lowest and np.isfinite(highest[channel]).any():
            top = (highest[channel] == np.nanmax(highest[channel])) & (highest[channel] > lowest[channel])
            flags[channel] |= top & (maximal[channel] > threshold)
    return flags


def _channels(columns: Mapping[str, Array], feature: str) -> dict[str, Array]:
    start = f"{PREFIX}_{feature}_"
    return {name.removeprefix(start): values for name, values in columns.items() if name.startswith(start)}


def _log(values: Array) -> Array:
    """Return logarithms: what is 0 or less has none; black is darker than all else."""
    import numpy as np

    return np.log(np.where(values > 0, values, np.where(values <= 0, np.finfo(float).tiny, np.nan)))


def _median(values: Array) -> float:
    import numpy as np

    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _deviations(values: Array, least: float) -> Array:
    """Return how many robust standard deviations each value lies above the median; 0 where that says nothing."""
    import numpy as np

    median = _median(values)
    spread = max(1.4826 * _median(np.abs(values - median)), least)
    if np.count_nonzero(np.isfinite(values)) < _LEAST_SITES or spread == 0:
        return np.zeros(len(values))
    return np.nan_to_num((values - median) / spread, nan=0.0)
