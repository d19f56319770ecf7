"""Deeply immutable models whose JSON is canonical."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer


class Frozen(BaseModel):
    """A model that cannot be changed and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def freeze(value: Any) -> Any:
    """Return JSON-like data with every mapping read-only and every list a tuple."""
    if isinstance(value, (str, int, float)):  # most are, and the next question takes long
        return value
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """Return frozen data as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


FrozenJson = Annotated[Any, AfterValidator(freeze), PlainSerializer(thaw)]
"""Any JSON value, frozen."""

FrozenDict = Annotated[dict[str, Any], AfterValidator(freeze), PlainSerializer(thaw)]
"""A JSON object, frozen."""

FrozenNames = Annotated[dict[str, str], AfterValidator(freeze), PlainSerializer(thaw)]
"""A JSON object of texts, frozen."""
