"""A known vignette is found, and taken away."""

import numpy as np
import pytest

from hcs_lib.functions.flat_field import apply_flat_field, estimate_flat_field

ROWS, COLUMNS = 120, 150


@pytest.fixture(scope="module")
def vignette():
    y, x = np.ogrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    field = 1 - 0.35 * (y**2 + 0.8 * x**2)
    return field / field.mean()


@pytest.fixture(scope="module")
def images(vignette):
    """Background of 800, and in each image another quarter of the pixels brighter."""
    rng = np.random.default_rng(4)
    cells = 800 + 3000 * (rng.random((25, ROWS, COLUMNS)) < 0.25)
    return np.rint(rng.poisson(cells * vignette)).astype(np.uint16)


def test_a_known_vignette_is_found(images, vignette):
    found = estimate_flat_field(images, sigma=8)
    assert found.dtype == np.float32
    assert found.mean() == pytest.approx(1, abs=1e-5)
    inside = np.s_[16:-16, 16:-16]
    assert np.abs(found / vignette - 1)[inside].max() < 0.03
    assert np.abs(found / vignette - 1).max() < 0.2


def test_corrected_images_are_flat(images, vignette):
    corrected = np.stack([apply_flat_field(image, estimate_flat_field(images, sigma=8)) for image in images])
    assert corrected.dtype == np.uint16

    def unevenness(stack):
        median = np.median(stack, axis=0)
        parts = [block.mean() for row in np.array_split(median, 4) for block in np.array_split(row, 4, 1)]
        return (max(parts) - min(parts)) / np.mean(parts)

    assert unevenness(images) > 0.4
    assert unevenness(corrected) < 0.05


def test_blocks_of_rows_make_no_difference(images, monkeypatch):
    whole = estimate_flat_field(images)
    monkeypatch.setattr("hcs_lib.functions.flat_field._BLOCK", 25 * COLUMNS * 7)
    np.testing.assert_array_equal(estimate_flat_field(images), whole)


def test_integers_are_rounded_and_end_at_their_bounds():
    flat = np.array([[0.5, 1.5]], np.float32)
    np.testing.assert_array_equal(apply_flat_field(np.array([[200, 100]], np.uint8), flat), [[255, 67]])
    np.testing.assert_allclose(apply_flat_field(np.array([[2.0, 3.0]], np.float32), flat), [[4.0, 2.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimate_flat_field(np.ones((4, 5))), "expects a stack"),
        (lambda: estimate_flat_field(np.zeros((3, 4, 5))), "not above 0"),
        (lambda: estimate_flat_field(np.full((3, 4, 5), np.nan)), "finite"),
        (lambda: estimate_flat_field(np.ones((3, 4, 5)), sigma=0), "'sigma' should be a length above 0, found 0"),
        (lambda: apply_flat_field(np.ones((4, 5)), np.ones((5, 4))), "shape"),
        (lambda: apply_flat_field(np.ones((4, 5)), np.zeros((4, 5))), "above 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
