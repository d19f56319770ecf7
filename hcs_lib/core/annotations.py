"""What parameters ask for, from their annotations: the compiler and the functions themselves check the same.

Annotations are read as text, never evaluated. They are made of builtin types, those of `typing`, the lengths, areas and
parts of `hcs_lib.core.units`, and `Annotated` with bounds (`Gt`, `Ge`, `Lt`, `Le` of `annotated_types`) or `Above`:
`Annotated[Pixels, Gt(0)] | None`.
"""

from __future__ import annotations

import ast
import inspect
import json
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AllowInfNan, TypeAdapter, ValidationError

__all__ = ["Above", "Expectation", "Ge", "Gt", "Le", "Lt", "expectation", "in_order", "keeping_to_annotations"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Above:
    """In `Annotated`: the number exceeds that of another parameter, where both are given."""

    parameter: str


@dataclass(frozen=True, slots=True)
class _Quantity:
    """In `Annotated`: a length (power 1) or an area (2)."""

    words: str
    power: int


_TYPES: dict[str, Any] = {
    "Any": Any, "bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str, "tuple": tuple,
    "Mapping": Mapping, "Optional": typing.Optional, "Sequence": Sequence, "Union": typing.Union,
    "Pixels": Annotated[float, _Quantity("a length", 1), Ge(0), AllowInfNan(False)],
    "SquarePixels": Annotated[float, _Quantity("an area", 2), Ge(0), AllowInfNan(False)],
    "Fraction": Annotated[float, Ge(0), Le(1)],
}  # fmt: skip
"""The names that an annotation may use to be understood; others are not checked."""

_UNKNOWN = object()

_NO_TYPE = (SyntaxError, ValueError, TypeError, KeyError, RecursionError)
"""What reading an annotation, or a type made of one, fails with."""

_CONSTRAINTS: dict[str, Callable[..., Any]] = {"Above": Above, "Ge": Ge, "Gt": Gt, "Le": Le, "Lt": Lt}


class Expectation:
    """What an annotation asks for.

    Attributes
    ----------
    text
        The annotation.
    power
        1 for a length, 2 for an area; None for what is neither.
    above
        The parameter whose value is exceeded, if any.
    is_limited
        Whether it states a range, or words.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip("'\" ")
        try:
            self._type = _read(ast.parse(self.text, mode="eval").body)
        except _NO_TYPE:
            self._type = _UNKNOWN
        self._members = _members(self._type)
        facts = [fact for member in self._members for fact in _facts(member)]
        self.power = next((fact.power for fact in facts if isinstance(fact, _Quantity)), None)
        self.above = next((fact.parameter for fact in facts if isinstance(fact, Above)), None)
        self.is_limited = bool(facts) or any(typing.get_origin(member) is typing.Literal for member in self._members)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any] | None:
        try:
            return None if self._type is _UNKNOWN else TypeAdapter(self._type)
        except _NO_TYPE:
            return None

    @property
    def is_understood(self) -> bool:
        """Whether values can be checked at all."""
        return self._adapter is not None

    def fits(self, value: Any) -> bool:
        """Tell whether a value of JSON is of the type, and in the range; it is where the annotation is not understood.

        Numbers are not taken from text, nor booleans for numbers.
        """
        if self._adapter is None:
            return True
        try:
            self._adapter.validate_json(json.dumps(value), strict=True)
        except (ValidationError, TypeError):
            return False
        return True

    def __str__(self) -> str:
        """Return it in words, `a length above 0`; where there are none, the annotation."""
        said = [_said(member, alone=len(self._members) == 1) for member in self._members]
        if not all(said):
            return self.text
        *words, last = (word for member in said for word in member)
        return f"{', '.join(words)} or {last}" if words else last


@cache
def expectation(annotation: str) -> Expectation:
    """Return what an annotation asks for."""
    return Expectation(annotation)


def in_order(expected: Mapping[str, Expectation], given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (parameter, what is wrong) for numbers that do not exceed those which they should."""
    for name, wanted in expected.items():
        value, other = given.get(name), given.get(wanted.above or "")
        if isinstance(value, (int, float)) and isinstance(other, (int, float)) and not value > other:
            yield name, f"'{name}' should be above '{wanted.above}', which is {other:g}, found {value:g}."


def keeping_to_annotations(function: F) -> F:
    """Return a function that raises ValueError for arguments out of the ranges, or words, that its annotations state.

    One that states none is returned as it is.
    """
    signature = inspect.signature(function)
    expected = {
        name: expectation(inspect.formatannotation(parameter.annotation))
        for name, parameter in signature.parameters.items()
        if parameter.annotation is not parameter.empty
    }
    limited = {name: wanted for name, wanted in expected.items() if wanted.is_limited}
    if not limited:
        return function

    @wraps(function)
    def keeping(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = {name: _plain(bound.arguments[name]) for name in limited}
        problems = [
            f"'{name}' should be {wanted}, found {given[name]!r}."
            for name, wanted in limited.items()
            if not wanted.fits(given[name])
        ]
        problems = problems or [message for _, message in in_order(limited, given)]
        if problems:
            raise ValueError(f"{function.__name__}: {' '.join(problems).removesuffix('.')}")
        return function(*args, **kwargs)

    return typing.cast("F", keeping)


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy as Python's; other values as they are."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _members(type_: Any) -> list[Any]:
    """Return the members of a union but for None, or the one type."""
    if typing.get_origin(type_) is typing.Union:
        return [member for member in typing.get_args(type_) if member is not type(None)]
    return [type_]


def _facts(member: Any) -> list[Any]:
    return list(getattr(member, "__metadata__", ()))


def _said(member: Any, *, alone: bool) -> list[str]:
    """Return what a member of a union is in words; none where that is its name."""
    if typing.get_origin(member) is typing.Literal:
        return [str(word) for word in typing.get_args(member)]
    facts = _facts(member)
    if facts:
        quantity = next((fact.words for fact in facts if isinstance(fact, _Quantity)), "a number")
        return [f"{quantity} {_range(facts)}".rstrip()]
    return ["a number"] if member in (int, float) and not alone else []


def _range(facts: Sequence[Any]) -> str:
    """Return the bounds of a number in words, the narrower where there are two."""
    lows = [(fact.gt, 1) if isinstance(fact, Gt) else (fact.ge, 0) for fact in facts if isinstance(fact, (Gt, Ge))]
    highs = [(fact.lt, 0) if isinstance(fact, Lt) else (fact.le, 1) for fact in facts if isinstance(fact, (Lt, Le))]
    low, without_low = max(lows, default=(None, 0))
    high, with_high = min(highs, default=(None, 0))
    upper = f"{'at most' if with_high else 'below'} {high}" if highs else ""
    if not lows:
        return upper
    if without_low:
        return f"above {low} and {upper}" if upper else f"above {low}"
    return f"from {low} to {'' if with_high else 'below '}{high}" if upper else f"of {low} or more"


def _read(node: ast.expr) -> Any:
    """Return the type that an annotation stands for, without evaluating it."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _TYPES[name]
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _read(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return typing.Union[_read(left), _read(right)]  # noqa: UP007
        case ast.Subscript(value=ast.Name(id=special) | ast.Attribute(attr=special), slice=inside) if special in (
            "Annotated", "Literal",
        ):  # fmt: skip
            first, *others = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            if special == "Annotated":
                return Annotated[(_read(first), *map(_constraint, others))]
            return typing.Literal[tuple(ast.literal_eval(value) for value in (first, *others))]
        case ast.Subscript(value=value, slice=ast.Tuple(elts=elts)):
            return _read(value)[tuple(_read(item) for item in elts)]
        case ast.Subscript(value=value, slice=item):
            return _read(value)[_read(item)]
        case ast.Constant(value=value) if value is ...:
            return ...
    raise ValueError(ast.unparse(node))


def _constraint(node: ast.expr) -> Any:
    """Return a bound, `Gt(0)` or `Gt(gt=0)`."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[value], keywords=[]):
            return _CONSTRAINTS[name](ast.literal_eval(value))
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[], keywords=[ast.keyword(value=value)]):
            return _CONSTRAINTS[name](ast.literal_eval(value))
    raise ValueError(ast.unparse(node))
