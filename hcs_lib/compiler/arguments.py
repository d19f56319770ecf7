"""Arguments of a call: names, types and units, as far as signatures tell."""

from __future__ import annotations

import ast
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftStep
from hcs_lib.compiler.metadata import PerWell
from hcs_lib.contexts.lazy import is_lazy
from hcs_lib.core.errors import nearest
from hcs_lib.core.units import POWERS, Quantity, parse_quantity, to_pixels
from hcs_lib.registry.entry import FunctionEntry, Parameter

_TYPES: dict[str, Any] = {
    "Any": Any, "bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str, "tuple": tuple,
    "Literal": typing.Literal, "Mapping": Mapping, "Optional": typing.Optional, "Sequence": Sequence,
    "Union": typing.Union, "Fraction": typing.Annotated[float, Field(ge=0, le=1)], **dict.fromkeys(POWERS, float),
}  # fmt: skip
"""The names that an annotation may use to be understood; others are not checked."""


_KINDS = {1: "a length", 2: "an area"}

_TARGETS = frozenset({"out", "output"})
"""Parameters that take an array to write into, or its dtype."""


def check_arguments(context: DraftContext, plan: DraftStep, call: DraftCall) -> None:
    """Check the arguments of a call, and turn quantities into pixels."""
    entry = call.entry
    assert entry is not None
    parameters = {parameter.name: parameter for parameter in entry.parameters if parameter.kind == "keyword"}
    takes_any = any(parameter.kind == "any" for parameter in entry.parameters)
    for name in list(call.args):
        place = call.source.where(name)
        if name in _TARGETS:
            context.problem(plan.source, place, f"'{name}' says where {entry.id} puts its result, and the step does.",
                            "Leave it out.")  # fmt: skip
        elif name in call.special_inputs:
            context.problem(plan.source, place, f"'{name}' is given under `inputs` too.")
        elif isinstance(call.args[name], PerWell):
            continue
        elif name in parameters and is_lazy(call.args[name]):
            annotation = parameters[name].annotation.strip("'\" ")
            if not _fits(_adapter(annotation), {}):
                context.problem(plan.source, place, f"'{name}' should be {_wanted(annotation)}, found a file.")
        elif name in parameters:
            for message in _checked(call.args, parameters[name], context.plate.pixel_size_um):
                context.problem(plan.source, place, message)
        elif not takes_any:
            hint = nearest(name, parameters) or _known(entry, parameters)
            context.problem(plan.source, place, f"{entry.id} has no parameter '{name}'.", hint)
    for name, parameter in parameters.items():
        given = name in call.args or name in call.special_inputs
        if parameter.required and not given and name not in entry.special_inputs:
            context.problem(plan.source, call.source.location, f"{entry.id} needs the argument '{name}'.",
                            "Give it under `args`.")  # fmt: skip


def all_fit(entry: FunctionEntry, args: Mapping[str, Any]) -> bool:
    """Tell whether all arguments are those of a function, and of the types that it asks for."""
    annotations = {parameter.name: parameter.annotation for parameter in entry.parameters}
    return all(
        name in annotations and (isinstance(value, PerWell) or _fits(_adapter(annotations[name]), value))
        for name, value in args.items()
    )


def _known(entry: FunctionEntry, parameters: Mapping[str, Parameter]) -> str:
    return f"It has {', '.join(parameters)}." if parameters else "It has none."


