"""Arguments of a call: names, types and units, as far as signatures tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftStep
from hcs_lib.compiler.metadata import PerWell
from hcs_lib.contexts.lazy import is_lazy
from hcs_lib.core.annotations import Expectation, expectation, in_order
from hcs_lib.core.errors import nearest
from hcs_lib.core.units import Quantity, parse_quantity, to_pixels
from hcs_lib.registry.entry import FunctionEntry, Parameter

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
            expected = expectation(parameters[name].annotation)
            if not expected.fits({}):
                context.problem(plan.source, place, f"'{name}' should be {_wanted(expected)}, found a file.")
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
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    expected_of = {name: expectation(parameter.annotation) for name, parameter in parameters.items()}
    for name, message in in_order(expected_of, defaults | call.args):
        place = call.source.where(name if name in call.args else expected_of[name].above or name)
        context.problem(plan.source, place, message)


def all_fit(entry: FunctionEntry, args: Mapping[str, Any]) -> bool:
    """Tell whether all arguments are those of a function, and of the types that it asks for."""
    annotations = {parameter.name: parameter.annotation for parameter in entry.parameters}
    return all(
        name in annotations and (isinstance(value, PerWell) or expectation(annotations[name]).fits(value))
        for name, value in args.items()
    )


def _known(entry: FunctionEntry, parameters: Mapping[str, Parameter]) -> str:
    return f"It has {', '.join(parameters)}." if parameters else "It has none."


def _checked(args: dict[str, Any], parameter: Parameter, pixel_size_um: float | None) -> Iterator[str]:
    """Convert a quantity in place; yield what is wrong with an argument."""
    name, expected = parameter.name, expectation(parameter.annotation)
    given, found = args[name], _quantities(args[name])
    if expected.fits(given) and (expected.is_understood or not _is_quantity(given, parameter)):
        message = None if expected.is_understood else _unlike_default(given, parameter)
        if message:
            yield message
        return
    if not any(found):
        yield f"'{name}' should be {_wanted(expected)}, found {given!r}."
        return
    wrong = [quantity for quantity in found if quantity and expected.power not in (None, quantity.power)]
    if wrong:
        yield f"'{name}' should be {_wanted(expected)}, found '{wrong[0]}'."
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
    whole = [int(number) if isinstance(number, float) and number.is_integer() else number for number in pixels]
    for numbers in (pixels, whole):
        args[name] = numbers if isinstance(given, list) else numbers[0]
        if expected.fits(args[name]):
            return
    single = f"and '{found[0]}' is {pixels[0]:g} pixels"
    yield f"'{name}' should be {_wanted(expected)}, {f'found {given!r}' if isinstance(given, list) else single}."


def _wanted(expected: Expectation) -> str:
    """Say what a parameter takes."""
    return f"{expected}, in pixels or with a unit" if expected.power else str(expected)


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
