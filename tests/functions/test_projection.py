import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hcs_lib.functions.projection import project

STACK = np.array([[[1, 60000]], [[2, 65535]], [[4, 0]], [[5, 65534]]], np.uint16)


@pytest.mark.parametrize(
    ("method", "expected"), [("max", [5, 65535]), ("min", [1, 0]), ("mean", [3, 47767]), ("median", [3, 62767])]
)
def test_values_and_dtype(method, expected):
    plane = project(STACK, method=method)
    assert plane.dtype == np.uint16
    assert plane.tolist() == [expected]


@given(
    arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=6)),
    st.sampled_from(["max", "min", "mean", "median"]),
)
def test_stays_between_extremes(stack, method):
    plane = project(stack, method=method)
    assert plane.shape == stack.shape[1:]
    assert plane.dtype == stack.dtype
    assert (plane >= stack.min(0)).all()
    assert (plane <= stack.max(0)).all()


def test_floats_are_not_rounded():
    assert project(np.array([[[0.25]], [[0.5]]], np.float32), method="mean") == np.float32(0.375)


@pytest.mark.parametrize(("stack", "method"), [(STACK[0], "max"), (STACK[:0], "max"), (STACK, "sum")])
def test_refuses(stack, method):
    with pytest.raises(ValueError, match=r"stack \(n, y, x\)|max, mean, min or median"):
        project(stack, method=method)


def test_mean_of_a_mask_is_its_majority():
    stack = np.array([[[True, False]], [[True, False]], [[False, True]]])
    assert project(stack, method="mean").tolist() == [[True, False]]
    assert project(stack, method="median").tolist() == [[True, False]]
