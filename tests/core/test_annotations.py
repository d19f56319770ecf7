from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Ge, Gt
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.annotations import Above, expectation, in_order, keeping_to_annotations


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [1], [1.5, "1", True]),
        ("float", [1, 1.5], ["1", True]),
        ("'float | None'", [1.5, None], ["x"]),
        ("Optional[int]", [None, 3], ["x"]),
        ("Literal['a', 2]", ["a", 2], ["b"]),
        ("tuple[int, int]", [[1, 2]], [[1], 3]),
        ("Sequence[float] | float", [1, [1, 2.5]], ["x"]),
        ("Mapping[str, int]", [{"a": 1}], [{"a": "b"}]),
        ("typing.Union[int, str]", [1, "x"], [1.5]),
        ("tuple[float, ...]", [[1.0], []], ["x"]),
        ("Pixels", [0, 2.0], ["x", -1, float("inf"), float("nan")]),
        ("SquarePixels | None", [0, None], [-0.5]),
        ("Fraction", [0, 0.5, 1], [-0.1, 1.1]),
        ("Annotated[Fraction, Gt(0), Lt(1)]", [0.5], [0, 1, 7]),
        ("typing.Annotated[int, Ge(ge=1), annotated_types.Le(le=3)]", [1, 3], [0, 4, 1.5]),
        ("Annotated[Pixels, Gt(0)] | None", [0.1, None], [0, "8"]),
        ("Annotated[Pixels, Unheard(0)]", [-1, "x"], []),
        ("NDArray[Any]", [1, "x"], []),
        ("", [1, "x"], []),
    ],
)
def test_annotations(annotation: str, good: list[Any], bad: list[Any]) -> None:
    expected = expectation(annotation)
    assert all(expected.fits(value) for value in good)
    assert not any(expected.fits(value) for value in bad)


@given(st.text(max_size=30))
def test_any_annotation_is_understood_or_not_checked(annotation: str) -> None:
    expected = expectation(annotation)
    assert expected.fits(1) in (True, False)
    assert str(expected) or not annotation.strip("'\" ")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Pixels | None", "a length of 0 or more"),
        ("Annotated[SquarePixels, Gt(0)]", "an area above 0"),
        ("Fraction", "a number from 0 to 1"),
        ("Annotated[Fraction, Lt(1)]", "a number from 0 to below 1"),
        ("Annotated[Fraction, Gt(0)]", "a number above 0 and at most 1"),
        ("Annotated[float, Gt(0), Lt(1.5)]", "a number above 0 and below 1.5"),
        ("Annotated[float, Le(-2)]", "a number at most -2"),
        ("Literal['li', 'otsu'] | float", "li, otsu or a number"),
        ("Literal[2]", "2"),
        ("int | None", "int | None"),
        ("NDArray[Any]", "NDArray[Any]"),
    ],
)
def test_words(annotation: str, words: str) -> None:
    assert str(expectation(annotation)) == words


def test_order() -> None:
    expected = {"outer": expectation('Annotated[Pixels, Above("inner")] | None'), "inner": expectation("Pixels")}
    assert list(in_order(expected, {"inner": 2, "outer": 2.5})) == []
    assert list(in_order(expected, {"inner": 2, "outer": None})) == []
    assert list(in_order(expected, {"inner": 2, "outer": 2})) == [
        ("outer", "'outer' should be above 'inner', which is 2, found 2.")
    ]


@keeping_to_annotations
def ring(
    labels: Any, *, inner: Annotated[float, Ge(0)], outer: Annotated[float, Above("inner")] = 5,
    method: Literal["near", "far"] | Annotated[float, Gt(0)] = "near",
) -> tuple[Any, ...]:  # fmt: skip
    return labels, inner, outer, method


def test_a_function_keeps_to_its_annotations() -> None:
    """Whether annotations are text or, as here, objects; scalars of NumPy are numbers."""
    assert ring("labels", inner=np.float32(1), outer=np.int64(3), method=2) == ("labels", 1, 3, 2)
    for wrong, said in (
        ({"inner": -1}, "ring: 'inner' should be a number of 0 or more, found -1"),
        ({"inner": 5}, "ring: 'outer' should be above 'inner', which is 5, found 5"),
        ({"inner": 1, "method": "wide"}, "ring: 'method' should be near, far or a number above 0, found 'wide'"),
        ({"inner": 1, "method": 0}, "found 0"),
        ({"inner": np.zeros(2)}, "should be"),
    ):
        with pytest.raises(ValueError, match=said):
            ring("labels", **wrong)


def test_a_function_without_ranges_is_as_it_was() -> None:
    def double(image: int, times: float = 2) -> float:
        return times * image

    assert keeping_to_annotations(double) is double
