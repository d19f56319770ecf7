"""Which wells go through which steps, with which arguments: the `wells` of steps, and overrides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hcs_lib.core.addresses import parse_area, parse_well, well_name
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
        keys = self.model.model_dump(mode="json", exclude={"func", "enabled", "wells"}, exclude_defaults=True)
        chains = {
            value: [{"call": call.call, "args": dict(call.args)} for call in chain]
            for value, chain in self.routes.items()
        }
        return keys | {"func": chains.get(None, chains)}


class Choices(NamedTuple):
    """What holds for some wells: indices of overrides, and numbers of steps that these wells do not go through."""

    overrides: tuple[int, ...]
    without: tuple[int, ...]


def group_wells(
    pipeline: LoadedPipeline, plate: str, wells: Iterable[str]
) -> tuple[dict[Choices, tuple[str, ...]], list[Problem]]:
    """Group the wells of a plate by the steps and overrides that hold for them.

    Parameters
    ----------
    pipeline
        With steps and overrides.
    plate, wells
        The plate and its wells, in order.

    Returns
    -------
    dict
        Choices → wells. Wells of one group go through the same steps.
    list
        Problems: wells named for this plate that it does not have. An override that names no plates is for all.
    """
    known = tuple(wells)
    problems: list[Problem] = []
    members: dict[int, set[str]] = {}
    for index, override in enumerate(pipeline.model.overrides):
        if override.plates is None or plate in override.plates:
            hint = "" if override.plates else " Name under `plates` those that the override is for."
            members[index], wrong = named_wells(pipeline, plate, ("overrides", index), override.wells, known, hint)
            problems += wrong
    through: dict[int, set[str]] = {}
    for number, step in enumerate(pipeline.model.steps):
        inside, wrong = named_wells(pipeline, plate, ("steps", number), step.wells, known)
        problems += wrong
        if step.scope == "well":
            through[number] = inside
    groups: dict[Choices, list[str]] = {}
    for well in known:
        choices = Choices(
            tuple(index for index, inside in members.items() if well in inside),
            tuple(number for number, inside in through.items() if well not in inside),
        )
        groups.setdefault(choices, []).append(well)
    return {choices: tuple(inside) for choices, inside in groups.items()}, problems


def check_plates(pipeline: LoadedPipeline, plates: Iterable[str]) -> Iterator[Problem]:
    """Check that overrides name plates of the analysis."""
    known = tuple(plates)
    for index, override in enumerate(pipeline.model.overrides):
        for item, name in enumerate(override.plates or ()):
            if name not in known:
                hint = nearest(name, known) or f"Plates are {', '.join(known)}."
                yield Problem(pipeline.where("overrides", index, "plates", item), f"There is no plate '{name}'.", hint)


def named_wells(
    pipeline: LoadedPipeline,
    plate: str,
    owner: Location,
    named: list[str] | None,
    known: tuple[str, ...],
    hint: str = "",
) -> tuple[set[str], list[Problem]]:
    """Return the wells of the plate that a step or an override names, and problems with what it does not have."""
    if named is None:
        return set(known), []
    found: set[str] = set()
    problems = []
    for item, text in enumerate(named):
        area = parse_area(text)
        inside = {well for well in known if parse_well(well) in area}
        found |= inside
        if not inside:
            one = well_name(area.first) if area.first == area.last else ""
            what = f"no well '{one}'" if one else f"none of the wells '{text}'"
            problems.append(
                Problem(
                    pipeline.where(*owner, "wells", item),
                    f"Plate '{plate}' has {what}.",
                    nearest(one, known) or f"It has {known[0]} to {known[-1]}.{hint}",
                )
            )
    return found, problems


def resolve_steps(pipeline: LoadedPipeline, choices: Choices) -> tuple[ResolvedStep, ...]:
    """Return the steps that run where the given choices hold."""
    overrides = [(index, pipeline.model.overrides[index]) for index in choices.overrides]
    steps = []
    for number, step in enumerate(pipeline.model.steps):
        if number in choices.without:
            continue
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
