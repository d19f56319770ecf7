import numpy as np
import pytest

from hcs_lib.core.dtypes import bits, itemsize


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64"])
def test_sizes_are_those_of_numpy(dtype):
    assert itemsize(dtype) == np.dtype(dtype).itemsize
    assert bits(dtype) == (1 if dtype == "bool" else 8 * np.dtype(dtype).itemsize)


@pytest.mark.parametrize(("dtype", "size"), [("uint8", 1), ("bool", 1), ("uint16", 2), ("float64", 8)])
def test_the_size_of_a_pixel(dtype, size):
    assert itemsize(dtype) == size
