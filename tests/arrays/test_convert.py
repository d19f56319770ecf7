import contextlib
import subprocess
import sys
import types

import numpy as np
import pytest

from hcs_lib.arrays.convert import all_to, to
from hcs_lib.arrays.memory import copy_of, dtype_name, is_array, memory_type_of, shares_memory
from hcs_lib.core.errors import DataError, MachineError, UserError

IMAGE = (np.arange(24, dtype=np.uint16).reshape(4, 6) * 2700) % 65_521

NUMPY_DTYPES = [
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
    "complex64", "complex128", "longdouble", "datetime64[s]", "O", "S3",
]  # fmt: skip
"""Every kind of dtype that NumPy has."""


def extremes(dtype):
    """Return a plane that holds the bounds of a dtype."""
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        return np.array([[0, 1, 2], [np.iinfo(kind).min, np.iinfo(kind).max, 3]], kind)
    if kind.kind in "fc":
        bounds = np.finfo(kind)
        return np.array([[0, -1, np.nan], [bounds.min, bounds.tiny, np.inf]], kind)
    return np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)


_PACKED = np.zeros((4, 6), [("flag", "u1"), ("value", "i4")])["value"]
_PACKED[...] = IMAGE
ODD_LAYOUTS = [
    IMAGE.astype("i4")[::-1, ::-2],
    IMAGE.astype(">i4"),
    IMAGE.astype(">f8"),
    np.broadcast_to(IMAGE[0].astype("f4"), (3, 6)),
    _PACKED,
]
"""Negative strides, foreign byte order, zero strides, and fields of a packed structure."""


def test_same_memory_type_is_the_same_array():
    assert to(IMAGE, "numpy") is IMAGE


def test_numpy_to_numpy_imports_nothing():
    code = (
        "import sys\n"
        "from hcs_lib.arrays.convert import to\n"
        "class Array: pass\n"
        "Array.__module__ = 'numpy'\n"
        "array = Array()\n"
        "assert to(array, 'numpy') is array\n"
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [(IMAGE, True), (np.float32(3), True), (IMAGE.dtype, False), (np.random.default_rng(1), False), ([1], False)],
)
def test_what_is_an_array(value, expected):
    assert is_array(value) is expected


@pytest.mark.parametrize("value", [[1, 2], 3, None, "numpy", {"a": 1}])
def test_what_is_no_array(value):
    with pytest.raises(DataError, match="An array was expected, not a value of type"):
        to(value, "numpy")


def test_a_library_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MachineError, match="cupy is needed"):
        to(IMAGE, "cupy")


