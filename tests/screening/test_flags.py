"""Flags of sites: outliers on one side, and saturation."""

import numpy as np
import pytest

from hcs_lib.screening.flags import flag_sites

NAN = np.nan
LIKE = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98]


def flagged(flag, threshold, **features):
    columns = {f"ImageQuality_{name}_DNA": np.array(values, float) for name, values in features.items()}
    return np.flatnonzero(flag_sites(columns, {flag: threshold})[flag]["DNA"]).tolist()


@pytest.mark.parametrize(
    ("flag", "feature", "bad", "good"),
    [
        ("blurred", "PowerLogLogSlope", -2.0, 5.0),
        ("dim", "MeanIntensity", 0.5, 5.0),
        ("background", "Background", 3.0, 0.1),
        ("uneven", "Unevenness", 3.0, 0.1),
    ],
)
def test_outliers_count_on_one_side(flag, feature, bad, good):
    assert flagged(flag, 5, **{feature: [*LIKE, bad]}) == [7]
    assert flagged(flag, 5, **{feature: [*LIKE, good]}) == []
    assert flagged(flag, 1000, **{feature: [*LIKE, bad]}) == []


def test_the_threshold_is_in_robust_standard_deviations():
    # Median 0, median absolute deviation 1: the limit lies at 1.4826 times the threshold.
    values = np.array([-2, -1, -1, 0, 0, 0, 1, 1, 2]) * 1.0
    assert np.median(np.abs(values - np.median(values))) == 1
    for last, expected in ((-3 * 1.4826 + 0.01, []), (-3 * 1.4826 - 0.01, [9])):
        slopes = [*values, last]
        assert np.median(slopes) == 0
        assert np.median(np.abs(slopes)) == 1
        assert flagged("blurred", 3, PowerLogLogSlope=slopes) == expected


def test_sites_that_are_all_alike_have_no_outliers_of_a_hair():
    assert flagged("blurred", 5, PowerLogLogSlope=[-1.5] * 9 + [-1.51]) == []
    assert flagged("blurred", 5, PowerLogLogSlope=[-1.5] * 9 + [-1.8]) == [9]
    assert flagged("dim", 5, MeanIntensity=[100] * 9 + [90, 70]) == [10]


def test_background_deviates_from_more_than_the_noise():
    assert flagged("background", 5, Background=[1] * 9 + [2], BackgroundNoise=[0.5] * 10) == []
    assert flagged("background", 5, Background=[1] * 9 + [4], BackgroundNoise=[0.5] * 10) == [9]
    assert flagged("background", 5, Background=[0] * 9 + [4]) == []


def test_black_is_dim_and_unknown_is_not():
    assert flagged("dim", 5, MeanIntensity=[*LIKE, 0, NAN]) == [7]


def test_few_sites_have_no_outliers():
    assert flagged("blurred", 5, PowerLogLogSlope=[-1, -1, -1, -9]) == []
    assert flagged("blurred", 5, PowerLogLogSlope=[-1, -1, -1, -9, NAN]) == []
    assert flagged("blurred", 5, PowerLogLogSlope=[-1, -1, -1, -9, -1]) == [3]
    assert flagged("blurred", 5, PowerLogLogSlope=[NAN, NAN]) == []


def test_saturation_at_the_top_of_the_dtype_or_of_the_camera():
    measured = {
        "PercentSaturated": [0, 2, 0, 0, NAN],
        "PercentMaximal": [2, 2, 2, 0.1, NAN],
        "MaxIntensity": [4095, 4000, 900, 4095, NAN],
        "MinIntensity": [10, 10, 10, 10, NAN],
    }
    # The first is a 12-bit camera at its top; the third has many pixels at its own maximum, well below that.
    assert flagged("saturated", 1, **measured) == [0, 1]
    assert flagged("saturated", 2, **measured) == []


def test_empty_planes_are_not_saturated():
    constant = {
        "PercentSaturated": [0, 0],
        "PercentMaximal": [100, 100],
        "MaxIntensity": [0, 0],
        "MinIntensity": [0, 0],
    }
    assert flagged("saturated", 1, **constant) == []


def test_channels_are_flagged_apart_and_flags_can_be_off():
    columns = {
        "ImageQuality_PowerLogLogSlope_DNA": np.array([*LIKE, -3]),
        "ImageQuality_PowerLogLogSlope_GFP": np.array([-3, *LIKE]),
    }
    found = flag_sites(columns, {"blurred": 5.0})
    assert {channel: np.flatnonzero(flags).tolist() for channel, flags in found["blurred"].items()} == {
        "DNA": [7], "GFP": [0],
    }  # fmt: skip
    assert flag_sites(columns, {}) == {}
