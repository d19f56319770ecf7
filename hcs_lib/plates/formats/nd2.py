"""ND2 (Nikon NIS-Elements): wells from the names of positions, or of files; the rest from the files themselves.

Sites have the number that follows the well in the name of a position (`B02_0003`), or else their place in the well
from 1. Channels are told apart by their names, over all files; they, z and t count from 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.addresses import canonical_well
from hcs_lib.plates.formats.base import Found, PlaneFile
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import name_of, parent_of
from hcs_lib.plates.metadata import merge
from hcs_lib.plates.nd2_files import Nd2Content, read_content
from hcs_lib.plates.tiff import PlaneError

_POSITION = re.compile(r"(?i:well[ _-]?)?(?P<well>[A-Za-z]{1,2}\d{1,2})(?:[\W_]+(?P<site>\d+))?")
_WELL = re.compile(r"(?i:well)[ _-]?(?P<well>[A-Z]{1,2}\d{1,2})(?![A-Za-z0-9])")
_POINT = re.compile(r"(?i:point)[A-Za-z0-9]*_(?P<site>\d+)(?![0-9])")
_PART = re.compile(r"[A-Z]{1,2}\d{2}")


class Spot(NamedTuple):
    """A place of a file: its well, and the number of the site, where names tell it."""

    file: str
    point: int
    well: str
    site: int | None


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of ND2 files."""
    contents: dict[str, Nd2Content] = {}
    problems: list[tuple[str, PlaneProblem]] = []
    for file in files:
        if not file.lower().endswith(".nd2"):
            continue
        try:
            contents[file] = read_content(folder / file)
        except PlaneError as error:
            well, _ = well_of_file(file)
            problems.append((parent_of(file), PlaneProblem(kind=error.kind, well=well, file=file, message=str(error))))
    planes: list[PlaneFile] = []
    for root in dict.fromkeys(map(parent_of, contents)):
        own = {file: content for file, content in contents.items() if parent_of(file) == root}
        found, odd = _plate(root, own)
        planes += found
        problems += [(root, problem) for problem in odd]
    return Found(tuple(planes), problems=tuple(problems), recorded=frozenset(map(parent_of, contents)))


def well_of_file(file: str) -> tuple[str | None, int | None]:
    """Return the well and the number of the site that the name of a file tells; None where it does not."""
    name = name_of(file).rpartition(".")[0]
    match, point = _WELL.search(name), _POINT.search(name)
    parts = [match["well"]] if match else filter(_PART.fullmatch, re.split(r"[^A-Za-z0-9]+", name))
    wells = {well for part in parts if (well := _well(part))}
    return (wells.pop() if len(wells) == 1 else None), (int(point["site"]) if point else None)


def well_of_position(name: str) -> tuple[str | None, int | None]:
    """Return the well and the number of the site that the name of a position tells; None where it does not."""
    match = _POSITION.fullmatch(name.strip())
    well = _well(match["well"]) if match else None
    return well, (int(match["site"]) if match and well and match["site"] else None)


def number_sites(spots: Iterable[Spot]) -> dict[tuple[str, int], tuple[str, int]]:
    """Return well and site of each place: by the numbers in their names where all have one, else in their order."""
    found = list(spots)
    counting = any(spot.site is None for spot in found)
    counted: Counter[str] = Counter()
    sites: dict[tuple[str, int], tuple[str, int]] = {}
    for spot in found:
        counted[spot.well] += 1
        number = counted[spot.well] if counting or spot.site is None else spot.site
        sites[spot.file, spot.point] = spot.well, number
    return sites


def _well(text: str) -> str | None:
    try:
        return canonical_well(text)
    except ValueError:
        return None


def _plate(root: str, contents: dict[str, Nd2Content]) -> tuple[list[PlaneFile], list[PlaneProblem]]:
    problems: list[PlaneProblem] = []
    spots: dict[tuple[str, int], Spot] = {}
    for file, content in contents.items():
        named = {frame.point: frame.position for frame in content.frames}
        for point, name in sorted(named.items()):
            well, site = well_of_position(name)
            if well is None:
                well, site = well_of_file(file)
                site = site if len(named) == 1 else None
            if well is None:
                message = f"neither the file's name nor that of its position ({name or 'none'}) tells a well; not used."
                problems.append(PlaneProblem(kind="inconsistent", file=file, message=message))
            else:
                spots[file, point] = Spot(file, point, well, site)
    sites = number_sites(spots.values())
    names = {file: _channel_names(content) for file, content in contents.items()}
    ids = {name: str(n) for n, name in enumerate(dict.fromkeys(chain.from_iterable(names.values())), start=1)}
    planes: list[PlaneFile] = []
    for file, content in contents.items():
        asked = max(frame.t for frame in content.frames) + 1
        last = max(
            (frame.t + 1 for frame in content.frames if not frame.fault or frame.fault.kind != "missing"), default=asked
        )
        if last < asked:
            message = f"stopped: {asked} time points were asked for, {last} are recorded."
            problems.append(PlaneProblem(kind="stopped", file=file, message=message))
        for number, frame in enumerate(content.frames):
            if (file, frame.point) not in sites or frame.t >= last:
                continue
            well, site = sites[file, frame.point]
            for c, channel in enumerate(content.channels):
                page = number * len(content.channels) + c
                id_, metadata = ids[names[file][c]], merge(frame.metadata, channel)
                planes.append(PlaneFile(file, root, None, well, site, id_, frame.z + 1, frame.t + 1, page, metadata))
    return planes, problems


def _channel_names(content: Nd2Content) -> list[str]:
    """Return a name of its own for each channel of a file."""
    names: list[str] = []
    for number, channel in enumerate(content.channels, start=1):
        name = channel.channel or f"{number}"
        names.append(f"{name} {number}" if name in names else name)
    return names
