"""Assay quality against the same formulas written with the statistics module, one value after another."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hcs_lib.screening.quality import MEASURES, assay_quality, best_first


def of(positive, negative):
    """Return the measures of one feature."""
    found = assay_quality(np.array(positive, float).reshape(-1, 1), np.array(negative, float).reshape(-1, 1))
    return {name: values.tolist()[0] for name, values in found.items()}


def expected(positive, negative):
    m1, m2 = statistics.mean(positive), statistics.mean(negative)
    s1, s2 = statistics.stdev(positive), statistics.stdev(negative)
    d1, d2 = statistics.median(positive), statistics.median(negative)
    to_sd = 1 / statistics.NormalDist().inv_cdf(0.75)
    r1 = to_sd * statistics.median(abs(x - d1) for x in positive)
    r2 = to_sd * statistics.median(abs(x - d2) for x in negative)
    upper, lower = ((m1, s1), (m2, s2)) if m1 > m2 else ((m2, s2), (m1, s1))
    return {
        "z_prime": 1 - 3 * (s1 + s2) / abs(m1 - m2),
        "robust_z_prime": 1 - 3 * (r1 + r2) / abs(d1 - d2),
        "ssmd": (m1 - m2) / math.sqrt(s1**2 + s2**2),
        "robust_ssmd": (d1 - d2) / math.sqrt(r1**2 + r2**2),
        "signal_window": (upper[0] - 3 * upper[1] - (lower[0] + 3 * lower[1])) / upper[1],
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_measures_are_those_of_another_computation(sign: int) -> None:
    rng = np.random.default_rng(7)
    positive, negative = (sign * rng.normal(10, 1, 9)).tolist(), rng.normal(3, 0.5, 16).tolist()
    found = of(positive, negative)
    assert {name: found[name] for name in MEASURES} == pytest.approx(expected(positive, negative), rel=1e-12)
    assert (found["n_pos"], found["n_neg"], found["wells_pos"], found["wells_neg"]) == (9, 16, 9, 16)


def test_a_known_figure() -> None:
    # Means 10 and 2, standard deviations 1 and 0.5 by construction.
    found = of([9, 10, 11], [1.5, 2, 2.5])
    assert found["z_prime"] == pytest.approx(1 - 3 * 1.5 / 8)
    assert found["ssmd"] == pytest.approx(8 / math.sqrt(1.25))
    assert found["signal_window"] == pytest.approx((8 - 4.5) / 1)
    assert found["robust_z_prime"] == pytest.approx(1 - 3 * 1.4826022 * 1.5 / 8)


def test_missing_values_are_left_out_and_counted() -> None:
    nan = math.nan
    with_nan, without = of([nan, 9, 10, 11], [1.5, nan, nan, 2, 2.5]), of([9, 10, 11], [1.5, 2, 2.5])
    assert {name: with_nan[name] for name in MEASURES} == {name: without[name] for name in MEASURES}
    assert (with_nan["n_pos"], with_nan["wells_pos"], with_nan["n_neg"], with_nan["wells_neg"]) == (3, 4, 3, 5)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ([], []),
        ([], [1, 2, 3]),
        ([5], [1, 2, 3]),
        ([5, 6], [1]),
        ([math.nan, math.nan], [1, 2]),
        ([4, 4, 4], [4, 4, 4]),
        ([0.1 + 0.2] * 3, [0.3] * 3),
        ([0.1] * 6, [0.7] * 6),  # their sums are rounded
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_nan(positive: list, negative: list) -> None:
    found = of(positive, negative)
    assert all(math.isnan(found[name]) for name in MEASURES), found


def test_a_group_that_does_not_scatter_beside_one_that_does() -> None:
    found = of([0.1] * 3, [1.0, 2.0, 3.0])
    assert found["sd_pos"] == 0
    assert found["z_prime"] == pytest.approx(1 - 3 * 1 / 1.9)


def test_equal_means_have_no_z_prime_and_no_separation() -> None:
    found = of([1, 3], [1.5, 2.5])
    assert math.isnan(found["z_prime"])
    assert found["ssmd"] == 0


def test_best_first_and_what_has_none_last() -> None:
    columns = assay_quality(
        np.array([[1.0, 5, 9, 5, 5], [1, 6, 10, 6, 6]]), np.array([[1.0, 1, 1, np.nan, 1], [1, 2, 2, np.nan, 2]])
    )
    rows = best_first(["constant", "good", "best", "failed", "<b>good</b>"], columns)
    assert [row["feature"] for row in rows] == ["best", "good", "<b>good</b>", "constant", "failed"]


values = st.integers(-1000, 1000).map(lambda number: number / 8)
controls = st.integers(2, 8).flatmap(lambda n: arrays(np.float64, (n, 3), elements=values | st.just(math.nan)))


@given(controls, controls, st.sampled_from([-4.0, -0.5, 0.25, 2.0, 1024.0]), st.integers(-100, 100))
def test_scale_and_origin_do_not_matter(pos: np.ndarray, neg: np.ndarray, scale: float, shift: int) -> None:
    before, after = assay_quality(pos, neg), assay_quality(scale * pos + shift, scale * neg + shift)
    for name in ("z_prime", "robust_z_prime"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-7, atol=1e-7)
    for name in ("ssmd", "robust_ssmd"):
        np.testing.assert_allclose(after[name], math.copysign(1, scale) * before[name], rtol=1e-7, atol=1e-7)


@given(controls, controls, st.randoms(use_true_random=False))
def test_order_of_wells_does_not_matter(pos: np.ndarray, neg: np.ndarray, random) -> None:
    shuffled = pos[random.sample(range(len(pos)), len(pos))]
    before, after = assay_quality(pos, neg), assay_quality(shuffled, neg)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-9)


@given(controls, controls)
def test_exchanging_controls_turns_the_sign_of_ssmd_only(pos: np.ndarray, neg: np.ndarray) -> None:
    one, other = assay_quality(pos, neg), assay_quality(neg, pos)
    np.testing.assert_allclose(one["ssmd"], -other["ssmd"], rtol=1e-12)
    np.testing.assert_allclose(one["z_prime"], other["z_prime"], rtol=1e-12)
