import numpy as np
import pytest

from hcs_lib.functions.background import subtract_background


def uneven(dtype=np.uint16):
    """Squares of height 100 on a paraboloid from 200 to 400."""
    y, x = np.mgrid[:200, :230]
    background = 400 - 200 * ((y - 100) ** 2 + (x - 115) ** 2) / (100**2 + 115**2)
    squares = np.zeros((200, 230))
    for top in range(15, 190, 35):
        for left in range(15, 215, 35):
            squares[top : top + 9, left : left + 9] = 100
    return (background + squares).astype(dtype), squares


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_uneven_illumination_is_taken_off(dtype):
    image, squares = uneven(dtype)
    corrected = subtract_background(image, radius=15)
    assert corrected.dtype == dtype
    assert corrected.shape == image.shape
    inner = np.s_[10:-10, 10:-10]
    # 200 grey values of unevenness become less than 20; the height of the objects is kept to that.
    assert abs(corrected.astype(float) - squares)[inner].max() < 20
    assert np.ptp(image[squares == 0]) > 150


def test_nothing_below_zero_and_nothing_wraps_around():
    image = np.random.default_rng(1).integers(0, 50, (64, 64)).astype(np.uint8)
    assert (subtract_background(image, radius=8) <= image).all()


def test_flat_plane_becomes_zero():
    assert not subtract_background(np.full((33, 47), 1234, np.uint16), radius=17).any()


@pytest.mark.parametrize(
    ("image", "radius", "message"),
    [
        (np.zeros((2, 3, 4)), 5, r"plane \(y, x\)"),
        (np.full((9, 9), np.nan), 5, "NaN"),
        (np.zeros((9, 9)), 0, "'radius' should be a length above 0, found 0"),
    ],
)
def test_refuses(image, radius, message):
    with pytest.raises(ValueError, match=message):
        subtract_background(image, radius=radius)
