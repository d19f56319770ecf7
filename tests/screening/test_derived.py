import numpy as np
import pytest

from hcs_lib.screening.derived import evaluate_derived


def test_arithmetic_is_elementwise_in_double_precision():
    columns = {"n": np.array([3, 1, 0]), "c": np.array([1.0, 3.0, 0.0])}
    with np.errstate(all="ignore"):
        found = evaluate_derived({"fraction": "n / (n + c)", "log": "log(n + 1)"}, columns)
    np.testing.assert_array_equal(found["fraction"][:2], [0.75, 0.25])
    assert np.isnan(found["fraction"][2])
    np.testing.assert_allclose(found["log"], np.log([4, 2, 1]), rtol=1e-15)
    assert found["fraction"].dtype == np.float64


def test_no_rows_give_no_values():
    assert evaluate_derived({"x": "a * 2"}, {"a": np.zeros(0)})["x"].shape == (0,)


def test_one_name_within_another_is_not_confused():
    columns = {"Area": np.array([2.0]), "Area2": np.array([5.0])}
    assert evaluate_derived({"x": "Area2 - 1"}, columns)["x"] == pytest.approx([4.0])
