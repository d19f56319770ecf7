import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from hcs_lib.functions.nuclei import segment_nuclei

CENTRES = [(20, 20), (20, 60), (70, 30), (60, 90), (110, 60), (120, 130), (30, 140), (75, 150)]


def centres(labels):
    return np.array(center_of_mass(labels > 0, labels, np.arange(1, labels.max() + 1)))


def matched(labels, truth):
    """Distance from each true centre to the nearest object."""
    return np.hypot(*(centres(labels)[None] - np.array(truth)[:, None]).transpose(2, 0, 1)).min(1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_discs_are_found_where_they_are_and_as_large(discs, dtype):
    radii = [7, 8, 9, 7, 10, 8, 9, 7]
    image = (discs(CENTRES, radii, height=200) + 20).astype(dtype)
    labels = segment_nuclei(image, min_diameter=9)
    assert labels.dtype == np.int32
    assert sorted(np.unique(labels)) == list(range(9))
    assert matched(labels, CENTRES).max() < 0.2
    area = np.bincount(labels.ravel())[labels[tuple(np.array(CENTRES).T)]]
    assert area == pytest.approx(np.pi * np.square(radii), rel=0.08)


def test_uneven_light_and_noise(discs, noisy):
    labels = segment_nuclei(noisy(discs(CENTRES, [8] * 8, height=600)), min_diameter=9)
    assert labels.max() == 8
    assert matched(labels, CENTRES).max() < 0.5


def test_dim_nucleus_beside_bright_ones_keeps_its_size(discs):
    image = np.maximum(discs(CENTRES[:-1], [8] * 7, height=4000), discs(CENTRES[-1:], [8], height=1000)) + 100
    labels = segment_nuclei(image.astype(np.uint16), min_diameter=9)
    assert labels.max() == 8
    area = np.bincount(labels.ravel())[1:]
    assert np.ptp(area) <= 0.1 * area.max()


def test_touching_nuclei_are_split_and_one_long_nucleus_is_not(discs):
    touching = discs([(50, 50), (50, 64), (64, 64)], [8, 8, 8])
    y, x = np.mgrid[:160, :180]
    touching[((y - 120) / 8) ** 2 + ((x - 90) / 15) ** 2 <= 1] = 1000
    image = (touching + 50).astype(np.uint16)
    labels = segment_nuclei(image, min_diameter=9)
    assert labels.max() == 4
    assert matched(labels, [(50, 50), (50, 64), (64, 64), (120, 90)]).max() < 1
    assert segment_nuclei(image, min_diameter=9, declump="none").max() == 2


def test_declump_by_intensity_splits_what_shape_cannot(discs):
    y, x = np.mgrid[:80, :80]
    bar = np.where((abs(y - 40) <= 8) & (abs(x - 40) <= 20), 1.0, 0)
    image = (100 + 900 * bar * (1 - 0.2 * np.exp(-((x - 40) ** 2) / 18))).astype(np.uint16)
    assert segment_nuclei(image, min_diameter=9).max() == 1
    assert segment_nuclei(image, min_diameter=9, declump="intensity").max() == 2


def test_size_limits_and_border(discs):
    image = (discs([(30, 30), (30, 80), (90, 60), (100, 0)], [3, 8, 16, 8]) + 50).astype(np.uint16)
    # The plane's border cuts the last one in half: an equivalent diameter of about 11.6 px.
    assert segment_nuclei(image, min_diameter=10).max() == 3
    assert segment_nuclei(image, min_diameter=10, max_diameter=20).max() == 2
    assert segment_nuclei(image, min_diameter=10, max_diameter=20, discard_border=True).max() == 1
    assert segment_nuclei(image, min_diameter=5, discard_border=True).max() == 3


def test_holes_are_filled_up_to_the_size_of_a_nucleus(discs):
    image = discs([(60, 60)], [12])
    image[58:63, 58:63] = 0
    labels = segment_nuclei((image + 50).astype(np.uint16), min_diameter=12)
    assert labels[60, 60] == 1
    y, x = np.mgrid[:160, :180]
    ring = abs(np.hypot(y - 80, x - 90) - 45) < 8
    labels = segment_nuclei((1000 * ring + 50).astype(np.uint16), min_diameter=12, declump="none")
    assert labels[80, 90] == 0
    assert labels.max() >= 1


@pytest.mark.parametrize("level", [0, 37, 60000])
def test_flat_plane_has_no_nuclei(level):
    labels = segment_nuclei(np.full((50, 60), level, np.uint16), min_diameter=8)
    assert labels.dtype == np.int32
    assert not labels.any()


@pytest.mark.parametrize("seed", range(4))
def test_empty_well_has_no_nuclei(noisy, seed):
    assert not segment_nuclei(noisy(np.zeros((256, 256)), seed), min_diameter=9).any()


def test_one_dim_nucleus_in_noise(noisy, discs):
    labels = segment_nuclei(noisy(discs([(80, 90)], [9], height=150)), min_diameter=9)
    assert labels.max() == 1
    assert matched(labels, [(80, 90)]).max() < 1


def test_values_are_taken_as_they_are(discs, noisy):
    """An offset changes nothing and a gain only scales: no stretch, no clipping."""
    image = noisy(discs(CENTRES, [8] * 8)).astype(np.float64)
    labels = segment_nuclei(image, min_diameter=9)
    for other in (image + 1024, image * 16):
        assert (segment_nuclei(other, min_diameter=9) != labels).mean() < 1e-3
    assert (segment_nuclei(image, min_diameter=9) == labels).all()


def test_number_as_threshold(discs):
    image = np.maximum(discs(CENTRES[:4], [8] * 4, height=500), discs(CENTRES[4:], [8] * 4, height=200))
    assert segment_nuclei(image, min_diameter=9, threshold=300).max() == 4
    assert segment_nuclei(image, min_diameter=9, threshold=100).max() == 8


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"min_diameter": 0}, "'min_diameter' should be a length above 0, found 0"),
        ({"max_diameter": 5}, "'max_diameter' should be above 'min_diameter', which is 8, found 5"),
        ({"threshold": "triangle"}, "li, otsu or a number"),
        ({"boundary": 1}, "boundary"),
        ({"declump": "size", "neck": 0}, "declump.* found .size.. .neck"),
        ({"smoothing": -1}, "smoothing"),
        ({"image": np.zeros((3, 30, 30))}, r"plane \(y, x\)"),
        ({"image": np.full((30, 30), np.inf)}, "infinity"),
    ],
)
def test_refuses(changed, message):
    arguments = {"image": np.zeros((30, 30)), "min_diameter": 8} | changed
    with pytest.raises(ValueError, match=message):
        segment_nuclei(arguments.pop("image"), **arguments)