def _checked(args: dict[str, Any], parameter: Parameter, pixel_size_um: float | None) -> Iterator[str]:
    """Convert a quantity in place; yield what is wrong with an argument."""
    name, annotation = parameter.name, parameter.annotation.strip("'\" ")
    adapter = _adapter(annotation)
    power = _power(annotation)
    if _fits(adapter, args[name]) and not (adapter is None and _is_quantity(args[name], parameter)):
        if power is not None and isinstance(args[name], (int, float)) and args[name] < 0:
            yield f"'{name}' should be {_KINDS[power]} of 0 or more, found {args[name]:g}."
        message = _unlike_default(args[name], parameter) if adapter is None else None
        if message:
            yield message
        return
    given, found = args[name], _quantities(args[name])
    if not any(found):
        yield f"'{name}' should be {_wanted(annotation)}, found {given!r}."
        return
    wrong = [quantity for quantity in found if quantity and power not in (None, quantity.power)]
    if wrong and power is not None:
        yield f"'{name}' should be {_KINDS[power]}, found '{wrong[0]}'."
        return
    members = given if isinstance(given, list) else [given]
    try:
        pixels = [
            to_pixels(quantity, pixel_size_um) if quantity else member
            for quantity, member in zip(found, members, strict=True)
        ]
    except ValueError as error:
        yield f"'{name}': {error}."
        return
    if power is not None and any(quantity.value < 0 for quantity in found if quantity):
        yield f"'{name}' should be {_KINDS[power]} of 0 or more, found {given!r}."
        return
    whole = [int(number) if isinstance(number, float) and number.is_integer() else number for number in pixels]
    for numbers in (pixels, whole):
        args[name] = numbers if isinstance(given, list) else numbers[0]
        if _fits(adapter, args[name]):
            return
    single = f"and '{found[0]}' is {pixels[0]:g} pixels"
    yield f"'{name}' should be {_wanted(annotation)}, {f'found {given!r}' if isinstance(given, list) else single}."


def _power(annotation: str) -> int | None:
    """Return 1 for a length, 2 for an area; None for what is neither."""
    return next((power for unit, power in POWERS.items() if unit in annotation.split(" | ")), None)


def _wanted(annotation: str) -> str:
    """Say what a parameter takes: a length, an area, a part of 1, one of some words, or what its annotation says."""
    power = _power(annotation)
    if power is not None:
        return f"{_KINDS[power]}, in pixels or with a unit"
    if annotation == "Fraction":
        return "a number from 0 to 1"
    match = re.fullmatch(r"(?:typing\.)?Literal\[(.+)\]", annotation)
    if match is None:
        return annotation
    *words, last = map(str, ast.literal_eval(f"[{match[1]}]"))
    return f"{', '.join(words)} or {last}" if words else last


def _quantities(value: Any) -> list[Quantity | None]:
    """Return the quantity that a value is, or those of a list; None for what is none."""
    return [
        parse_quantity(member) if isinstance(member, str) else None
        for member in (value if isinstance(value, list) else [value])
    ]


def _is_quantity(value: Any, parameter: Parameter) -> bool:
    return not isinstance(parameter.default, str) and any(_quantities(value))


def _unlike_default(value: Any, parameter: Parameter) -> str | None:
    """Without an annotation, the default tells a little."""
    default = parameter.default
    if isinstance(default, bool):
        if not isinstance(value, bool):
            return f"'{parameter.name}' should be true or false, found {value!r}."
    elif isinstance(default, (int, float)) and any(
        isinstance(member, (str, bool, dict)) for member in (value if isinstance(value, list) else [value])
    ):
        return f"'{parameter.name}' should be a number, found {value!r}."
    return None


def _fits(adapter: TypeAdapter[Any] | None, value: Any) -> bool:
    if adapter is None:
        return True
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


@cache
def _adapter(annotation: str) -> TypeAdapter[Any] | None:
    """Return what checks values of an annotation; None where it is empty or uses other names."""
    try:
        return TypeAdapter(_read(ast.parse(annotation, mode="eval").body))
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError):
        return None


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
        case ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal"), slice=inside):
            values = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return typing.Literal[tuple(ast.literal_eval(value) for value in values)]
        case ast.Subscript(value=value, slice=ast.Tuple(elts=elts)):
            return _read(value)[tuple(_read(item) for item in elts)]
        case ast.Subscript(value=value, slice=item):
            return _read(value)[_read(item)]
        case ast.Constant(value=value) if value is ...:
            return ...
    raise ValueError(ast.unparse(node))
