import numexpr
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hcs_lib.core.expressions import FUNCTIONS, column_names


def test_columns_in_order_of_first_use() -> None:
    assert column_names("b / (a + b) - where(c > 0, log(a), 2e3)") == ("b", "a", "c")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("__import__('os').system('x')", "no arithmetic"),
        ("open(a)", "unknown function 'open'"),
        ("lgo(a)", "Did you mean log"),
        ("log(a, b)", "log takes 1"),
        ("a.real", "no arithmetic"),
        ("a[0]", "no arithmetic"),
        ("[a for a in b]", "no arithmetic"),
        ("lambda: a", "no arithmetic"),
        ("a and b", "write '&'"),
        ("a < b < c", "no arithmetic"),
        ("'text'", "no number"),
        ("a + True", "no number"),
        ("9 ** 9 ** 9 + a", "power of numbers"),
        ("a + 0 / 0", "divides by 0"),
        ("a % (2 - 2)", "divides by 2 - 2"),
        ("a + 99999999999999999999", "too large"),
        ("a + 1e999", "too large"),
        ("1 + 1", "uses no column"),
        ("a +", "no expression"),
        ("a; b", "no expression"),
        ("", "no expression"),
        ("(" * 400 + "a" + ")" * 400, "no expression|nested too deeply"),
        ("-" * 1900 + "a", "nested too deeply"),
        ("a" * 2001, "at most 2000"),
    ],
)
def test_what_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        column_names(expression)


NAMES = st.sampled_from(["Nuclei_Area", "b", "λ"])
EXPRESSIONS = st.recursive(
    NAMES | st.integers(0, 99).map(str) | st.floats(0.1, 9).map(repr),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda parts: f"({' '.join(parts)})")
        | inner.map(lambda text: f"(-{text})")
        | st.tuples(st.sampled_from([name for name, count in FUNCTIONS.items() if count == 1]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        )
        | st.tuples(inner, st.sampled_from(["<", ">=", "=="]), inner, inner).map(
            lambda p: f"where({p[0]} {p[1]} {p[2]}, {p[3]}, 1.5)"
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_what_is_accepted_numexpr_evaluates(expression: str) -> None:
    try:
        names = column_names(f"c + {expression}")
    except ValueError:
        assume(False)
    columns = {name: np.array([1.0, 2.5, 4.0]) for name in names}
    with np.errstate(all="ignore"):
        assert np.asarray(numexpr.evaluate(f"c + {expression}", local_dict=columns, global_dict={})).shape == (3,)


@settings(max_examples=300)
@given(st.text(max_size=40))
def test_any_text_is_accepted_or_refused_in_words(text: str) -> None:
    message = ""
    try:
        names = column_names(text)
    except ValueError as error:
        message = str(error)
    assert message or names
