"""From pydantic's errors to problems with a line and the nearest names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.pipeline.located import Document, Location
from hcs_lib.pipeline.models import NAMING

ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(model: type[ModelT], document: Document, parts: Mapping[str, type[BaseModel]]) -> ModelT:
    """Build a model from a document.

    Parameters
    ----------
    model
        The model of the whole document.
    parts
        The models inside it, by the key (or tag) under which they stand: for the nearest names of unknown keys.

    Raises
    ------
    UserError
        With everything that is wrong, each with its line.
    """
    if not isinstance(document.value, dict):
        raise UserError(Problem(document.where(), f"Expected keys and values, found {_shown(document.value)}."))
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        found = sorted(_problems(error, model, document, parts), key=lambda problem: problem[0])
        raise UserError(problem for _, problem in found) from None


def _problems(
    error: ValidationError, model: type[BaseModel], document: Document, parts: Mapping[str, type[BaseModel]]
) -> Iterator[tuple[int, Problem]]:
    """Yield each problem with its line."""
    for item in error.errors(include_url=False):
        tagged = item["loc"]
        location: Location = tuple(part for part in tagged if not str(part).startswith("<") and part != "[key]")
        owner = next((parts[part] for part in reversed(tagged[:-1]) if part in parts), model)  # type: ignore[index]
        key = str(location[-1]) if location else ""
        hint = ""
        match item["type"]:
            case "extra_forbidden":
                message = f"Unknown key '{key}'."
                hint = nearest(key, owner.model_fields) or f"Known are {', '.join(owner.model_fields)}."
            case "missing":
                location = location[:-1]
                message = f"{_path(location)}the key '{key}' is missing."
            case "string_pattern_mismatch":
                message = f"{_path(location)}{_shown(item['input'])} is no name."
                hint = NAMING.get(item["ctx"]["pattern"], "")
            case "too_short" | "string_too_short":
                message = f"{_path(location)}should not be empty."
            case _:
                said = item["msg"].removeprefix("Input ").removeprefix("Value error, ")
                message = f"{_path(location)}{said}; found {_shown(item['input'])}."
                if item["type"] == "string_type" and isinstance(item["input"], bool):
                    hint = "YAML reads on, off, yes and no as true and false; put quotes around a name."
        yield document.line(*location), Problem(document.where(*location), message, hint)


def _path(location: Location) -> str:
    """Return a location as a person would say it: `steps[0].func: `."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"{text}: " if text else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
