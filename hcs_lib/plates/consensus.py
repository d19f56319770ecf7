"""What holds for a whole plate, from what each of its files says: most files decide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple, TypeVar

from hcs_lib.core.addresses import parse_well
from hcs_lib.plates.index import Addressed, Channel, Plane, PlaneProblem, StagePosition
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.tiff import Page

Value = TypeVar("Value", bound=Hashable)


class IndexedPage(NamedTuple):
    """One page of one file, at its address."""

    plane: Plane
    page: Page


class Said(NamedTuple):
    """What is said of one plane, by its own file or by the record of the microscope; its file may be absent."""

    plane: Addressed
    metadata: PlaneMetadata


def pixel_size(facts: Iterable[Said]) -> tuple[float | None, list[PlaneProblem]]:
    """Return micrometres a pixel, and a problem where files disagree."""
    said = {plane.file: metadata.pixel_size_um for plane, metadata in facts}
    return _settle("pixel size", said)


def channels(ids: Iterable[str], facts: Sequence[Said]) -> tuple[tuple[Channel, ...], list[PlaneProblem]]:
    """Return the channels in the natural order of their ids, each with a name of its own."""
    problems: list[PlaneProblem] = []
    found: list[Channel] = []
    for id_ in sorted(set(ids), key=natural):
        own = [(plane.file, metadata) for plane, metadata in facts if plane.channel == id_]
        name, disagreement = _settle(f"name of channel {id_}", {file: metadata.channel for file, metadata in own})
        wavelength, _ = _settle("wavelength", {file: metadata.wavelength_nm for file, metadata in own})
        excitation, _ = _settle("excitation", {file: metadata.excitation_nm for file, metadata in own})
        colour, _ = _settle("colour", {file: metadata.colour for file, metadata in own})
        problems += disagreement
        found.append(
            Channel(id=id_, name=name or id_, wavelength_nm=wavelength, excitation_nm=excitation, colour=colour)
        )
    names = Counter(channel.name for channel in found)
    unique = (
        channel if names[channel.name] == 1 else channel.model_copy(update={"name": f"{channel.name}-{channel.id}"})
        for channel in found
    )
    return tuple(unique), problems


def stage_positions(facts: Iterable[Said]) -> tuple[StagePosition, ...]:
    """Return where each site lies: as its first plane says."""
    found: dict[tuple[str, int], StagePosition] = {}
    for plane, metadata in facts:
        if metadata.x_um is not None and metadata.y_um is not None:
            position = StagePosition(well=plane.well, site=plane.site, x_um=metadata.x_um, y_um=metadata.y_um)
            found.setdefault((plane.well, plane.site), position)
    return tuple(found[key] for key in sorted(found, key=lambda key: (parse_well(key[0]), key[1])))


def z_spacing(facts: Iterable[Said]) -> float | None:
    """Return the median distance between neighbouring z-planes, micrometres; planes at one height do not count."""
    stacks: dict[tuple[str, int, str, int], list[tuple[int, float]]] = {}
    for plane, metadata in facts:
        if metadata.z_um is not None and plane.z is not None:
            stack = stacks.setdefault((plane.well, plane.site, plane.channel, plane.t), [])
            stack.append((plane.z, metadata.z_um))
    steps = [
        abs(above - below) / (upper - lower)
        for stack in stacks.values()
        for (lower, below), (upper, above) in pairwise(sorted(stack))
        if above != below and upper != lower
    ]
    return round(median(steps), 6) if steps else None


def natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts numbers within names by value: 2 before 10."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", text)]


def _settle(what: str, said: Mapping[str, Value | None]) -> tuple[Value | None, list[PlaneProblem]]:
    votes = Counter(value for value in said.values() if value is not None)
    if not votes:
        return None, []
    usual = votes.most_common(1)[0][0]
    others = [(file, value) for file, value in said.items() if value not in (None, usual)]
    if not others:
        return usual, []
    file, value = others[0]
    message = f"the {what} is {value} here ({len(others)} file(s) differ) and {usual} in most: {usual} is used."
    return usual, [PlaneProblem(kind="inconsistent", file=file, message=message)]
