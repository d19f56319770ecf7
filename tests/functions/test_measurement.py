import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import regionprops_table
from skimage.segmentation import find_boundaries

from hcs_lib.functions.measurement import measure_columns, measure_objects

SIZES = st.tuples(st.integers(1, 16), st.integers(1, 16))
LABELS = arrays(np.int32, SIZES, elements=st.integers(0, 4))

OF_REGIONPROPS = {
    "area": "AreaShape_Area",
    "area_bbox": "AreaShape_BoundingBoxArea",
    "bbox-0": "AreaShape_BoundingBoxMinimum_Y",
    "bbox-1": "AreaShape_BoundingBoxMinimum_X",
    "bbox-2": "AreaShape_BoundingBoxMaximum_Y",
    "bbox-3": "AreaShape_BoundingBoxMaximum_X",
    "centroid-0": "AreaShape_Center_Y",
    "centroid-1": "Location_Center_X",
    "axis_major_length": "AreaShape_MajorAxisLength",
    "axis_minor_length": "AreaShape_MinorAxisLength",
    "eccentricity": "AreaShape_Eccentricity",
    "equivalent_diameter_area": "AreaShape_EquivalentDiameter",
    "extent": "AreaShape_Extent",
    "perimeter": "AreaShape_Perimeter",
    "intensity_mean": "Intensity_MeanIntensity_GFP",
    "intensity_min": "Intensity_MinIntensity_GFP",
    "intensity_max": "Intensity_MaxIntensity_GFP",
    "intensity_std": "Intensity_StdIntensity_GFP",
    "centroid_weighted-0": "Location_CenterMassIntensity_Y_GFP",
    "centroid_weighted-1": "Location_CenterMassIntensity_X_GFP",
}
PROPERTIES = sorted({name.split("-")[0] for name in OF_REGIONPROPS})


def image_of(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(0.5, 1000, (2, *shape)).astype(dtype)
    return rng.integers(1, np.iinfo(dtype).max, (2, *shape), dtype)


def measure(image, **labels):
    return measure_objects(image, labels=labels, channel_names=("DNA", "GFP"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
@settings(max_examples=40)
@given(labels=LABELS, seed=st.integers(0, 99))
def test_same_as_regionprops(dtype, labels, seed):
    image = image_of(labels.shape, dtype, seed)
    if not labels.any():
        return
    found = measure(image, nuclei=labels)
    expected = regionprops_table(labels, image[1].astype(np.float64), properties=("label", *PROPERTIES))
    assert found["Nuclei_Number_Object_Number"].tolist() == expected["label"].tolist()
    for theirs, ours in OF_REGIONPROPS.items():
        scale = 1e-9 if "Intensity" in ours else 0
        # Axes are square roots: what is 1e-16 before the root is 1e-8 after it.
        absolute = 1e-6 if "Axis" in ours or "Eccentricity" in ours else 1e-9
        np.testing.assert_allclose(
            found[f"Nuclei_{ours}"], expected[theirs], rtol=1e-9, atol=absolute + scale, err_msg=ours
        )


def test_axes_to_nine_digits_on_blobs():
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(300, 320)), 4)
    labels = ndimage.label(noise > 0.02)[0].astype(np.int32)
    labels[np.isin(labels, np.flatnonzero(np.bincount(labels.ravel()) < 20))] = 0
    found = measure(image_of(labels.shape, np.uint16), nuclei=labels)
    names = {
        "axis_major_length": "MajorAxisLength",
        "axis_minor_length": "MinorAxisLength",
        "eccentricity": "Eccentricity",
        "perimeter": "Perimeter",
    }
    expected = regionprops_table(labels, properties=("orientation", *names))
    assert len(expected["orientation"]) > 50
    for theirs, ours in names.items():
        np.testing.assert_allclose(found[f"Nuclei_AreaShape_{ours}"], expected[theirs], rtol=1e-10, err_msg=ours)
    np.testing.assert_allclose(found["Nuclei_AreaShape_Orientation"], np.degrees(expected["orientation"]), atol=1e-8)
    np.testing.assert_allclose(
        found["Nuclei_AreaShape_FormFactor"],
        4 * np.pi * found["Nuclei_AreaShape_Area"] / expected["perimeter"] ** 2,
        rtol=1e-10,
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.int64, np.float32, np.float64])
def test_order_statistics_edges_and_displacement(dtype):
    labels = np.random.default_rng(2).integers(0, 7, (25, 31)).astype(np.int32)
    labels[3:9, 4:12], labels[12:24, 15:30] = 3, 6
    image = image_of(labels.shape, dtype)
    found = measure(image, nuclei=labels)
    edge = find_boundaries(np.pad(labels, 1), connectivity=1, mode="inner")[1:-1, 1:-1]
    for row, number in enumerate(found["Nuclei_Number_Object_Number"]):
        inside = labels == number
        values, border = image[1][inside].astype(np.float64), image[1][inside & edge].astype(np.float64)
        mass = ndimage.center_of_mass(image[1].astype(np.float64), labels, number)
        expected = {
            "LowerQuartileIntensity": np.quantile(values, 0.25),
            "MedianIntensity": np.median(values),
            "UpperQuartileIntensity": np.quantile(values, 0.75),
            "MADIntensity": np.median(abs(values - np.median(values))),
            "IntegratedIntensity": values.sum(),
            "IntegratedIntensityEdge": border.sum(),
            "MeanIntensityEdge": border.mean(),
            "StdIntensityEdge": border.std(),
            "MinIntensityEdge": border.min(),
            "MaxIntensityEdge": border.max(),
            "MassDisplacement": np.hypot(*np.subtract(mass, ndimage.center_of_mass(inside))),
        }
        for name, value in expected.items():
            assert found[f"Nuclei_Intensity_{name}_GFP"][row] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_secondary_objects_belong_to_the_primary_of_their_label():
    nuclei, rings = np.zeros((2, 10, 12), np.int32)
    nuclei[1:3, 1:3], nuclei[5:7, 5:7], nuclei[8:10, 9:12] = 2, 5, 9
    rings[0:4, 4], rings[6, 0:4], rings[9, 0] = 5, 2, 7
    image = np.stack([np.arange(120).reshape(10, 12), np.full((10, 12), 3)]).astype(np.uint16)
    found = measure(image, nuclei=nuclei, cytoplasm=rings)
    assert found["Nuclei_Number_Object_Number"].tolist() == [2, 5, 9]
    assert found["Nuclei_AreaShape_Area"].tolist() == [4, 4, 6]
    np.testing.assert_array_equal(found["Cytoplasm_AreaShape_Area"], [4, 4, np.nan])
    np.testing.assert_array_equal(found["Cytoplasm_Intensity_MeanIntensity_DNA"], [73.5, 22, np.nan])
    np.testing.assert_array_equal(found["Cytoplasm_AreaShape_TouchesBorder"], [1, 1, np.nan])
    assert found["Nuclei_AreaShape_TouchesBorder"].tolist() == [0, 0, 1]
    alone = measure(image, cytoplasm=rings)
    assert alone["Cytoplasm_Number_Object_Number"].tolist() == [2, 5, 7]


