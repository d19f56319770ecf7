import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from skimage.segmentation import expand_labels

from hcs_lib.functions.cells import expand_ring, propagate_cells, subtract_labels
from hcs_lib.functions.declumping import fill_label_holes

LABELS = arrays(
    np.int32, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 5), fill=st.just(0)
)


@given(LABELS, st.integers(0, 3), st.integers(1, 5))
def test_ring_against_all_distances(labels, inner, width):
    outer = inner + width
    rings = expand_ring(labels, inner=inner, outer=outer)
    assert rings.dtype == np.int32
    assert rings.shape == labels.shape
    objects = np.argwhere(labels > 0)
    expected = np.zeros(labels.shape, bool)
    if len(objects):
        everywhere = np.argwhere(np.ones(labels.shape, bool))
        distance = cdist(everywhere, objects)
        nearest = distance.min(1)
        expected = ((nearest > inner) & (nearest <= outer)).reshape(labels.shape)
        for (y, x), row, least in zip(everywhere, distance, nearest, strict=True):
            if rings[y, x]:
                owners = {int(labels[tuple(objects[i])]) for i in np.flatnonzero(np.isclose(row, least))}
                assert int(rings[y, x]) in owners
    assert ((rings > 0) == expected).all()


def test_ring_is_the_difference_of_two_expansions():
    labels = np.zeros((80, 90), np.int32)
    labels[10:20, 10:20], labels[22:30, 14:40], labels[60:, 70:] = 1, 2, 3
    expected = np.where(expand_labels(labels, 2) > 0, 0, expand_labels(labels, 8))
    assert (expand_ring(labels, inner=2, outer=8) == expected).all()


@pytest.mark.parametrize(
    ("labels", "inner", "outer"), [(np.zeros((9, 9)), 0, 5), (np.zeros((2, 9, 9), int), 0, 5),
                                   (np.zeros((9, 9), int), 5, 5), (np.full((9, 9), -1), 0, 5)]
)  # fmt: skip
def test_ring_refuses(labels, inner, outer):
    with pytest.raises(ValueError, match="expand_ring"):
        expand_ring(labels, inner=inner, outer=outer)


def two_cells():
    """Two touching cells of different brightness, the border between them at x = 70, far from half way."""
    image = np.full((60, 120), 10.0)
    image[10:50, 10:70], image[10:50, 70:110] = 300, 200
    nuclei = np.zeros((60, 120), np.int32)
    nuclei[25:35, 20:30], nuclei[25:35, 85:95] = 4, 9
    return image, nuclei


def test_cells_follow_the_stain():
    image, nuclei = two_cells()
    cells = propagate_cells(image.astype(np.uint16), nuclei=nuclei, threshold="otsu", regularisation=0.02)
    truth = np.zeros_like(cells)
    truth[10:50, 10:70], truth[10:50, 70:110] = 4, 9
    assert cells.dtype == np.int32
    assert (cells != truth)[:, 5:-5].mean() < 0.02
    far = propagate_cells(image, nuclei=nuclei, threshold=100, regularisation=100)
    # Half way between the nuclei is x = 57.5.
    assert far[30, 54:62].tolist() == [4] * 4 + [9] * 4


def test_cells_hold_their_nuclei_and_nothing_unconnected():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 200, (90, 90)).astype(np.uint8)
    image[70:80, 70:80] = 255
    nuclei = np.zeros((90, 90), np.int32)
    for number, (y, x) in enumerate([(10, 10), (10, 60), (50, 20)], 2):
        nuclei[y : y + 8, x : x + 8] = number
    cells = propagate_cells(image, nuclei=nuclei, threshold=150, smoothing=2)
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    assert set(np.unique(cells)) == {0, 2, 3, 4}
    assert not cells[70:80, 70:80].any()
    near = propagate_cells(image, nuclei=nuclei, threshold=0, max_distance=3)
    assert ((near > 0) == (expand_labels(nuclei, 3) > 0)).all()


def test_cells_without_nuclei():
    assert not propagate_cells(np.ones((20, 20)), nuclei=np.zeros((20, 20), int)).any()


def test_cells_scale_free():
    image, nuclei = two_cells()
    image += np.random.default_rng(0).normal(0, 5, image.shape)
    assert (propagate_cells(image, nuclei=nuclei) == propagate_cells(image * 8, nuclei=nuclei)).mean() > 0.999


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nuclei": np.zeros((9, 8), int)}, "do not lie on"),
        ({"nuclei": np.zeros((9, 9))}, "integers"),
        ({"regularisation": 0}, "'regularisation' should be a number above 0, found 0"),
        ({"threshold": "huang"}, "li, otsu or a number"),
        ({"smoothing": -1}, "smoothing"),
    ],
)
def test_cells_refuse(changed, message):
    with pytest.raises(ValueError, match=message):
        propagate_cells(np.zeros((9, 9)), **({"nuclei": np.zeros((9, 9), int)} | changed))


def test_cytoplasm_is_cell_less_nucleus():
    cells = np.array([[1, 1, 1, 0], [1, 1, 2, 2]])
    nuclei = np.array([[0, 1, 0, 0], [0, 0, 7, 7]])
    assert subtract_labels(cells, inner=nuclei).tolist() == [[1, 0, 1, 0], [1, 1, 0, 0]]
    with pytest.raises(ValueError, match="do not lie on"):
        subtract_labels(cells, inner=nuclei[:, 1:])


def test_holes_of_one_cell_are_filled_and_others_stay():
    labels = np.zeros((12, 20), np.int32)
    labels[1:8, 1:8] = 1
    labels[3:5, 3:5] = 0  # within cell 1
    labels[1:8, 8:15] = 2
    labels[4, 7:9] = 0  # between cells 1 and 2
    labels[9:12, 1:6] = 3
    labels[10:12, 3] = 0  # open to the border
    filled = fill_label_holes(labels)
    expected = labels.copy()
    expected[3:5, 3:5] = 1
    np.testing.assert_array_equal(filled, expected)


def test_cells_have_no_holes():
    image = np.zeros((40, 40), np.uint16)
    image[5:35, 5:35] = 1000
    image[8:11, 8:11] = 0
    nuclei = np.zeros((40, 40), np.int32)
    nuclei[18:23, 18:23] = 7
    cells = propagate_cells(image, nuclei=nuclei, smoothing=0)
    assert (cells == 7).sum() == 900
