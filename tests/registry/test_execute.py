"""What contracts do with numbers."""

import numpy as np
import pytest

from hcs_lib.core.declare import ProcessingContract
from hcs_lib.core.errors import DataError, UserError

STACK = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)


@pytest.fixture
def run(toy):
    def call(contract, function, image, *args, **kwargs):
        return ProcessingContract[contract].execute(toy, function, image, *args, **kwargs)

    return call


def subtract_mean(image, scale=1.0):
    return (image - image.mean()) * scale


def test_planes_only_goes_slice_by_slice(run):
    result = run("PURE_2D", subtract_mean, STACK, scale=2.0)
    np.testing.assert_array_equal(result, np.stack([2 * (plane - plane.mean()) for plane in STACK]))
    assert result.dtype == np.float32


def test_planes_only_takes_a_plane_as_it_is(run):
    np.testing.assert_array_equal(run("PURE_2D", subtract_mean, STACK[0]), STACK[0] - STACK[0].mean())


def test_flexible_takes_the_volume_unless_told_otherwise(run):
    whole = run("FLEXIBLE", subtract_mean, STACK)
    sliced = run("FLEXIBLE", subtract_mean, STACK, slice_by_slice=True)
    np.testing.assert_array_equal(whole, STACK - STACK.mean())
    np.testing.assert_array_equal(sliced, np.stack([plane - plane.mean() for plane in STACK]))
    assert not np.array_equal(whole, sliced)


def test_volumes_only_refuses_a_plane(run):
    np.testing.assert_array_equal(run("PURE_3D", lambda image: image + 1, STACK), STACK + 1)
    with pytest.raises(DataError, match=r"takes a stack .* but was given a plane"):
        run("PURE_3D", lambda image: image, STACK[0])


def test_stack_to_plane_is_checked(run):
    np.testing.assert_array_equal(run("VOLUMETRIC_TO_SLICE", lambda image: image.max(0), STACK), STACK.max(0))
    with pytest.raises(DataError, match=r"should make a plane .* array of shape \(2, 5, 6\)"):
        run("VOLUMETRIC_TO_SLICE", lambda image: image, STACK)
    with pytest.raises(DataError, match="was given a plane"):
        run("VOLUMETRIC_TO_SLICE", lambda image: image.max(0), STACK[0])


def test_stack_to_plane_with_further_results(run):
    plane, note = run("VOLUMETRIC_TO_SLICE", lambda image: (image.max(0), "note"), STACK)
    assert plane.shape == (5, 6)
    assert note == "note"


@pytest.mark.parametrize("contract", ["PURE_3D", "VOLUMETRIC_TO_SLICE"])
def test_whole_stacks_cannot_go_slice_by_slice(run, contract):
    with pytest.raises(UserError, match="slice by slice"):
        run(contract, lambda image: image.max(0), STACK, slice_by_slice=True)


@pytest.mark.parametrize("contract", list(ProcessingContract.__members__))
@pytest.mark.parametrize("image", [np.zeros(3), np.zeros((2, 3, 4, 5)), 7])
def test_other_dimensions_are_refused(run, contract, image):
    with pytest.raises(DataError, match="takes a"):
        run(contract, lambda image: image, image)


def test_labels_and_masks_are_sliced_along(run):
    labels = np.arange(60).reshape(2, 5, 6)
    kernel = np.ones((3, 3))

    def add(image, labels, kernel, named, offset):
        assert kernel.shape == (3, 3)
        return image + labels + named["nuclei"] + offset

    result = run("PURE_2D", add, STACK, labels=labels, kernel=kernel, named={"nuclei": labels}, offset=1)
    np.testing.assert_array_equal(result, STACK + 2 * labels + 1)
    np.testing.assert_array_equal(run("PURE_2D", lambda image, other: image - other, STACK, STACK), np.zeros((2, 5, 6)))


def test_scalars_become_one_value_per_slice(run):
    result = run("PURE_2D", lambda image: image.mean(), STACK)
    np.testing.assert_array_equal(result, [14.5, 44.5])
    np.testing.assert_array_equal(run("PURE_2D", lambda image: int(image.max()), STACK), [29, 59])


def test_tuples_are_joined_member_by_member(run):
    image, count = run("PURE_2D", lambda image: (image + 1, int(image[0, 0])), STACK)
    np.testing.assert_array_equal(image, STACK + 1)
    np.testing.assert_array_equal(count, [0, 30])


def test_tables_are_joined_row_by_row_with_the_slice(run):
    def measure(image):
        return {
            "label": np.arange(int(image[0, 0] // 30) + 1),
            "mean": [float(image.mean())] * int(image[0, 0] // 30 + 1),
        }

    table = run("PURE_2D", measure, STACK)
    assert {name: column.tolist() for name, column in table.items()} == {
        "slice": [0, 1, 1], "label": [0, 0, 1], "mean": [14.5, 44.5, 44.5],
    }  # fmt: skip


def test_named_images_are_joined_by_name(run):
    result = run("PURE_2D", lambda image: {"twice": 2 * image}, STACK)
    np.testing.assert_array_equal(result["twice"], 2 * STACK)


def test_anything_else_is_a_list(run):
    assert run("PURE_2D", lambda image: [image[0, 0]], STACK) == [[0.0], [30.0]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda image: np.zeros(int(image[0, 0]) + 1), "different shapes"),
        (lambda image: image if image[0, 0] else None, "different things"),
        (lambda image: (1,) * (1 + int(image[0, 0])), "different length"),
        (lambda image: {str(image[0, 0]): image}, "different columns"),
    ],
)
def test_slices_that_do_not_fit_together(run, function, message):
    with pytest.raises(DataError, match=message):
        run("PURE_2D", function, STACK)


def test_a_stack_of_nothing_is_an_error(run):
    with pytest.raises(DataError, match="no slices"):
        run("PURE_2D", subtract_mean, STACK[:0])
