"""Image quality: against CellProfiler's definition written out anew, and against what must and must not change it."""

import numpy as np
import pytest
from scipy import ndimage

from hcs_lib.functions.image_quality import FEATURES, image_quality_columns, measure_image_quality


def measure(plane):
    table = measure_image_quality(plane[None], channel_names=["DNA"])
    assert {column.shape for column in table.values()} == {(1,)}
    return {name.removeprefix("ImageQuality_").removesuffix("_DNA"): column[0] for name, column in table.items()}


def slope_by_definition(plane):
    """CellProfiler's power-log-log slope, over the whole spectrum: Bray et al. 2012, as centrosome computes it."""
    rows, columns = (np.arange(size) for size in plane.shape)
    power = np.abs(np.fft.fft2(plane - plane.mean())) ** 2
    y, x = np.minimum(rows, rows[::-1]), np.minimum(columns, columns[::-1])
    radius = np.floor(np.sqrt(y[:, None] ** 2 + x[None] ** 2)) + 1
    rings = np.arange(2, int(min(plane.shape) / 8))
    sums = ndimage.sum_labels(power, radius, rings)
    design = np.column_stack([np.log(rings), np.ones(len(rings))])
    return np.linalg.lstsq(design, np.log(sums), rcond=None)[0][0]


@pytest.fixture
def scene(discs, noisy):
    rng = np.random.default_rng(3)
    centres, radii = rng.uniform(10, 310, (60, 2)), rng.uniform(6, 12, 60)
    return discs(centres, radii, shape=(320, 360)), noisy


