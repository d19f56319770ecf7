"""Normalisation: features of wells, relative to the wells around them.

Own code in place of pycytominer's: its `mad_robustize` is the robust z-score, but turns a feature whose
reference is constant into values of 10¹⁸; it has neither percent of control nor a B-score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from hcs_lib.core.addresses import parse_well
from hcs_lib.screening.robust import median, robust_sd
from hcs_lib.screening.welltable import WellTable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Method = Literal["robust_z", "percent_of_control", "b_score"]
Reference = Literal["neg", "plate"]

NO_EFFECT: Mapping[str, float] = MappingProxyType({"robust_z": 0.0, "percent_of_control": 100.0, "b_score": 0.0})
"""The score, by method, of a well that is like its reference."""

_SWEEPS = 10
_SETTLED = 0.01
"""Median polish ends where the sum of absolute residuals changes by less than this part, as in R's `medpolish`."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How wells are normalised. The B-score takes row and column effects from the plate, and no reference."""

    method: Method = "robust_z"
    reference: Reference = "neg"


def normalise(table: WellTable, how: Normalisation) -> npt.NDArray[np.float64]:
    """Normalise every feature of a plate.

    Parameters
    ----------
    table
        The wells of one plate.
    how
        `robust_z`: distance from the median of the reference, in its robust standard deviations (Malo et al., Nat
        Biotechnol 24:167, 2006). `percent_of_control`: percent of the median of the reference. `b_score`: residual
        of a median polish over rows and columns, in robust standard deviations of all residuals (Brideau et al.,
        J Biomol Screen 8:634, 2003).

        The reference is the negative controls, or all wells of the plate that are no controls.

    Returns
    -------
    ndarray
        float64 of shape (wells, features), NaN where it cannot be told: no value, no reference, or a reference
        that does not scatter (for percent of control: whose median is zero).
    """
    import numpy as np

    samples = ~(table.wells_of("neg") | table.wells_of("pos"))
    with np.errstate(divide="ignore", invalid="ignore"):
        if how.method == "b_score":
            found = _b_score(table.values, table.column("well"), samples)
        else:
            reference = table.values[table.wells_of("neg") if how.reference == "neg" else samples]
            centre = median(reference, axis=0)
            found = (
                100 * table.values / centre
                if how.method == "percent_of_control"
                else (table.values - centre) / robust_sd(reference, axis=0)
            )
    return np.where(np.isfinite(found), found, np.nan)


def _b_score(
    values: npt.NDArray[np.float64], wells: Sequence[str], samples: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return residuals over their robust scatter.

    Controls stand in columns of their own, whose effect would be theirs: rows and columns are judged by sample
    wells alone. A control has a score where its row and its column hold samples.
    """
    import numpy as np

    rows, columns = np.array([parse_well(well) for well in wells], dtype=int).reshape(-1, 2).T
    plate = np.full((values.shape[1], rows.max(initial=-1) + 1, columns.max(initial=-1) + 1), np.nan)
    plate[:, rows[samples], columns[samples]] = values[samples].T
    effects = median_polish(plate)
    residuals = values - effects[:, rows, columns].T
    return residuals / robust_sd(residuals[samples], axis=0)


def median_polish(plates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fit overall + row + column effects by medians (Tukey, Exploratory Data Analysis, 1977).

    Parameters
    ----------
    plates
        float64 of shape (plates, rows, columns), NaN where a well has no value. Each plate is fitted by itself.

    Returns
    -------
    ndarray
        The fitted values, of the same shape; NaN in rows and columns without any value.
    """
    import numpy as np

    count, rows, columns = plates.shape
    row, column = np.zeros((count, rows, 1)), np.zeros((count, 1, columns))
    before = np.full(count, np.inf)
    active = np.arange(count)
    for _ in range(_SWEEPS):
        residuals = plates[active] - column[active]
        row[active] = median(residuals, axis=2)[:, :, None]
        residuals = plates[active] - row[active]
        column[active] = median(residuals, axis=1)[:, None, :]
        size = np.nansum(np.abs(residuals - column[active]), axis=(1, 2))
        moving = (size > 0) & (np.abs(size - before[active]) >= _SETTLED * size)
        before[active] = size
        active = active[moving]
        if not active.size:
            break
    fitted: npt.NDArray[np.float64] = row + column
    return fitted