def test_columns_are_known_without_pixels():
    image = np.ones((2, 9, 9), np.uint8)
    labels = {"nuclei": np.eye(9, dtype=np.int32), "cytoplasm": np.zeros((9, 9), np.int32)}
    found = measure_objects(image, labels=labels, channel_names=["DNA", "GFP"])
    columns = measure_columns(["nuclei", "cytoplasm"], ["DNA", "GFP"])
    assert list(found) == columns
    assert len(columns) == 107
    assert {"Nuclei_Intensity_MeanIntensity_GFP", "Cytoplasm_Intensity_MADIntensity_DNA",
            "Nuclei_Location_CenterMassIntensity_X_DNA", "Nuclei_AreaShape_FormFactor"} <= set(columns)  # fmt: skip


def test_no_objects_is_an_empty_table_of_the_same_columns_and_dtypes():
    image = np.ones((2, 9, 9), np.uint16)
    empty, one = np.zeros((9, 9), np.int32), np.eye(9, dtype=np.int32)
    found = measure(image, nuclei=empty, cytoplasm=one)
    full = measure(image, nuclei=one, cytoplasm=empty)
    assert {name: (column.shape, column.dtype) for name, column in found.items()} == {
        name: ((0,), column.dtype) for name, column in full.items()
    }
    assert full["Nuclei_Number_Object_Number"].dtype == np.int32
    assert {column.dtype for column in full.values()} == {np.dtype(np.int32), np.dtype(np.float64)}


def test_black_object_has_no_centre_of_mass():
    labels = np.zeros((6, 6), np.int32)
    labels[2:4, 2:4] = 1
    found = measure(np.zeros((2, 6, 6), np.uint8), nuclei=labels)
    assert np.isnan(found["Nuclei_Location_CenterMassIntensity_X_DNA"]).all()
    assert found["Nuclei_Intensity_MeanIntensity_DNA"].tolist() == [0]
    assert found["Nuclei_AreaShape_Center_X"].tolist() == [2.5]


def test_nan_outside_objects_does_not_matter_and_inside_it_is_refused():
    labels = np.zeros((6, 6), np.int32)
    labels[2:4, 2:4] = 1
    image = np.ones((2, 6, 6))
    image[:, 0] = np.nan
    assert measure(image, nuclei=labels)["Nuclei_Intensity_MeanIntensity_DNA"].tolist() == [1]
    image[1, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        measure(image, nuclei=labels)


@pytest.mark.parametrize(
    ("image", "labels", "names", "message"),
    [
        (np.zeros((2, 5, 5)), {"nuclei": np.zeros((5, 5), int)}, ("DNA",), "one for each of the names DNA"),
        (np.zeros((5, 5)), {"nuclei": np.zeros((5, 5), int)}, ("DNA",), r"\(c, y, x\)"),
        (np.zeros((1, 5, 5)), np.zeros((5, 5), int), ("DNA",), "list of names"),
        (np.zeros((1, 5, 5)), {"nuclei": np.zeros((5, 6), int)}, ("DNA",), "do not lie on"),
        (np.zeros((1, 5, 5)), {"nuclei": np.zeros((5, 5))}, ("DNA",), "integers"),
        (np.zeros((2, 5, 5)), {"nuclei": np.zeros((5, 5), int)}, ("DNA", "DNA"), "twice"),
    ],
)
def test_refuses(image, labels, names, message):
    with pytest.raises(ValueError, match=message):
        measure_objects(image, labels=labels, channel_names=names)
