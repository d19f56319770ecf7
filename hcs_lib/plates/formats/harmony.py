"""Opera Phenix and Operetta (Harmony V5 to V7): `Index.idx.xml` or `Index.xml` beside `r03c03f01p01-ch1sk1fk1fl1.tiff`.

Time points count from 1 here, as in the names (`sk1`); in the index they count from 0. Harmony's y grows
upwards, ours downwards. From V6 on, what holds for a channel stands in maps and no longer with each image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.plates.formats.base import Found, PlaneFile, PlateFacts, well_at
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import name_of, parent_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.vendorfiles import VendorFileError, number, read_xml, whole, within

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_INDEX = ("index.idx.xml", "index.xml")
_NAME = re.compile(r"r(\d{2,})c(\d{2,})f(\d+)p(\d+)-ch(\d+)sk(\d+)(?:fk\d+)?(?:fl\d+)?\.tiff?", re.IGNORECASE)
_MICROMETRES = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3}
_NANOMETRES = {"m": 1e9, "um": 1e3, "µm": 1e3, "μm": 1e3, "nm": 1.0}

Said = Mapping[str, tuple[str, str]]
"""Text and unit by tag."""


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of Harmony exports: as their index records them or, without one, by their names."""
    planes: list[PlaneFile] = []
    problems: list[tuple[str, PlaneProblem]] = []
    facts: dict[str, PlateFacts] = {}
    unread: list[PlaneProblem] = []
    for file in files:
        if name_of(file).lower() not in _INDEX:
            continue
        try:
            root = read_xml(folder / file)
        except VendorFileError as error:
            unread.append(PlaneProblem(kind="unreadable", file=file, message=str(error)))
            continue
        if root.tag != "EvaluationInputData":
            continue
        place = _place(file)
        channels = _channels(root)
        facts[place] = PlateFacts(
            flat_fields={
                id_: said["FlatfieldProfile"][0] for id_, said in channels.items() if "FlatfieldProfile" in said
            }
        )
        plate = root.findtext("Plates/Plate/Name") or None
        for found in _records(root, file, place, channels):
            if isinstance(found, PlaneFile):
                planes.append(found._replace(plate=plate))
            else:
                problems.append((place, found))
    recorded = frozenset(facts)
    if unread or not planes:
        named = [plane for plane in map(name_plane, files) if plane and plane.root not in recorded]
        problems += [(place, problem) for place in {plane.root for plane in named} or {"."} for problem in unread]
        planes += named
    return Found(tuple(planes), problems=tuple(problems), facts=facts, recorded=recorded)


def name_plane(file: str) -> PlaneFile | None:
    """Return what the name of an image says; None where it is none of Harmony's."""
    match = _NAME.fullmatch(name_of(file))
    well = well_at(int(match[1]), int(match[2])) if match else None
    if match is None or well is None:
        return None
    site, z, channel, t = (int(match[group]) for group in (3, 4, 5, 6))
    return PlaneFile(file, _place(file), None, well, site, str(channel), z, t)


def _place(file: str) -> str:
    """Return the folder of the plate: the one above `Images`, if there is one."""
    parent = parent_of(file)
    return parent_of(parent) if name_of(parent) == "Images" else parent


def _said(element: Element) -> dict[str, tuple[str, str]]:
    return {child.tag: ((child.text or "").strip(), child.get("Unit", "")) for child in element}


def _channels(root: Element) -> dict[str, Said]:
    """Return what the maps say of each channel."""
    channels: dict[str, dict[str, tuple[str, str]]] = {}
    for entry in root.iterfind("Maps/Map/Entry"):
        if id_ := entry.get("ChannelID"):
            channels.setdefault(id_, {}).update(_said(entry))
    return dict(channels)


def _records(root: Element, file: str, place: str, channels: Mapping[str, Said]) -> Iterator[PlaneFile | PlaneProblem]:
    here = parent_of(file)
    for count, image in enumerate(root.iterfind("Images/Image"), start=1):
        own = _said(image)
        numbers = [
            whole(own.get(tag, ("", ""))[0]) for tag in ("Row", "Col", "FieldID", "ChannelID", "PlaneID", "TimepointID")
        ]
        path = within(here, own.get("URL", ("", ""))[0])
        row, column, site, channel, z, t = (-1 if value is None else value for value in numbers)
        well = well_at(row, column)
        if path is None or well is None or None in numbers:
            name = own.get("id", (str(count), ""))[0]
            message = f"its image {name} has no full address, or no file within the plate's folder; not used."
            yield PlaneProblem(kind="inconsistent", file=file, message=message)
            continue
        plane = PlaneFile(path, place, None, well, site, str(channel), z, t + 1)
        state = own.get("State", ("Ok", ""))[0]
        if state.lower() != "ok":
            yield PlaneProblem.at("error_record", plane, f"the microscope recorded this plane as {state!r}.")
            continue
        yield plane._replace(metadata=_metadata({**channels.get(str(channel), {}), **own}))


def _metadata(said: Said) -> PlaneMetadata:
    def length(tag: str, units: Mapping[str, float] = _MICROMETRES) -> float | None:
        text, unit = said.get(tag, ("", ""))
        value = number(text)
        return None if value is None or unit not in units else round(value * units[unit], 9)

    x, y = length("ImageResolutionX"), length("ImageResolutionY")
    square = x and y and x > 0 and abs(x - y) <= 0.01 * x
    upwards = length("PositionY")
    return PlaneMetadata(
        pixel_size_um=x if square else None,
        x_um=length("PositionX"),
        y_um=None if upwards is None else 0.0 - upwards,
        z_um=length("PositionZ"),
        channel=said.get("ChannelName", ("", ""))[0] or None,
        wavelength_nm=length("MainEmissionWavelength", _NANOMETRES) or None,
        excitation_nm=length("MainExcitationWavelength", _NANOMETRES) or None,
        acquired=said.get("AbsTime", ("", ""))[0] or None,
    )
