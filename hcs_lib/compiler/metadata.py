"""Special inputs that no step makes: filled from the plate's metadata when compiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import HcsError

if TYPE_CHECKING:
    from hcs_lib.compiler.draft import DraftContext
    from hcs_lib.compiler.draft_step import DraftPattern, DraftStep

Resolver = Callable[["DraftContext", "DraftStep"], Any]

RESOLVERS: dict[str, Resolver] = {}
"""Special input → the function that finds its value."""


@dataclass(frozen=True, slots=True)
class PerWell:
    """A value that differs from well to well. Wells share a draft; each is given its own when it is frozen."""

    values: Mapping[str, Any]


class UnknownMetadataError(HcsError):
    """The plate does not tell. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def metadata_resolver(*names: str) -> Callable[[Resolver], Resolver]:
    """Register a function that finds the value of a special input: plain JSON, or `PerWell` of it."""

    def register(resolver: Resolver) -> Resolver:
        RESOLVERS.update(dict.fromkeys(names, resolver))
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


@metadata_resolver("pixel_size_um", "pixel_size")
def _pixel_size_um(context: DraftContext, plan: DraftStep) -> float:
    if context.plate.pixel_size_um is None:
        raise UnknownMetadataError("the plate's pixel size is unknown", "Write it into the column `pixel_size_um`.")
    return context.plate.pixel_size_um


@metadata_resolver("z_spacing_um", "z_spacing")
def _z_spacing_um(context: DraftContext, plan: DraftStep) -> float:
    if context.plate.index.z_spacing_um is None:
        raise UnknownMetadataError("the distance of the plate's z-planes is unknown", "Give it under `args`.")
    return context.plate.index.z_spacing_um


@metadata_resolver("grid_dimensions")
def _grid_dimensions(context: DraftContext, plan: DraftStep) -> list[int]:
    grid = context.plate.grid(context.wells)
    if grid is None:
        raise UnknownMetadataError("the plate does not tell the grid of its sites", "Give rows and columns by `args`.")
    return list(grid)


@metadata_resolver("stage_positions")
def _stage_positions(context: DraftContext, plan: DraftStep) -> PerWell:
    """Return the centres of the sites, (y, x) in micrometres, in the order in which the step stacks them."""
    if plan.source.model.scope == "plate":
        raise UnknownMetadataError("stage positions are those of one well", "Make it a step of the wells.")
    if plan.stack != "site":
        raise UnknownMetadataError("it is not given the sites of a well together", "Say `stack: site`.")
    found: dict[str, list[tuple[float, float]]] = {}
    for well in context.wells:
        there = context.plate.positions(well)
        absent = [site for site in plan.domain.site if site not in there]
        if absent:
            raise UnknownMetadataError(
                f"the plate does not tell where site {absent[0]} of well {well} lies", "Give `stage_positions` by args."
            )
        found[well] = [there[site] for site in plan.domain.site if site is not None]
    return PerWell(found)
