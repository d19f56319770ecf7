"""Overrides: which wells go through which steps, with which arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hcs_lib.core.addresses import canonical_well
from hcs_lib.core.errors import Problem, nearest
from hcs_lib.pipeline.loading import LoadedPipeline
from hcs_lib.pipeline.located import Location
from hcs_lib.pipeline.models import Override, Step


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """A function with the arguments that hold for some wells; `origins` says where those stand that an override set."""

    call: str
    args: Mapping[str, Any]
    location: Location
    origins: Mapping[str, Location]

    def where(self, argument: str) -> Location:
        """Return where an argument stands in the pipeline."""
        return self.origins.get(argument, (*self.location, "args", argument))


@dataclass(frozen=True, slots=True)
class ResolvedStep:
    """A step that runs, as it holds for some wells. `number` is its place in the pipeline."""

    number: int
    model: Step
    routes: Mapping[str | None, tuple[ResolvedCall, ...]]

    @property
    def location(self) -> Location:
        """Where the step stands in the pipeline."""
        return ("steps", self.number)

    def state(self) -> dict[str, Any]:
        """Return the resolved configuration as plain JSON: the same for every way to write the same."""
        keys = self.model.model_dump(mode="json", exclude={"func", "enabled"}, exclude_defaults=True)
        chains = {
            value: [{"call": call.call, "args": dict(call.args)} for call in chain]
            for value, chain in self.routes.items()
        }
        return keys | {"func": chains.get(None, chains)}


def group_wells(
    pipeline: LoadedPipeline, plate: str, wells: Iterable[str]
) -> tuple[dict[tuple[int, ...], tuple[str, ...]], list[Problem]]:
    """Group the wells of a plate by the overrides that hold for them.

    Parameters
    ----------
    pipeline
        With the overrides.
    plate, wells
        The plate and its wells, in order.

    Returns
    -------
    dict
        Indices of overrides → wells. Wells of one group go through the same steps.
    list
        Problems: wells of overrides for this plate that it does not have. An override that names no plates is for all.
    """
    known = tuple(wells)
    problems: list[Problem] = []
    members: dict[int, set[str]] = {}
    for index, override in enumerate(pipeline.model.overrides):
        if override.plates is None or plate in override.plates:
            found, wrong = _wells(pipeline, plate, index, override, known)
            members[index] = found
            problems += wrong
    groups: dict[tuple[int, ...], list[str]] = {}
    for well in known:
        groups.setdefault(tuple(index for index, inside in members.items() if well in inside), []).append(well)
    return {applied: tuple(inside) for applied, inside in groups.items()}, problems


def check_plates(pipeline: LoadedPipeline, plates: Iterable[str]) -> Iterator[Problem]:
    """Check that overrides name plates of the analysis."""
    known = tuple(plates)
    for index, override in enumerate(pipeline.model.overrides):
        for item, name in enumerate(override.plates or ()):
            if name not in known:
                hint = nearest(name, known) or f"Plates are {', '.join(known)}."
                yield Problem(pipeline.where("overrides", index, "plates", item), f"There is no plate '{name}'.", hint)


def _wells(
    pipeline: LoadedPipeline, plate: str, index: int, override: Override, known: tuple[str, ...]
) -> tuple[set[str], list[Problem]]:
    """Return the wells of the plate that an override names, and problems with those that it does not have."""
    if override.wells is None:
        return set(known), []
    names = [canonical_well(name) for name in override.wells]
    problems = [
        Problem(
            pipeline.where("overrides", index, "wells", item),
            f"Plate '{plate}' has no well '{well}'.",
            nearest(well, known)
            or f"It has {known[0]} to {known[-1]}."
            + ("" if override.plates else " Name under `plates` those that the override is for."),
        )
        for item, well in enumerate(names)
        if well not in known
    ]
    return {well for well in names if well in known}, problems


def resolve_steps(pipeline: LoadedPipeline, applied: Iterable[int]) -> tuple[ResolvedStep, ...]:
    """Return the steps that run where the given overrides hold."""
    overrides = [(index, pipeline.model.overrides[index]) for index in applied]
    steps = []
    for number, step in enumerate(pipeline.model.steps):
        mine = [(index, override) for index, override in overrides if override.step == step.name]
        enabled = [override.enabled for _, override in mine if override.enabled is not None]
        if not (enabled[-1] if enabled else step.enabled):
            continue
        places = step.places()
        routes = {
            value: tuple(
                ResolvedCall(call.call, call.args, ("steps", number, "func", *place), {})
                for call, place in zip(chain, places[value], strict=True)
            )
            for value, chain in step.routes().items()
        }
        for index, override in mine:
            routes = {
                value: tuple(_overridden(call, index, override) for call in chain) for value, chain in routes.items()
            }
        steps.append(ResolvedStep(number, step, routes))
    return tuple(steps)


def _overridden(call: ResolvedCall, index: int, override: Override) -> ResolvedCall:
    args = override.args.get(call.call, {})
    origins = {name: ("overrides", index, "args", call.call, name) for name in args}
    return dataclasses.replace(call, args={**call.args, **args}, origins={**call.origins, **origins})
