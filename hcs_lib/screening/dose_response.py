"""Dose-response: a four-parameter logistic per compound and feature, and where it does not hold."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hcs_lib.screening.doses import read_doses
from hcs_lib.screening.welltable import WellTable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

DOSE_COLUMNS = (
    "compound", "feature", "ec50", "ec50_low", "ec50_high", "unit", "hill", "bottom", "top", "r2",
    "n_wells", "n_doses", "wells_left_out", "flag",
)  # fmt: skip
"""`n_wells` with a value at `n_doses` doses above zero were fitted, vehicle counted among the wells;
`wells_left_out` of the compound have no value or no usable dose. `flag` is empty where the curve holds."""

_DOSES, _WELLS = 4, 5
"""A curve of four parameters needs four doses, and one well more to know how well it fits."""
_HILL = (0.1, 10.0)
_BEYOND = 2.0
"""Decades outside the doses that the fit may look for an EC50; what it finds there is flagged."""
_OVERSHOOT = 1.0
"""How far an asymptote may lie beyond the responses, in their range; data that need more have no asymptote."""
_SIGNIFICANT = 0.01
_FREEDOM = 4
"""Degrees of freedom from which the test against a constant says something: with fewer, clean curves fail it too."""
_WIDE = 10.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Response = bottom + (top − bottom) / (1 + (EC50 / dose)^hill); a response that falls has hill < 0."""

    ec50: float
    ec50_low: float
    ec50_high: float
    hill: float
    bottom: float
    top: float
    r2: float
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CurveWells:
    """The wells of one compound's curve.

    Attributes
    ----------
    rows
        Their rows in the table of wells; int64 of shape (n,).
    doses
        float64 of shape (n,): 0 for vehicle, a positive number in `unit`, NaN where there is no usable dose.
    borrowed
        bool of shape (n,): negative controls of another name, which are the vehicle of a compound that has none.
    unit
        The unit of all doses.
    problem
        Why there are no doses to compare, empty where there are.
    """

    rows: npt.NDArray[np.int64]
    doses: Values
    borrowed: npt.NDArray[np.bool_]
    unit: str
    problem: str

    def usable(self, responses: Values) -> npt.NDArray[np.bool_]:
        """Return which wells are fitted, given their responses (float64 of shape (n,)): those with dose and value."""
        import numpy as np

        usable: npt.NDArray[np.bool_] = ~np.isnan(self.doses) & ~np.isnan(responses)
        return usable


def dose_response(table: WellTable, features: list[str]) -> list[dict[str, Any]]:
    """Fit every compound that has doses, for each of the features.

    Wells of a compound are fitted together, controls among them. A dose of zero is vehicle, where the curve has
    its asymptote; a compound without vehicle of its own takes the negative controls whose dose is given as zero.

    Returns
    -------
    list
        Rows with `DOSE_COLUMNS`, by compound in the order of the plate, then by feature. Numbers are None where
        there is no fit. Compounds without a single dose above zero are left out.
    """
    rows = []
    for compound in dict.fromkeys(name for name in table.column("compound") if name):
        wells = wells_of_curve(table, compound)
        if not wells.problem and not (wells.doses > 0).any():
            continue
        for feature in features:
            fitted = _row(wells, table.feature(feature)[wells.rows])
            rows.append({"compound": compound, "feature": feature} | fitted)
    return rows


def wells_of_curve(table: WellTable, compound: str) -> CurveWells:
    """Return the wells to which the curve of a compound is fitted, controls among them.

    Those of the compound; where none of them is vehicle (a dose of zero), also the negative controls of other names
    whose dose is given as zero.
    """
    import numpy as np

    compounds, texts, units = (table.column(name) for name in ("compound", "dose", "unit"))
    own = [row for row, name in enumerate(compounds) if name == compound]
    found = read_doses([texts[row] for row in own], [units[row] for row in own])
    vehicle: list[int] = []
    if 0 not in found.values:
        negative = np.flatnonzero(table.wells_of("neg")).tolist()
        given = read_doses([texts[row] for row in negative], [""] * len(negative)).values
        vehicle = [row for row, dose in zip(negative, given, strict=True) if dose == 0]
    return CurveWells(
        rows=np.array([*own, *vehicle], dtype=np.int64),
        doses=np.array([*found.values, *[0.0] * len(vehicle)], dtype=np.float64),
        borrowed=np.array([False] * len(own) + [True] * len(vehicle), dtype=bool),
        unit=found.unit,
        problem=found.problem,
    )


def _row(wells: CurveWells, responses: Values) -> dict[str, Any]:
    import numpy as np

    doses, usable = wells.doses, wells.usable(responses)
    levels = len(np.unique(doses[usable & (doses > 0)]))
    row: dict[str, Any] = {
        "unit": wells.unit,
        "n_wells": int(usable.sum()),
        "n_doses": levels,
        "wells_left_out": int(len(usable) - usable.sum()),
    }
    if wells.problem:
        return row | {"flag": wells.problem}
    if levels < _DOSES:
        return row | {"flag": f"too few doses: {levels} above zero have a value, {_DOSES} needed"}
    if usable.sum() < _WELLS:
        return row | {"flag": f"too few wells: {usable.sum()} with a value, {_WELLS} needed"}
    found = fit_curve(doses[usable], responses[usable])
    if isinstance(found, str):
        return row | {"flag": found}
    numbers = {name: getattr(found, name) for name in ("ec50", "ec50_low", "ec50_high", "hill", "bottom", "top", "r2")}
    return row | numbers | {"flag": "; ".join(found.flags)}


