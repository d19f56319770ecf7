"""Fits against curves of known parameters, a search written otherwise, and what is no curve."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs_lib.screening.dose_response import Curve, dose_response, fit_curve, wells_of_curve
from hcs_lib.screening.welltable import WellTable

DOSES = np.repeat([0.0, 1, 3, 10, 30, 100, 300, 1000], 3)


def logistic(dose: np.ndarray, bottom: float, top: float, ec50: float, hill: float) -> np.ndarray:
    """The curve as the documentation of the table gives it, dose by dose."""
    return np.array([
        bottom + (top - bottom) / (1 + (ec50 / x) ** hill) if x > 0 else (bottom if hill > 0 else top)
        for x in dose.tolist()
    ])  # fmt: skip


@pytest.mark.parametrize("hill", [0.7, 1.0, 3.0, -1.5])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_parameters_of_a_known_curve_are_found(hill: float, scale: float) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, len(DOSES))
    found = fit_curve(DOSES, scale * (logistic(DOSES, 2, 5, 40, hill) + noise))
    assert isinstance(found, Curve)
    assert found.flags == ()
    assert found.ec50 == pytest.approx(40, rel=0.1)
    assert found.ec50_low < 40 < found.ec50_high
    assert found.hill == pytest.approx(hill, rel=0.1)
    assert (found.bottom / scale, found.top / scale) == pytest.approx((2, 5), abs=0.1)
    assert found.r2 > 0.99


def test_the_fit_is_the_minimum_that_another_search_finds() -> None:
    from scipy.optimize import differential_evolution

    responses = logistic(DOSES, 2, 5, 40, 1.3) + np.random.default_rng(4).normal(0, 0.4, len(DOSES))

    def squares(parameters: np.ndarray) -> float:
        bottom, top, log_ec50, hill = parameters.tolist()
        return float(np.sum((responses - logistic(DOSES, bottom, top, 10**log_ec50, hill)) ** 2))

    other = differential_evolution(squares, [(0, 4), (3, 8), (0, 3), (0.1, 10)], rng=0, tol=1e-10, maxiter=400)
    found = fit_curve(DOSES, responses)
    assert isinstance(found, Curve)
    assert squares(np.array([found.bottom, found.top, math.log10(found.ec50), found.hill])) == pytest.approx(other.fun)
    assert found.ec50 == pytest.approx(10 ** other.x[2], rel=1e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    curves = [fit_curve(DOSES, logistic(DOSES, 0, 1, 40, 1.0) + rng.normal(0, 0.08, len(DOSES))) for _ in range(200)]
    holds = sum(isinstance(curve, Curve) and curve.ec50_low <= 40 <= curve.ec50_high for curve in curves)
    assert 180 <= holds <= 199  # 95 % of 200, give or take three standard deviations


@pytest.mark.parametrize("swap", [False, True])
def test_noise_is_no_response(swap: bool) -> None:
    rng = np.random.default_rng(2)
    flags = [fit_curve(DOSES, rng.normal(size=len(DOSES)) * (-1 if swap else 1)) for _ in range(50)]
    assert sum(flag == "no response: a constant fits as well" for flag in flags) >= 47


def test_curves_that_do_not_hold_are_flagged() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.01, len(DOSES))
    beyond = fit_curve(DOSES, logistic(DOSES, 0, 1, 30000, 1.0) + 0.1 * noise)
    assert isinstance(beyond, Curve)
    assert "EC50 outside the doses" in beyond.flags
    step = fit_curve(DOSES, (DOSES > 50) + noise)
    assert isinstance(step, Curve)
    assert {"EC50 uncertain by more than a factor of 10", "slope at its limit"} & {*step.flags}
    assert 30 <= step.ec50 <= 100


def test_an_exact_curve_has_an_interval_of_no_width() -> None:
    found = fit_curve(DOSES, logistic(DOSES, 0, 1, 40, 1.0))
    assert isinstance(found, Curve)
    assert (found.ec50, found.ec50_low, found.ec50_high) == pytest.approx((40, 40, 40), rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 12).flatmap(lambda n: st.lists(st.floats(-1e9, 1e9), min_size=n, max_size=n)))
def test_any_responses_are_fitted_or_refused_in_words(responses: list) -> None:
    doses = np.array(DOSES[::3].tolist() * 2)[: len(responses)]
    found = fit_curve(doses, np.array(responses))
    if isinstance(found, str):
        assert found
    else:
        assert found.ec50_low <= found.ec50 <= found.ec50_high
        assert found.bottom <= found.top


def table(rows: list[tuple[str, str, str, str, float]]) -> WellTable:
    """Make a table of rows (compound, dose, unit, control, response)."""
    names = ("compound", "dose", "unit", "control")
    text = {name: [str(row[index]) for row in rows] for index, name in enumerate(names)}
    text["well"] = [f"A{index + 1:02d}" for index in range(len(rows))]
    return WellTable(Path("wells.csv"), text, ("f",), np.array([[row[4]] for row in rows], float).reshape(-1, 1))


def series(compound: str, unit: str = "nM", factor: float = 1, ec50: float = 40) -> list:
    doses = DOSES[DOSES > 0]
    noise = np.random.default_rng(8).normal(0, 0.02, len(doses))
    responses = logistic(doses, 0, 1, ec50, 1) + noise
    return [(compound, f"{dose * factor:g}", unit, "", y) for dose, y in zip(doses.tolist(), responses, strict=True)]


VEHICLE = [("DMSO", "0", "", "neg", 0.01), ("DMSO", "0", "", "neg", -0.01)]


def test_compounds_have_their_own_units_and_share_the_vehicle() -> None:
    rows = dose_response(table(VEHICLE + series("a") + series("<i>b</i>", "uM", 1e-3)), ["f"])
    assert [(row["compound"], row["unit"], row["n_wells"], row["n_doses"]) for row in rows] == [
        ("a", "nM", 23, 7), ("<i>b</i>", "uM", 23, 7)
    ]  # fmt: skip
    assert rows[1]["ec50"] == pytest.approx(rows[0]["ec50"] / 1000, rel=1e-6)
    assert [row["flag"] for row in rows] == ["", ""]


def test_vehicle_of_its_own_wins_over_that_of_the_plate() -> None:
    own = [("a", "0", "nM", "", 0.0)]
    (row,) = dose_response(table(VEHICLE + own + series("a")), ["f"])
    assert row["n_wells"] == 22


def test_mixed_units_are_one_curve() -> None:
    mixed = [("a", f"{float(dose) / 1000:g}", "uM", "", y) if index % 2 else ("a", dose, "nM", "", y)
             for index, (_, dose, _, _, y) in enumerate(series("a"))]  # fmt: skip
    (row,), (plain,) = dose_response(table(mixed), ["f"]), dose_response(table(series("a")), ["f"])
    assert (row["ec50"], row["n_doses"]) == (pytest.approx(plain["ec50"]), 7)


def test_missing_negative_and_failed_wells_are_left_out_and_counted() -> None:
    bad = [
        ("a", "", "nM", "", 0.5),
        ("a", "-3", "nM", "", 9.0),
        ("a", "x", "nM", "", 9.0),
        ("a", "3", "nM", "", math.nan),
    ]
    (row,), (plain,) = dose_response(table(series("a") + bad), ["f"]), dose_response(table(series("a")), ["f"])
    assert (row["ec50"], row["n_wells"], row["wells_left_out"]) == (plain["ec50"], 21, 4)


@pytest.mark.parametrize(
    ("rows", "flag"),
    [
        ([("a", "1", "nM", "", 1.0)], "too few doses: 1 above zero have a value, 4 needed"),
        ([("a", str(dose), "nM", "", 1.0) for dose in (1, 2, 3, 4)], "too few wells: 4 with a value, 5 needed"),
        ([("a", str(dose), "nM", "", 0.3) for dose in (1, 2, 3, 4, 5)], "no response: all wells have the same value"),
        ([("a", str(dose), "nM", "", math.nan) for dose in (1, 2, 3, 4)],
         "too few doses: 0 above zero have a value, 4 needed"),
        ([("a", str(dose), unit, "", 0.3) for dose, unit in ((1, "nM"), (2, "ug/ml"))],
         "units nM, ug/ml cannot be converted"),
    ],
)  # fmt: skip
def test_no_curve_has_a_reason_and_no_numbers(rows: list, flag: str) -> None:
    (row,) = dose_response(table(rows), ["f"])
    assert row["flag"] == flag
    assert "ec50" not in row


@pytest.mark.parametrize(
    "rows", [[], VEHICLE, [("a", "", "", "", 1.0)], [("a", "0", "nM", "", 1.0)], [("", "3", "nM", "", 1.0)]]
)
def test_without_doses_there_are_no_curves(rows: list) -> None:
    assert dose_response(table(rows), ["f"]) == []


def test_few_wells_give_a_flagged_curve_and_not_a_verdict_of_no_response():
    doses = np.array([0.01, 0.1, 1, 10, 100])
    found = fit_curve(doses, np.array([0.01, 0.04, 0.51, 0.98, 0.99]))
    assert isinstance(found, Curve)
    assert found.ec50 == pytest.approx(1, rel=0.1)
    assert found.flags[0] == "too few wells to exclude a constant: 5"


def test_wells_of_a_curve_are_those_that_are_fitted() -> None:
    bad = [("a", "", "nM", "", 0.5), ("a", "3", "nM", "", math.nan)]
    other = [("b", "0", "", "", 0.0), ("DMSO", "1", "nM", "neg", 0.0), ("DMSO", "", "", "neg", 0.0)]
    wells = table(other + VEHICLE + series("a") + bad)
    found = wells_of_curve(wells, "a")
    assert found.rows.tolist() == [*range(5, 5 + 21 + 2), 3, 4]
    assert found.borrowed.tolist() == [False] * 23 + [True, True]
    assert found.doses[:21].tolist() == DOSES[DOSES > 0].tolist()
    assert np.isnan(found.doses[21])
    assert found.doses[22:].tolist() == [3, 0, 0]
    usable = found.usable(wells.feature("f")[found.rows])
    assert usable.tolist() == [True] * 21 + [False, False, True, True]
    (row,) = (row for row in dose_response(wells, ["f"]) if row["compound"] == "a")
    assert (row["n_wells"], row["wells_left_out"], row["unit"]) == (usable.sum(), 2, found.unit)


def test_a_compound_with_vehicle_of_its_own_borrows_none() -> None:
    found = wells_of_curve(table([*VEHICLE, ("a", "0", "nM", "", 0.0), *series("a")]), "a")
    assert not found.borrowed.any()
    assert found.rows.tolist() == list(range(2, 24))