@pytest.mark.parametrize("shape", [(320, 360), (360, 320), (257, 301), (64, 512)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_slope_is_that_of_cellprofiler(scene, shape, dtype):
    image, noisy = scene
    plane = np.resize(noisy(image) // 8, shape).astype(dtype)
    assert measure(plane)["PowerLogLogSlope"] == pytest.approx(slope_by_definition(plane.astype(float)), rel=1e-9)


def test_blur_lowers_focus_step_by_step(scene):
    image, noisy = scene
    found = [measure(noisy(ndimage.gaussian_filter(image, sigma))) for sigma in (0, 1, 2, 4, 8)]
    # The noise of the camera is as sharp as ever: below it, the Laplacian sees no difference any more.
    sharp = [measure(ndimage.gaussian_filter(image, sigma)) for sigma in (0, 1, 2, 4, 8)]
    for feature, measured in (("PowerLogLogSlope", found), ("FocusScore", found), ("LaplacianVariance", sharp)):
        values = [values[feature] for values in measured]
        assert values == sorted(values, reverse=True), feature
        assert len(set(values)) == len(values)
    assert found[0]["PowerLogLogSlope"] - found[-1]["PowerLogLogSlope"] > 0.5


def test_focus_against_gain_and_offset(scene):
    image, noisy = scene
    plane = noisy(image).astype(np.float64)
    before, after = measure(plane), measure(3 * plane + 500)
    assert after["PowerLogLogSlope"] == pytest.approx(before["PowerLogLogSlope"], rel=1e-9)
    assert after["LaplacianVariance"] == pytest.approx(9 * before["LaplacianVariance"], rel=1e-9)
    assert after["BackgroundNoise"] == pytest.approx(3 * before["BackgroundNoise"], rel=1e-9)
    assert after["Background"] == pytest.approx(3 * before["Background"] + 500, rel=1e-9)


def test_gain_alone_leaves_unevenness_and_shares(scene):
    image, noisy = scene
    plane = noisy(image).astype(np.float64)
    before, after = measure(plane), measure(2 * plane)
    for feature in ("Unevenness", "PercentMaximal", "PercentMinimal", "PowerLogLogSlope"):
        assert after[feature] == pytest.approx(before[feature], rel=1e-9), feature
    assert after["FocusScore"] == pytest.approx(2 * before["FocusScore"], rel=1e-9)


def test_laplacian_is_that_of_scipy(scene):
    image, noisy = scene
    for plane in (noisy(image), noisy(image).astype(np.int32)):
        expected = ndimage.laplace(plane.astype(float))[1:-1, 1:-1].var()
        assert measure(plane)["LaplacianVariance"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32])
def test_saturation_is_counted_exactly(dtype):
    plane = np.full((50, 40), 7, dtype)
    plane.flat[:30] = np.iinfo(dtype).max
    plane.flat[30:50] = 1
    found = measure(plane)
    assert (found["PercentSaturated"], found["PercentMaximal"], found["PercentMinimal"]) == (1.5, 1.5, 1.0)


def test_a_camera_of_12_bits_saturates_at_its_own_maximum():
    plane = np.full((50, 40), 7, np.uint16)
    plane.flat[:30] = 4095
    assert (measure(plane)["PercentSaturated"], measure(plane)["PercentMaximal"]) == (0, 1.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_intensities_are_those_of_numpy(dtype):
    plane = np.random.default_rng(0).integers(3, 250, (41, 58)).astype(dtype)
    real, found = plane.astype(float), measure(plane)
    expected = {
        "TotalIntensity": real.sum(),
        "MeanIntensity": real.mean(),
        "StdIntensity": real.std(),
        "MedianIntensity": np.median(real),
        "MADIntensity": np.median(np.abs(real - np.median(real))),
        "MinIntensity": real.min(),
        "MaxIntensity": real.max(),
        "Percentile1Intensity": np.quantile(real, 0.01, method="lower"),
        "Percentile99Intensity": np.quantile(real, 0.99, method="lower"),
        "FocusScore": real.var() / real.mean(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_background_and_noise_are_those_put_in(discs):
    rng = np.random.default_rng(1)
    cells = discs(rng.uniform(10, 310, (60, 2)), np.full(60, 9.0), shape=(320, 320), height=3000)
    found = measure(np.rint(200 + cells + rng.normal(0, 10, cells.shape)).astype(np.uint16))
    # A tile's background is its 10 % quantile, 1.28 standard deviations below the mean of the noise.
    assert found["Background"] == pytest.approx(200 - 12.8, abs=4)
    assert found["BackgroundNoise"] == pytest.approx(10, rel=0.15)
    assert found["Unevenness"] < 0.02


def test_unevenness_grows_with_the_fall_of_light(scene):
    image, noisy = scene
    values = [measure(noisy(image, uneven=uneven))["Unevenness"] for uneven in (0, 0.3, 0.6, 0.9)]
    assert values == sorted(values)
    assert values[-1] > 3 * values[0]


def test_constant_and_tiny_planes_have_defined_values():
    for shape in ((64, 64), (1, 1), (2, 9), (3, 3)):
        found = measure(np.zeros(shape, np.uint16))
        assert np.isnan(found.pop("Unevenness"))
        assert {name for name, value in found.items() if value} == {"PercentMaximal", "PercentMinimal"}
    assert measure(np.full((9, 9), 65535, np.uint16))["PercentSaturated"] == 100
    assert measure(np.eye(16) > 0)["PercentMaximal"] == 6.25


def test_one_row_with_the_columns_that_were_announced():
    image = np.random.default_rng(0).integers(0, 99, (2, 30, 30)).astype(np.uint16)
    table = measure_image_quality(image, channel_names=("DNA", "GFP"))
    assert list(table) == image_quality_columns([], ("DNA", "GFP"))
    assert len(table) == 2 * len(FEATURES)
    one = measure_image_quality(image[1:], channel_names=("GFP",))
    assert all(table[name] == value for name, value in one.items())


@pytest.mark.parametrize(
    ("image", "names", "message"),
    [
        (np.zeros((2, 8, 8)), ["DNA"], "one for each of the names DNA"),
        (np.zeros((8, 8)), ["DNA"], r"the image has shape \(8, 8\)"),
        (np.zeros((1, 0, 8)), ["DNA"], r"expects a plane \(y, x\)"),
        (np.full((1, 8, 8), np.nan), ["DNA"], "NaN or infinity"),
    ],
)
def test_what_it_refuses(image, names, message):
    with pytest.raises(ValueError, match=message):
        measure_image_quality(image, channel_names=names)


def test_blurred_site_of_a_real_plate_is_the_outlier(shared_data):
    import tifffile

    from hcs_lib.screening.flags import flag_sites

    files = sorted((shared_data / "bbbc013-wortmannin/images").glob("Channel2-*.tif"))[:12]
    planes = [tifffile.imread(file) for file in files]
    planes[4] = np.rint(ndimage.gaussian_filter(planes[4].astype(float), 3)).astype(np.uint8)
    rows = [measure_image_quality(plane[None], channel_names=["DNA"]) for plane in planes]
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    flagged = flag_sites(columns, {"blurred": 5.0})["blurred"]["DNA"]
    assert np.flatnonzero(flagged).tolist() == [4]
