"""Values that pass from stage to stage come back as they went."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hcs_lib.core.errors import DataError
from hcs_lib.storage.work import read_left_out, read_value, write_store, write_value

DTYPES = ("bool", "uint8", "int16", "uint16", "int32", "uint64", "float32", "float64", "complex64")
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text()
values = st.recursive(
    plain | arrays | npst.arrays("U3", npst.array_shapes(max_dims=2, max_side=3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def same(left, right) -> bool:
    if isinstance(left, (np.ndarray, np.generic)):
        return (
            isinstance(right, (np.ndarray, np.generic))
            and np.asarray(left).dtype == np.asarray(right).dtype
            and left.shape == right.shape
            and np.array_equal(left, right, equal_nan=np.asarray(left).dtype.kind in "fc")
        )
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return (isinstance(left, float) and math.isnan(left) and math.isnan(right)) or left == right


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_values_come_back_as_they_went(tmp_path_factory, value):
    group = tmp_path_factory.mktemp("value") / "0"
    write_value(group, value)
    assert same(value, read_value(group))


def test_an_array_whose_file_is_gone_is_no_array_of_zeros(tmp_path):
    write_value(tmp_path / "0", np.ones((4, 5), np.uint16))
    next(file for file in (tmp_path / "0/0/c").rglob("*") if file.is_file()).unlink()
    with pytest.raises(DataError, match="0 of 1 files of pixels"):
        read_value(tmp_path / "0")


@pytest.mark.parametrize("value", [object(), np.array([object()]), {1: 2}, {"a": [{1, 2}]}])
def test_what_is_no_data_does_not_pass(tmp_path, value):
    with pytest.raises(DataError, match="cannot pass from stage to stage"):
        write_value(tmp_path / "0", value)


def test_sites_left_out_keep_their_reasons(tmp_path):
    write_store(tmp_path, {2: "no focus", "B02/1": "no plane"})
    assert read_left_out(tmp_path) == {2: "no focus", "B02/1": "no plane"}
