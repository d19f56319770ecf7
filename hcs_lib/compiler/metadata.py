"""Special inputs that no step makes: filled from the plate's metadata when compiling."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import HcsError

if TYPE_CHECKING:
    from hcs_lib.compiler.draft import DraftContext, DraftPattern, DraftStep

Resolver = Callable[["DraftContext", "DraftStep"], Any]

RESOLVERS: dict[str, Resolver] = {}
"""Special input → the function that finds its value."""


class UnknownMetadataError(HcsError):
    """The plate does not tell. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def metadata_resolver(name: str) -> Callable[[Resolver], Resolver]:
    """Register a function that finds the value of a special input: plain JSON."""

    def register(resolver: Resolver) -> Resolver:
        RESOLVERS[name] = resolver
        return resolver

    return register


def inject_metadata_into_pattern(pattern: DraftPattern, key: str, value: Any) -> None:
    """Give a value to every call of a pattern that declares `key` as a special input and has none yet.

    What was `func` becomes `(func, {key: value})`; arguments that the user gave, and links to earlier steps, win.
    """
    for chain in pattern.values():
        for call in chain:
            declares = call.entry is not None and key in call.entry.special_inputs
            if declares and key not in call.args and key not in call.special_inputs:
                call.args[key] = value


@metadata_resolver("channel_names")
def _channel_names(context: DraftContext, plan: DraftStep) -> list[str]:
    names = [name for name in plan.domain.channel if name is not None]
    if not names:
        raise UnknownMetadataError("its channels were merged by an earlier step", "Read an earlier step by `input`.")
    if len(names) > 1 and plan.stack != "channel":
        raise UnknownMetadataError(
            f"it is called for each of the channels {', '.join(names)} by itself",
            "Stack them (`stack: channel`), or take one with `channels`.",
        )
    return names


@metadata_resolver("pixel_size_um")
def _pixel_size_um(context: DraftContext, plan: DraftStep) -> float:
    if context.plate.pixel_size_um is None:
        raise UnknownMetadataError("the plate's pixel size is unknown", "Write it into the column `pixel_size_um`.")
    return context.plate.pixel_size_um


@metadata_resolver("z_spacing_um")
def _z_spacing_um(context: DraftContext, plan: DraftStep) -> float:
    if context.plate.index.z_spacing_um is None:
        raise UnknownMetadataError("the distance of the plate's z-planes is unknown", "Give it under `args`.")
    return context.plate.index.z_spacing_um


@metadata_resolver("grid_dimensions")
def _grid_dimensions(context: DraftContext, plan: DraftStep) -> list[int]:
    if context.plate.index.grid is None:
        raise UnknownMetadataError("the plate does not tell the grid of its sites", "Give rows and columns by `args`.")
    return list(context.plate.index.grid)