def fit_curve(doses: Values, responses: Values) -> Curve | str:
    """Fit the four-parameter logistic by least squares.

    Parameters
    ----------
    doses
        float64 of shape (n,), n ≥ 5, with at least four different ones above zero. Zero is vehicle.
    responses
        float64 of shape (n,), finite.

    Returns
    -------
    Curve or str
        The curve, with `flags` that say where it does not hold; or why there is none.

    Notes
    -----
    log10 EC50 is fitted, and its 95 % interval is that of the linearised model (Student's t with n − 4 degrees of
    freedom), symmetric in log10 EC50. The start is the best of a grid of EC50 and hill, at each of which bottom and
    top are found by linear regression. Whether there is a response at all is asked of that: F-test against a constant,
    extra sum of squares (Motulsky and Christopoulos, Fitting Models to Biological Data, 2004).
    """
    import numpy as np
    from scipy.optimize import OptimizeWarning, curve_fit
    from scipy.special import fdtrc, stdtrit

    spread = float(np.ptp(responses))
    if spread == 0:
        return "no response: all wells have the same value"
    # In units of the data's own range: steps and tolerances of the fit then do not depend on the feature.
    shift = float(responses.min())
    scaled = (responses - shift) / spread
    positive = doses > 0
    logs = np.full(len(doses), -np.inf)
    logs[positive] = np.log10(doses[positive])
    lowest, highest = float(logs[positive].min()), float(logs.max())

    total, freedom = float(np.sum((scaled - scaled.mean()) ** 2)), len(doses) - 4
    residual, start = _start(logs, scaled, lowest, highest)
    f_value = (total - residual) / 3 / (residual / freedom) if residual > 0 else math.inf
    unproven = fdtrc(3, freedom, max(f_value, 0.0)) >= _SIGNIFICANT
    if unproven and freedom >= _FREEDOM:
        return "no response: a constant fits as well"

    def curve(x: Values, at_zero: float, at_infinity: float, log_ec50: float, hill: float) -> Values:
        return at_zero + (at_infinity - at_zero) * _occupancy(x, log_ec50, hill)

    def slopes(x: Values, at_zero: float, at_infinity: float, log_ec50: float, hill: float) -> Values:
        part = _occupancy(x, log_ec50, hill)
        steep = (at_infinity - at_zero) * math.log(10) * part * (1 - part)
        distance = np.where(np.isfinite(x), x, log_ec50) - log_ec50  # vehicle has no part in either
        return np.stack([1 - part, part, -hill * steep, distance * steep], axis=1)

    bounds = ([-_OVERSHOOT, -_OVERSHOOT, lowest - _BEYOND, _HILL[0]],
              [1 + _OVERSHOOT, 1 + _OVERSHOOT, highest + _BEYOND, _HILL[1]])  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # no covariance: the interval is infinite, and flagged
            best, covariance = curve_fit(
                curve, logs, scaled, np.clip(start, *bounds), bounds=bounds, jac=slopes, check_finite=False
            )
    except (RuntimeError, np.linalg.LinAlgError) as error:
        return f"the fit failed: {str(error).splitlines()[0]}"
    at_zero, at_infinity, log_ec50, hill = (float(value) for value in best)
    residual = float(np.sum((scaled - curve(logs, *best)) ** 2))
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(covariance[2, 2]) if np.isfinite(covariance[2, 2]) else math.inf

    flags = [f"too few wells to exclude a constant: {len(doses)}"] if unproven else []
    if not lowest <= log_ec50 <= highest:
        flags.append("EC50 outside the doses")
    if 2 * half > math.log10(_WIDE):
        flags.append(f"EC50 uncertain by more than a factor of {_WIDE:g}")
    if not _HILL[0] * 1.001 < hill < _HILL[1] * 0.999:
        flags.append("slope at its limit")
    if not all(-_OVERSHOOT * 0.999 < value < 1 + _OVERSHOOT * 0.999 for value in (at_zero, at_infinity)):
        flags.append("no plateau within the doses")
    rises = at_infinity >= at_zero
    return Curve(
        ec50=10**log_ec50,
        ec50_low=_power(log_ec50 - half),
        ec50_high=_power(log_ec50 + half),
        hill=hill if rises else -hill,
        bottom=min(at_zero, at_infinity) * spread + shift,
        top=max(at_zero, at_infinity) * spread + shift,
        r2=1 - residual / total,
        flags=tuple(flags),
    )


def _occupancy(logs: Values, log_ec50: float, hill: float) -> Values:
    """Return the part of the way from the response at zero to that at infinity; 0 where the dose is zero."""
    from scipy.special import expit

    part: Values = expit(math.log(10) * hill * (logs - log_ec50))
    return part


def _start(logs: Values, responses: Values, lowest: float, highest: float) -> tuple[float, list[float]]:
    """Return the best of a grid with its residual: for each EC50 and hill, asymptotes are a linear regression."""
    import numpy as np

    best = (math.inf, [0.0, 1.0, (lowest + highest) / 2, 1.0])
    for log_ec50 in np.linspace(lowest, highest, 25).tolist():
        for hill in (0.5, 1.0, 2.0, 4.0, 8.0):
            part = _occupancy(logs, log_ec50, hill)
            centred = part - part.mean()
            power = float(centred @ centred)
            if power < 1e-12:
                continue
            slope = float(centred @ responses) / power
            at_zero = float(responses.mean()) - slope * float(part.mean())
            residual = float(np.sum((responses - at_zero - slope * part) ** 2))
            best = min(best, (residual, [at_zero, at_zero + slope, log_ec50, hill]))
    return best


def _power(exponent: float) -> float:
    """Return 10 to a power, infinity where that is too large for a float."""
    return 10.0**exponent if exponent < 308 else math.inf
