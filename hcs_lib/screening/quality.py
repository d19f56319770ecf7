"""Assay quality: how well a feature tells positive from negative controls.

`docs/statistics.md` gives every formula with its source, and says when not to trust it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hcs_lib.screening.robust import median, robust_sd

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

QUALITY_COLUMNS = (
    "feature", "z_prime", "robust_z_prime", "ssmd", "robust_ssmd", "signal_window",
    "n_pos", "n_neg", "wells_pos", "wells_neg", "mean_pos", "mean_neg", "sd_pos", "sd_neg",
)  # fmt: skip
"""`n_*` wells have a value of the feature, out of `wells_*` on the platemap."""

MEASURES = QUALITY_COLUMNS[1:6]


@dataclass(frozen=True, slots=True)
class _Group:
    """One kind of control, by feature: number of values, centre and scatter, plain and robust."""

    n: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    median: npt.NDArray[np.float64]
    robust_sd: npt.NDArray[np.float64]


def assay_quality(
    positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]:
    """Compare positive with negative controls, for every feature at once.

    Parameters
    ----------
    positive, negative
        float64 of shape (wells, features), NaN where a well has no value.

    Returns
    -------
    dict
        The columns of `QUALITY_COLUMNS` after `feature`, each of shape (features,). NaN where a kind of
        control has fewer than two values, and where neither kind scatters at all: the feature is then constant,
        or has too few steps for its scatter to be seen.

    References
    ----------
    Z′: Zhang et al., J Biomol Screen 4:67 (1999). SSMD: Zhang, Genomics 89:552 (2007). Signal window:
    Sittampalam et al., J Biomol Screen 2:159 (1997). Robust forms: Birmingham et al., Nat Methods 6:569 (2009).
    """
    import numpy as np

    pos, neg = _describe(positive), _describe(negative)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain, robust = np.hypot(pos.sd, neg.sd), np.hypot(pos.robust_sd, neg.robust_sd)
        # Nothing can be said against a scatter that was not seen.
        difference = np.where(plain > 0, pos.mean - neg.mean, np.nan)
        robust_difference = np.where(robust > 0, pos.median - neg.median, np.nan)
        noise = 3 * (pos.sd + neg.sd)
        brighter = np.where(pos.mean >= neg.mean, pos.sd, neg.sd)
        columns = {
            "z_prime": 1 - noise / np.abs(difference),
            "robust_z_prime": 1 - 3 * (pos.robust_sd + neg.robust_sd) / np.abs(robust_difference),
            "ssmd": difference / plain,
            "robust_ssmd": robust_difference / robust,
            "signal_window": (np.abs(difference) - noise) / brighter,
        }
    columns = {name: np.where(np.isfinite(values), values, np.nan) for name, values in columns.items()}
    features = positive.shape[1]
    return columns | {
        "n_pos": pos.n, "n_neg": neg.n,
        "wells_pos": np.full(features, len(positive)), "wells_neg": np.full(features, len(negative)),
        "mean_pos": pos.mean, "mean_neg": neg.mean, "sd_pos": pos.sd, "sd_neg": neg.sd,
    }  # fmt: skip


def best_first(features: Sequence[str], columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per feature: the highest Z′ first, features without one last, ties in their order."""
    import numpy as np

    order = np.argsort(-columns["z_prime"], kind="stable")  # NaN come last
    plain = {name: values.tolist() for name, values in columns.items()}
    return [
        {"feature": features[index]} | {name: values[index] for name, values in plain.items()}
        for index in order.tolist()
    ]


def _describe(values: npt.NDArray[np.float64]) -> _Group:
    """Return number, centre and scatter of each feature; scatter needs two values."""
    import numpy as np

    there = ~np.isnan(values)
    n = there.sum(axis=0)
    filled = np.where(there, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled.sum(axis=0) / n
        sd = np.sqrt((np.where(there, values - mean, 0.0) ** 2).sum(axis=0) / (n - 1))
    middle = median(values, axis=0)
    # Sums of equal values are rounded: what is constant would seem to scatter.
    constant = np.where(there, values == middle, True).all(axis=0)
    few = n < 2
    return _Group(
        n,
        np.where(constant, middle, mean),
        np.where(few, np.nan, np.where(constant, 0.0, sd)),
        middle,
        np.where(few, np.nan, robust_sd(values, axis=0)),
    )