def test_a_library_that_is_half_installed(tmp_path, monkeypatch):
    (tmp_path / "cupy.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(MachineError, match=r"cupy is needed but cannot be imported: libcudart\.so\.13"):
        to(IMAGE, "cupy")


@pytest.mark.torch
class TestTorch:
    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip("torch", reason="torch is not installed")

    @pytest.mark.parametrize("dtype", NUMPY_DTYPES)
    def test_round_trip_is_exact_or_refused(self, dtype):
        array = extremes(dtype)
        if dtype in ("uint64", "longdouble", "complex256", "datetime64[s]", "O", "S3"):
            with pytest.raises(DataError, match=r"torch cannot hold .* Cast to float32 or int64"):
                to(array, "torch")
            return
        tensor = to(array, "torch")
        assert memory_type_of(tensor) == "torch"
        assert dtype_name(tensor) == {"uint16": "int32", "uint32": "int64"}.get(dtype, dtype)
        back = to(tensor + 0 if dtype != "bool" else tensor, "numpy")
        np.testing.assert_array_equal(back, array)
        assert back.dtype.name == dtype_name(tensor)

    @pytest.mark.parametrize("array", ODD_LAYOUTS, ids=lambda array: array.dtype.str)
    def test_odd_layouts_are_copied_exactly(self, array):
        tensor = to(array, "torch")
        np.testing.assert_array_equal(to(tensor, "numpy"), array)
        assert not shares_memory(array, tensor)

    def test_read_only_memory_is_not_written(self):
        array = np.ones((3, 3), np.float32)
        array.flags.writeable = False
        tensor = to(array, "torch")
        assert not shares_memory(array, tensor)
        tensor += 1
        np.testing.assert_array_equal(array, np.ones((3, 3)))

    @pytest.mark.parametrize("array", [np.zeros((3, 3), np.float32), np.zeros((6, 6), "i8")[::2, 1::2].T])
    def test_memory_is_shared_where_it_can_be(self, array):
        tensor = to(array, "torch")
        assert shares_memory(array, tensor)
        assert shares_memory(tensor, to(tensor, "numpy"))
        assert not shares_memory(tensor, copy_of(tensor))
        tensor[1, 1] = 5
        assert array[1, 1] == 5

    @pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3, 1, 2)])
    def test_any_number_of_dimensions(self, shape):
        back = to(to(np.ones(shape, np.float32), "torch"), "numpy")
        np.testing.assert_array_equal(back, np.ones(shape, np.float32))
        assert back.shape == shape

    def test_what_numpy_has_not_is_refused(self, torch):
        for dtype in (torch.bfloat16, torch.float8_e4m3fn):
            with pytest.raises(DataError, match=r"NumPy has no (bfloat16|float8_e4m3fn)\. Cast to float32"):
                to(torch.ones(2, 2).to(dtype), "numpy")
        with pytest.raises(DataError, match="NumPy has no sparse arrays"):
            to(torch.eye(3).to_sparse(), "numpy")

    def test_lazy_values_are_computed(self, torch):
        np.testing.assert_array_equal(to(torch.ones(2, 2, requires_grad=True), "numpy"), np.ones((2, 2)))
        tensor = torch.tensor([[1 + 2j]]).conj()
        assert tensor.is_conj()
        np.testing.assert_array_equal(to(tensor, "numpy"), [[1 - 2j]])
        np.testing.assert_array_equal(to(tensor.imag, "numpy"), [[-2]])

    def test_unsigned_integers_that_torch_only_stores_come_back(self, torch):
        np.testing.assert_array_equal(to(torch.tensor([65_535], dtype=torch.uint16), "numpy"), [65_535])

    def test_devices(self, torch):
        tensor = to(IMAGE, "torch", "cpu")
        assert to(tensor, "torch", "cpu") is tensor
        if not torch.cuda.is_available():
            with pytest.raises(MachineError, match="no device cuda here: torch finds 0 CUDA devices"):
                to(IMAGE, "torch", "cuda")
        with pytest.raises(MachineError, match="no device cuda:99 here"):
            to(IMAGE, "torch", "cuda:99")
        with pytest.raises(UserError, match=r"'gpu' is no device; there are cpu, cuda, and cuda:1"):
            to(IMAGE, "torch", "gpu")

    def test_values_with_arrays_in_them(self):
        value = {"labels": IMAGE, "more": (IMAGE, [IMAGE, 3]), "name": "x", "none": None}
        found = all_to(value, "torch")
        assert memory_type_of(found["labels"]) == memory_type_of(found["more"][1][0]) == "torch"
        assert (found["more"][1][1], found["name"], found["none"]) == (3, "x", None)
        np.testing.assert_array_equal(all_to(found, "numpy")["more"][0], IMAGE)


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

    @pytest.mark.parametrize("dtype", NUMPY_DTYPES)
    def test_round_trip_is_exact_or_refused(self, dtype):
        array = extremes(dtype)
        if dtype not in ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"):
            with pytest.raises(DataError, match=r"pyclesperanto cannot hold .* Cast to float32 or int32"):
                to(array, "pyclesperanto")
            return
        image = to(array, "pyclesperanto")
        assert memory_type_of(image) == "pyclesperanto"
        back = to(image, "numpy")
        np.testing.assert_array_equal(back, array)
        assert back.dtype.name == dtype_name(image) == ("uint8" if dtype == "bool" else dtype)
        assert not shares_memory(array, back)

    @pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4), (1, 24), (24, 1, 1)])
    def test_one_to_three_dimensions(self, shape):
        back = to(to(IMAGE.reshape(shape), "pyclesperanto"), "numpy")
        np.testing.assert_array_equal(back, IMAGE.reshape(shape))

    @pytest.mark.parametrize("shape", [(), (2, 2, 2, 2), (0,), (0, 3), (3, 0, 2)])
    def test_other_shapes_are_refused(self, shape):
        with pytest.raises(DataError, match="one to three dimensions that are not empty, not of shape"):
            to(np.zeros(shape, np.float32), "pyclesperanto")

    @pytest.mark.parametrize("array", ODD_LAYOUTS, ids=lambda array: array.dtype.str)
    def test_odd_layouts(self, array):
        array = array.astype(array.dtype.str.replace("8", "4"), order="K")
        np.testing.assert_array_equal(to(to(array, "pyclesperanto"), "numpy"), array)

    def test_copies_are_apart(self):
        image = to(IMAGE, "pyclesperanto")
        other = copy_of(image)
        assert to(image, "pyclesperanto") is image
        assert shares_memory(image, image)
        assert not shares_memory(image, other)
        np.testing.assert_array_equal(to(other, "numpy"), IMAGE)

    def test_between_accelerators(self):
        pytest.importorskip("torch", reason="torch is not installed")
        tensor = to(to(IMAGE.astype(np.float32), "pyclesperanto"), "torch")
        np.testing.assert_array_equal(to(tensor, "numpy"), IMAGE)
        np.testing.assert_array_equal(to(to(tensor, "pyclesperanto"), "numpy"), IMAGE)


