import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs_lib.screening.doses import read_doses


def test_one_unit_is_never_interpreted() -> None:
    found = read_doses(["0", "1.5", "3"], ["", "drops", "drops"])
    assert (found.values, found.unit, found.problem) == ((0.0, 1.5, 3.0), "drops", "")


@pytest.mark.parametrize(
    ("units", "values", "target"),
    [
        (("nM", "uM", "pM"), (100.0, 1000.0, 0.5), "nM"),
        (("µM", "nM", "mM"), (100.0, 0.001, 500000.0), "µM"),
        (("ug/ml", "mg/l", "g/l"), (100.0, 1.0, 500000.0), "ug/ml"),
    ],
)
def test_units_that_differ_are_converted_to_the_first(units: tuple, values: tuple, target: str) -> None:
    texts = ("100", "1", "500")
    found = read_doses(texts, units)
    assert found.values == pytest.approx(values, rel=1e-9)
    assert (found.unit, found.problem) == (target, "")


def test_converted_doses_equal_those_written_in_the_other_unit() -> None:
    found = read_doses(["300", "0.3", "1.1", "1100"], ["nM", "uM", "uM", "nM"])
    assert found.values == (300.0, 300.0, 1100.0, 1100.0)


@pytest.mark.parametrize(
    "units", [("nM", "ug/ml"), ("nM", ""), ("nM", "<b>"), ("nM", "1"), ("nM", "9**9**9"), ("degC", "m")]
)
def test_units_without_conversion_are_named(units: tuple) -> None:
    found = read_doses(["1", "2"], units)
    assert found.problem == f"units {units[0]}, {units[1] or 'none'} cannot be converted"
    assert all(math.isnan(value) for value in found.values)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "ten", "1,5", "1e400", "<script>"])
def test_what_is_no_dose(text: str) -> None:
    found = read_doses([text, "2"], ["nM", "nM"])
    assert math.isnan(found.values[0])
    assert found.values[1] == 2


def test_vehicle_needs_no_unit() -> None:
    assert read_doses(["0", "0.0", "-0"], ["", "nM", "uM"]).values == (0.0, 0.0, 0.0)


units = st.text(max_size=6) | st.text("nuµmMgklLµ/%*°C19", max_size=6)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.text(max_size=6) | st.floats().map(str), units), max_size=4))
def test_any_text_is_a_dose_or_none(cells: list) -> None:
    found = read_doses([text for text, _ in cells], [unit for _, unit in cells])
    assert len(found.values) == len(cells)
    assert all(math.isnan(value) or (math.isfinite(value) and value >= 0) for value in found.values)
