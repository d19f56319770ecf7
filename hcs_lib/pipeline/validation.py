"""From pydantic's errors to problems with a line and the nearest names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.pipeline.located import Document, Location

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
        raise UserError(_problems(error, model, document, parts)) from None


def _problems(
    error: ValidationError, model: type[BaseModel], document: Document, parts: Mapping[str, type[BaseModel]]
) -> Iterator[Problem]:
    for item in error.errors(include_url=False, include_context=False):
        tagged = item["loc"]
        location: Location = tuple(part for part in tagged if not str(part).startswith("<") and part != "[key]")
        owner = next((parts[part] for part in reversed(tagged[:-1]) if part in parts), model)  # type: ignore[index]
        key = str(location[-1]) if location else ""
        where = document.where(*location)
        match item["type"]:
            case "extra_forbidden":
                hint = nearest(key, owner.model_fields) or f"Known are {', '.join(owner.model_fields)}."
                yield Problem(where, f"Unknown key '{key}'.", hint)
            case "missing":
                yield Problem(document.where(*location[:-1]), f"{_path(location[:-1])}the key '{key}' is missing.")
            case "string_pattern_mismatch":
                yield Problem(
                    where,
                    f"{_path(location)}{_shown(item['input'])} is no name.",
                    "A name begins with a letter and has letters, digits and _ only, at most 64.",
                )
            case _:
                message = item["msg"].removeprefix("Input ").removeprefix("Value error, ")
                yield Problem(where, f"{_path(location)}{message}; found {_shown(item['input'])}.")


def _path(location: Location) -> str:
    """Return a location as a person would say it: `steps[0].func: `."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"{text}: " if text else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
