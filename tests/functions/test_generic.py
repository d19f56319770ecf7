"""Generic functions take what CuPy's arrays are to NumPy: arrays that never become NumPy's by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.samples import make_sample


class DeviceArray(NDArrayOperatorsMixin):
    """An array elsewhere: NumPy hands its functions over to it, and it refuses to be converted or mixed."""

    def __init__(self, held: np.ndarray) -> None:
        self.held = held

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **given: Any) -> Any:
        return _lift(getattr(ufunc, method)(*map(_held, inputs), **{key: _held(value) for key, value in given.items()}))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _lift(func(*map(_held, args), **{key: _held(value) for key, value in kwargs.items()}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.held, name)
        if name in ("shape", "ndim", "size", "dtype"):
            return found
        return lambda *args, **given: _lift(found(*map(_held, args), **given))

    def __getitem__(self, index: Any) -> Any:
        return _lift(self.held[index])

    def __len__(self) -> int:
        return len(self.held)

    def __bool__(self) -> bool:
        return bool(self.held)

    def __format__(self, spec: str) -> str:
        return format(self.held, spec)


def _held(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type numpy.ndarray")
    return value.held if isinstance(value, DeviceArray) else value


def _lift(value: Any) -> Any:
    return DeviceArray(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


STACK = make_sample("uint16", shape=(5, 41, 47))
PLANE = STACK.slices()[1]
FIELD = np.linspace(0.7, 1.3, PLANE.image.size, dtype=np.float32).reshape(PLANE.shape)

CASES: dict[str, list[tuple[np.ndarray, dict[str, Any]]]] = {
    "hcs.project": [
        (image, {"method": method})
        for image in (STACK.image, STACK.image.astype(np.float32), STACK.labels > 0)
        for method in ("max", "mean", "min", "median")
    ],
    "hcs.identity": [(STACK.image, {}), (PLANE.image / 7.0, {})],
    "hcs.apply_flat_field": [(PLANE.image, {"flat_field": FIELD}), (PLANE.image / 7.0, {"flat_field": FIELD})],
    "hcs.subtract_labels": [(PLANE.labels, {"inner": PLANE.labels * (PLANE.labels % 2)})],
}
GENERIC = {entry.id: entry for entry in get_library("hcs").build() if entry.generic}


def test_every_generic_function_is_tested() -> None:
    assert GENERIC.keys() == CASES.keys()


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, cases in CASES.items() for number in range(len(cases))]
)
def test_results_stay_where_images_lie_and_have_the_same_values(name: str, number: int) -> None:
    image, given = CASES[name][number]
    function = get_library("hcs").function(GENERIC[name].target)
    expected = function(image, **given)
    moved = {key: DeviceArray(value) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    found = function(DeviceArray(image), **moved)
    assert isinstance(found, DeviceArray)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.held, expected)


def test_the_double_refuses_what_cupy_refuses() -> None:
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(DeviceArray(PLANE.image))
    with pytest.raises(TypeError, match="Unsupported type"):
        DeviceArray(PLANE.image) + PLANE.image
