"""Normalisation against medians of the statistics module, and Tukey's median polish written cell by cell."""

import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hcs_lib.screening.normalisation import Normalisation, median_polish, normalise
from hcs_lib.screening.robust import median, robust_sd
from hcs_lib.screening.welltable import WellTable

NAN = math.nan


def table(wells: list, controls: list, *features: list) -> WellTable:
    values = np.array(features, float).T.reshape(len(wells), len(features))
    text = {"well": wells, "control": controls}
    return WellTable(Path("wells.csv"), text, tuple(f"f{index}" for index in range(len(features))), values)


WELLS = ["A01", "A02", "B01", "B02", "C01", "C02"]
CONTROLS = ["neg", "", "neg", "", "neg", "pos"]


def test_robust_z_against_negative_controls() -> None:
    feature = [1.0, 10.0, 2.0, NAN, 4.0, 20.0]
    found = normalise(table(WELLS, CONTROLS, feature), Normalisation("robust_z", "neg"))[:, 0]
    scale = 1 / statistics.NormalDist().inv_cdf(0.75)  # the MAD of 1, 2, 4 is 1
    assert found == pytest.approx([(value - 2) / scale for value in feature], nan_ok=True)


def test_robust_z_against_the_plate_leaves_controls_out() -> None:
    found = normalise(
        table(WELLS, ["neg", "", "", "", "", "pos"], [100, 1, 2, 4, 9, -100]), Normalisation("robust_z", "plate")
    )
    scale = 1 / statistics.NormalDist().inv_cdf(0.75) * statistics.median([2, 1, 1, 6])
    assert found[:, 0] == pytest.approx([(value - 3) / scale for value in (100, 1, 2, 4, 9, -100)])


def test_percent_of_control() -> None:
    found = normalise(table(WELLS, CONTROLS, [1, 10, 2, 0, 4, NAN]), Normalisation("percent_of_control"))
    assert found[:, 0] == pytest.approx([50, 500, 100, 0, 200, NAN], nan_ok=True)


def polish(cells: dict) -> dict:
    """Median polish as Tukey did it by hand, with the rule of R's medpolish for its end."""
    residual, before = dict(cells), math.inf
    for _ in range(10):
        for axis in (0, 1):
            for line in {key[axis] for key in residual}:
                keys = [key for key in residual if key[axis] == line]
                middle = statistics.median(residual[key] for key in keys)
                for key in keys:
                    residual[key] -= middle
        size = sum(abs(value) for value in residual.values())
        if size == 0 or abs(size - before) < 0.01 * size:
            break
        before = size
    return residual


def test_b_score_is_the_polish_by_hand() -> None:
    rng = np.random.default_rng(3)
    wells = [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)]
    controls = ["neg" if well.endswith("01") else "pos" if well.endswith("12") else "" for well in wells]
    gradient = [3 * (ord(well[0]) - 65) + 0.5 * int(well[1:]) for well in wells]
    feature = rng.normal(100, 1, len(wells)) + gradient
    feature[[5, 40]] = NAN
    other = rng.exponential(size=len(wells))
    found = normalise(table(wells, controls, feature, other), Normalisation("b_score"))
    for index, values in enumerate((feature, other)):
        residual = polish({
            (well[0], well[1:]): value
            for well, control, value in zip(wells, controls, values, strict=True)
            if not control and not math.isnan(value)
        })  # fmt: skip
        middle = statistics.median(residual.values())
        scale = statistics.median(abs(value - middle) for value in residual.values())
        scale /= statistics.NormalDist().inv_cdf(0.75)
        scored = {well: score for well, score in zip(wells, found[:, index], strict=True) if not math.isnan(score)}
        assert scored == pytest.approx({f"{row}{column}": value / scale for (row, column), value in residual.items()})


def test_b_score_takes_away_rows_and_columns_and_leaves_an_effect() -> None:
    rows, columns = np.meshgrid(np.arange(8), np.arange(12), indexing="ij")
    noise = np.random.default_rng(5).normal(0, 0.1, (8, 12))
    plate = 10 + 5 * rows + 2 * columns + noise
    plate[3, 4] += 4
    wells = [f"{chr(65 + row)}{column + 1:02d}" for row in range(8) for column in range(12)]
    found = normalise(table(wells, [""] * 96, plate.ravel()), Normalisation("b_score"))[:, 0]
    assert wells[int(np.argmax(found))] == "D05"
    assert found.max() > 20
    assert np.abs(np.delete(found, 3 * 12 + 4)).max() < 8


def test_a_control_among_samples_has_a_b_score_by_their_effects() -> None:
    wells = [f"{row}{column:02d}" for row in "ABCD" for column in range(1, 5)]
    rng = np.random.default_rng(1)
    feature = rng.normal(size=16)
    controls = ["neg" if well == "B02" else "" for well in wells]
    one = normalise(table(wells, controls, feature), Normalisation("b_score"))[:, 0]
    feature[wells.index("B02")] += 1000
    other = normalise(table(wells, controls, feature), Normalisation("b_score"))[:, 0]
    assert other[wells.index("B02")] - one[wells.index("B02")] > 500
    np.testing.assert_array_equal(np.delete(one, wells.index("B02")), np.delete(other, wells.index("B02")))


@pytest.mark.parametrize(
    "how", [Normalisation("robust_z"), Normalisation("robust_z", "plate"), Normalisation("b_score")]
)
@pytest.mark.parametrize(
    ("wells", "controls", "feature"),
    [
        (["A01"], [""], [3.0]),
        (["A01"], ["neg"], [3.0]),
        (WELLS, CONTROLS, [0.1] * 6),
        (WELLS, CONTROLS, [NAN] * 6),
        ([], [], []),
    ],
)
def test_what_cannot_be_told_is_nan(how: Normalisation, wells: list, controls: list, feature: list) -> None:
    assert np.isnan(normalise(table(wells, controls, feature), how)).all()


def test_the_median_of_the_smallest_float_is_itself() -> None:
    assert median(np.full((1, 3), 5e-324), axis=1).tolist() == [5e-324]


def test_no_reference_and_a_reference_of_zero() -> None:
    assert np.isnan(normalise(table(WELLS, [""] * 6, [1, 2, 3, 4, 5, 6]), Normalisation("robust_z"))).all()
    assert np.isnan(normalise(table(WELLS, CONTROLS, [0, 1, 0, 2, 0, 3]), Normalisation("percent_of_control"))).all()


@given(
    st.integers(0, 6).flatmap(
        lambda n: arrays(np.float64, (n, 3), elements=st.floats(-1e6, 1e6, allow_subnormal=False) | st.just(NAN))
    )
)
def test_median_is_that_of_numpy_without_its_warnings(values: np.ndarray) -> None:
    expected = [
        statistics.median(known) if (known := [value for value in column if not math.isnan(value)]) else NAN
        for column in values.T.tolist()
    ]
    np.testing.assert_allclose(median(values, axis=0), expected, rtol=1e-12)
    np.testing.assert_array_equal(median(values.T, axis=1), median(values, axis=0))
    np.testing.assert_array_equal(np.isnan(robust_sd(values, axis=0)), np.isnan(expected))


@settings(max_examples=50)
@given(arrays(np.float64, (2, 4, 6), elements=st.integers(-50, 50).map(float) | st.just(NAN)))
def test_each_plate_is_polished_by_itself(plates: np.ndarray) -> None:
    together = median_polish(plates)
    alone = np.concatenate([median_polish(plates[:1]), median_polish(plates[1:])])
    np.testing.assert_array_equal(together, alone)
