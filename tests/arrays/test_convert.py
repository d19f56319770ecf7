import subprocess
import sys

import numpy as np
import pytest

from hcs_lib.arrays.convert import convert
from hcs_lib.arrays.memory import memory_type_of
from hcs_lib.core.errors import DataError, MachineError

IMAGE = (np.arange(24, dtype=np.uint16).reshape(4, 6) * 2700) % 65_521


def test_same_memory_type_is_the_same_array():
    assert convert(IMAGE, "numpy") is IMAGE


def test_numpy_to_numpy_imports_nothing():
    code = (
        "import sys\n"
        "from hcs_lib.arrays.convert import convert\n"
        "class Array: pass\n"
        "Array.__module__ = 'numpy'\n"
        "array = Array()\n"
        "assert convert(array, 'numpy') is array\n"
        "assert not {'numpy', 'torch', 'cupy', 'pyclesperanto'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("module", "memory_type"),
    [("numpy", "numpy"), ("cupy", "cupy"), ("cupy._core.core", "cupy"), ("torch", "torch"),
     ("pyclesperanto_opencl._pyclesperanto", "pyclesperanto"), ("pyclesperanto_cuda.x", "pyclesperanto")],
)  # fmt: skip
def test_memory_type_by_the_root_of_the_module(module, memory_type):
    kind = type("Array", (), {"__module__": module})
    assert memory_type_of(kind()) == memory_type


@pytest.mark.parametrize("value", [[1, 2], 3, None, "numpy", {"a": 1}])
def test_what_is_no_array(value):
    with pytest.raises(DataError, match="An array was expected, not a value of type"):
        convert(value, "numpy")


def test_a_library_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MachineError, match="cupy is needed"):
        convert(IMAGE, "cupy")


@pytest.mark.torch
class TestTorch:
    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip("torch", reason="torch is not installed")

    @pytest.mark.parametrize(
        "dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64"]
    )
    def test_round_trip(self, dtype):
        array = (IMAGE % 127).astype(dtype)
        tensor = convert(array, "torch")
        assert memory_type_of(tensor) == "torch"
        back = convert(tensor, "numpy")
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)

    @pytest.mark.parametrize(("dtype", "wide"), [("uint16", "int32"), ("uint32", "int64")])
    def test_what_torch_cannot_compute_with_is_widened_without_loss(self, torch, dtype, wide):
        array = np.array([[0, 1, np.iinfo(dtype).max]], dtype)
        tensor = convert(array, "torch")
        assert str(tensor.dtype) == f"torch.{wide}"
        np.testing.assert_array_equal(convert(tensor + 0, "numpy"), array)

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(DataError, match=r"torch cannot hold uint64 .*Cast to float32 or int64"):
            convert(np.zeros((2, 2), np.uint64), "torch")

    def test_negative_strides(self):
        tensor = convert(IMAGE[::-1, ::-2], "torch")
        np.testing.assert_array_equal(convert(tensor, "numpy"), IMAGE[::-1, ::-2])

    def test_read_only_memory_is_not_written(self):
        array = np.ones((3, 3), np.float32)
        array.flags.writeable = False
        tensor = convert(array, "torch")
        tensor += 1
        np.testing.assert_array_equal(array, np.ones((3, 3)))

    def test_foreign_byte_order(self):
        tensor = convert(IMAGE.astype(">i4"), "torch")
        np.testing.assert_array_equal(convert(tensor, "numpy"), IMAGE)

    def test_memory_is_shared_where_it_can_be(self):
        array = np.zeros((3, 3), np.float32)
        convert(array, "torch")[1, 1] = 5
        assert array[1, 1] == 5

    def test_gradients_and_bfloat16(self, torch):
        tensor = torch.ones(2, 2, requires_grad=True)
        np.testing.assert_array_equal(convert(tensor, "numpy"), np.ones((2, 2)))
        with pytest.raises(DataError, match="bfloat16"):
            convert(torch.ones(2, 2, dtype=torch.bfloat16), "numpy")


def _has_opencl() -> bool:
    try:
        import pyclesperanto as cle
    except ImportError:
        return False
    return bool(hasattr(cle, "list_available_devices") and cle.list_available_devices())


@pytest.mark.opencl
class TestOpenCL:
    @pytest.fixture(autouse=True)
    def device(self):
        if not _has_opencl():
            pytest.skip("there is no OpenCL device (Debian: pocl-opencl-icd)")

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"])
    @pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4)])
    def test_round_trip(self, dtype, shape):
        array = (IMAGE % 127).astype(dtype).reshape(shape)
        image = convert(array, "pyclesperanto")
        assert memory_type_of(image) == "pyclesperanto"
        back = convert(image, "numpy")
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)

    def test_masks_become_bytes(self):
        back = convert(convert(IMAGE > 9000, "pyclesperanto"), "numpy")
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, IMAGE > 9000)

    @pytest.mark.parametrize("dtype", ["int64", "uint64", "float64"])
    def test_narrowing_is_refused(self, dtype):
        with pytest.raises(DataError, match=rf"pyclesperanto cannot hold {dtype} .*Cast to float32 or int32"):
            convert(IMAGE.astype(dtype), "pyclesperanto")

    def test_more_than_three_dimensions_are_refused(self):
        with pytest.raises(DataError, match="one to three dimensions"):
            convert(np.zeros((2, 2, 2, 2), np.float32), "pyclesperanto")

    def test_negative_strides_and_byte_order(self):
        for array in (IMAGE[::-1, ::-2], IMAGE.astype(">u2"), np.asfortranarray(IMAGE)):
            np.testing.assert_array_equal(convert(convert(array, "pyclesperanto"), "numpy"), array)

    def test_between_accelerators(self):
        pytest.importorskip("torch", reason="torch is not installed")
        tensor = convert(convert(IMAGE.astype(np.float32), "pyclesperanto"), "torch")
        np.testing.assert_array_equal(convert(tensor, "numpy"), IMAGE)
        np.testing.assert_array_equal(convert(convert(tensor, "pyclesperanto"), "numpy"), IMAGE)
