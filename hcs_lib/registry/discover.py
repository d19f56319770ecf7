"""Candidates of a library: its public functions, each once, and the parameters of each.

Importing a library may be slow or crash; this runs in the probe's worker processes.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Container
from typing import Any, NamedTuple

from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.entry import Parameter


class Candidate(NamedTuple):
    """A public function: its id and `module:name`."""

    id: str
    target: str


def candidates(registry: LibraryRegistryBase) -> list[Candidate]:
    """Return the public functions of the modules to scan, each under its shortest public path, by id."""
    shortest: dict[int, Candidate] = {}
    for module in registry.MODULES_TO_SCAN:
        for name, function in registry.public_functions(module).items():
            found = Candidate(registry.identify(module, name), f"{module}:{name}")
            known = shortest.setdefault(id(function), found)
            if (len(found.id), found.id) < (len(known.id), known.id):
                shortest[id(function)] = found
    return sorted(shortest.values())


def first_parameter(function: Callable[..., Any]) -> str | None:
    """Return the name of the parameter that takes the image; None where there is none."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        return None
    return parameters[0].name


def parameters_of(function: Callable[..., Any], hidden: Container[str] = ()) -> tuple[Parameter, ...]:
    """Return the parameters after the image that can be given by name, but for those that are `hidden`."""
    found = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.name in hidden:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            found.append(Parameter(parameter.name, kind="any"))
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            required = parameter.default is parameter.empty
            annotation = parameter.annotation
            found.append(
                Parameter(
                    parameter.name,
                    required=required,
                    default=None if required else json_or_none(parameter.default),
                    shown="" if required else _shown(parameter.default),
                    annotation="" if annotation is parameter.empty else inspect.formatannotation(annotation),
                )
            )
    return tuple(found)


def first_line(function: Callable[..., Any]) -> str:
    """Return the first paragraph of a function's docstring in one line."""
    return summary_of(inspect.getdoc(function))


def summary_of(docstring: str | None) -> str:
    """Return the first paragraph of a docstring in one line, up to an underlined title."""
    paragraph = (docstring or "").partition("\n\n")[0]
    return " ".join(re.split(r"\n[^\n]+\n---", paragraph)[0].split())


def tags_of(function_id: str, library: str) -> tuple[str, ...]:
    """Return the words that a function's id is made of, but for its library."""
    words = function_id.removeprefix(f"{library}.").replace(".", "_").split("_")
    return tuple(sorted({word for word in words if len(word) > 1}))


def _shown(default: Any) -> str:
    """Write a default that is no JSON: a function or class by its name."""
    if default is None or json_or_none(default) is not None:
        return ""
    return str(getattr(default, "__name__", None) or repr(default))


def json_or_none(value: Any) -> Any:
    """Return a default as JSON, or None where it is none (arrays, functions, infinity)."""
    if isinstance(value, (list, tuple)):
        items = [json_or_none(item) for item in value]
        return None if any(item is None for item in items) else items
    if isinstance(value, float) and type(value) is float:
        return value if math.isfinite(value) else None
    return value if type(value) in (bool, int, str) else None