class FakeCupy(types.ModuleType):
    """What of cupy the conversion uses, on arrays of NumPy: all but the device."""

    class ndarray(np.ndarray):  # noqa: N801 — as cupy names it
        data = property(lambda self: types.SimpleNamespace(ptr=self.__array_interface__["data"][0]))

    ndarray.__module__ = "cupy"

    def __init__(self, devices=2):
        super().__init__("cupy")
        self.current = []
        self.cuda = types.SimpleNamespace(
            is_available=lambda: devices > 0,
            runtime=types.SimpleNamespace(getDeviceCount=lambda: devices),
            Device=self._device,
        )

    @contextlib.contextmanager
    def _device(self, number):
        self.current.append(number)
        yield

    def asarray(self, array):
        if isinstance(array, self.ndarray):
            return array
        assert array.dtype.isnative, "cupy refuses foreign byte orders"
        return array.copy().view(self.ndarray)

    def from_dlpack(self, tensor):
        return np.from_dlpack(tensor).view(self.ndarray)

    @staticmethod
    def asnumpy(array):
        return np.array(array)

    @staticmethod
    def ascontiguousarray(array):
        return np.ascontiguousarray(array).view(FakeCupy.ndarray)


@pytest.fixture
def cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())
    return sys.modules["cupy"]


class TestCupy:
    """The device itself is tested in the group `gpu`."""

    @pytest.mark.parametrize("dtype", NUMPY_DTYPES)
    def test_round_trip_is_exact_or_refused(self, cupy, dtype):
        array = extremes(dtype)
        if dtype in ("longdouble", "complex256", "datetime64[s]", "O", "S3"):
            with pytest.raises(DataError, match="cupy cannot hold"):
                to(array, "cupy")
            return
        back = to(to(array, "cupy"), "numpy")
        np.testing.assert_array_equal(back, array)
        assert back.dtype == array.dtype
        assert type(back) is np.ndarray

    @pytest.mark.parametrize("array", ODD_LAYOUTS, ids=lambda array: array.dtype.str)
    def test_odd_layouts(self, cupy, array):
        np.testing.assert_array_equal(to(to(array, "cupy"), "numpy"), array)

    def test_devices(self, cupy):
        to(IMAGE, "cupy", "cuda:1")
        to(to(IMAGE, "cupy"), "cupy", "cuda")
        assert cupy.current == [1, 0]
        with pytest.raises(MachineError, match="no device cuda:2 here: cupy finds 2 CUDA devices"):
            to(IMAGE, "cupy", "cuda:2")
        with pytest.raises(UserError, match="cupy has no arrays on cpu"):
            to(IMAGE, "cupy", "cpu")
        with pytest.raises(UserError, match="numpy has no arrays on cuda"):
            to(IMAGE, "numpy", "cuda")

    def test_without_a_device(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", FakeCupy(devices=0))
        with pytest.raises(MachineError, match="no device cuda here: cupy finds 0"):
            to(IMAGE, "cupy")

    @pytest.mark.torch
    def test_with_torch_on_one_device_nothing_is_copied(self, cupy, monkeypatch):
        torch = pytest.importorskip("torch", reason="torch is not installed")
        array = to(IMAGE.astype(np.float32), "cupy")
        tensor = to(array, "torch")
        assert shares_memory(array, tensor)
        tensor[0, 0] = 7
        assert array[0, 0] == 7
        reverse = array[::-1]
        assert not shares_memory(reverse, to(reverse, "torch"))
        np.testing.assert_array_equal(to(reverse, "torch").numpy(), reverse)
        wide = to(to(IMAGE, "cupy"), "torch")
        assert wide.dtype == torch.int32
        np.testing.assert_array_equal(wide.numpy(), IMAGE)
        monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda _: True))
        assert shares_memory(tensor, to(tensor, "cupy"))


@pytest.mark.gpu
class TestGpu:
    @pytest.fixture(autouse=True)
    def device(self):
        torch = pytest.importorskip("torch", reason="torch is not installed")
        cupy = pytest.importorskip("cupy", reason="cupy is not installed")
        if not (torch.cuda.is_available() and cupy.cuda.is_available()):
            pytest.skip("there is no CUDA device")

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"])
    def test_cupy_and_torch_share_the_device(self, dtype):
        array = to(extremes(dtype), "cupy", "cuda:0")
        tensor = to(array, "torch")
        assert tensor.is_cuda
        assert shares_memory(array, tensor)
        assert shares_memory(tensor, to(tensor, "cupy"))
        np.testing.assert_array_equal(to(tensor, "numpy"), extremes(dtype))

    @pytest.mark.parametrize("array", ODD_LAYOUTS, ids=lambda array: array.dtype.str)
    def test_odd_layouts(self, array):
        np.testing.assert_array_equal(to(to(array, "cupy"), "numpy"), array)
        np.testing.assert_array_equal(to(to(array, "torch", "cuda"), "numpy"), array)
        np.testing.assert_array_equal(to(to(to(array, "cupy")[::-1], "torch"), "numpy"), array[::-1])
