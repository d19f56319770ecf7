"""CZI (Zeiss ZEN): wells from the scenes of a file, or from its name; each tile of a scene is a site.

Sites count from 1 in each well, by file, scene and tile; channels, z and t count from 1. Positions are those of the
tiles in the image that the file makes of them all: x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from hcs_lib.plates.czi_files import CziContent, Tile, read_content
from hcs_lib.plates.formats.base import Found, PlaneFile
from hcs_lib.plates.formats.nd2 import well_of_file, well_of_position
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import parent_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.tiff import PlaneError
from hcs_lib.plates.vendorfiles import colour, number, whole

_IMAGE = "Metadata/Information/Image"


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of CZI files."""
    planes: list[PlaneFile] = []
    problems: list[tuple[str, PlaneProblem]] = []
    recorded: set[str] = set()
    sites: dict[tuple[str, str], int] = {}
    for file in files:
        if not file.lower().endswith(".czi"):
            continue
        root = parent_of(file)
        try:
            content = read_content(folder / file)
        except PlaneError as error:
            well, _ = well_of_file(file)
            problems.append((root, PlaneProblem(kind=error.kind, well=well, file=file, message=str(error))))
            continue
        recorded.add(root)
        for item in _planes(content, file, root, sites):
            if isinstance(item, PlaneFile):
                planes.append(item)
            else:
                problems.append((root, item))
    return Found(tuple(planes), problems=tuple(problems), recorded=frozenset(recorded))


def _planes(
    content: CziContent, file: str, root: str, sites: dict[tuple[str, str], int]
) -> Iterator[PlaneFile | PlaneProblem]:
    """Yield the planes of a file, and what it lacks. `sites` counts the sites of each well of a plate."""
    wells = _wells(content.xml)
    channels = _channels(content.xml)
    x, y, depth = (_step(content.xml, axis) for axis in "XYZ")
    size = x if x and y and abs(x - y) <= 0.01 * x else None
    places: dict[tuple[int, int], dict[tuple[int, int, int], tuple[int, Tile]]] = {}
    for page, tile in enumerate(content.tiles):
        at = (tile.number("C"), tile.number("Z"), tile.number("T"))
        places.setdefault((tile.number("S"), tile.number("M")), {})[at] = page, tile
    # Each channel has its own z-planes and time points: those that one site at least was taken at.
    frames = sorted({at for tiles in places.values() for at in tiles})
    asked, recorded = whole(content.xml.findtext(f"{_IMAGE}/SizeT")) or 0, len({t for _, _, t in frames})
    if asked > recorded:
        message = f"stopped: {asked} time points were asked for, {recorded} are recorded."
        yield PlaneProblem(kind="stopped", file=file, message=message)
    nameless = set()
    for (scene, _), tiles in sorted(places.items()):
        well = wells.get(scene) or well_of_file(file)[0]
        if well is None:
            nameless.add(scene)
            continue
        site = sites[root, well] = sites.get((root, well), 0) + 1
        for c, z, t in frames:
            if (c, z, t) not in tiles:
                yield PlaneProblem(kind="missing", well=well, site=site, channel=str(c + 1), z=z + 1, t=t + 1,
                                   file=file, message="the file holds no image of this plane.")  # fmt: skip
                continue
            page, tile = tiles[c, z, t]
            metadata = channels.get(c, PlaneMetadata())._replace(
                pixel_size_um=size,
                x_um=None if size is None else (tile.x + tile.columns / 2) * size,
                y_um=None if size is None else (tile.y + tile.rows / 2) * size,
                z_um=None if depth is None else round(z * depth, 9),
                acquired=content.moments.get(page),
            )
            yield PlaneFile(file, root, None, well, site, str(c + 1), z + 1, t + 1, page, metadata)
    if nameless:
        message = f"neither its name nor its scenes {', '.join(map(str, sorted(nameless)))} tell a well; not used."
        yield PlaneProblem(kind="inconsistent", file=file, message=message)


def _wells(xml: Element) -> Mapping[int, str]:
    """Return the well of each scene, by the name of its place in the carrier or, without one, its own."""
    found: dict[int, str] = {}
    for scene in xml.iterfind(f"{_IMAGE}/Dimensions/S/Scenes/Scene"):
        shape = scene.find("Shape")
        names = (scene.findtext("ArrayName"), None if shape is None else shape.get("Name"), scene.get("Name"))
        index = whole(scene.get("Index", "0"))
        well = next((well for name in names if name and (well := well_of_position(name)[0])), None)
        if well is not None and index is not None:
            found[index] = well
    return found


def _channels(xml: Element) -> Mapping[int, PlaneMetadata]:
    found = {}
    for c, channel in enumerate(xml.iterfind(f"{_IMAGE}/Dimensions/Channels/Channel")):
        found[c] = PlaneMetadata(
            channel=channel.get("Name") or channel.findtext("Fluor") or None,
            wavelength_nm=number(channel.findtext("EmissionWavelength")) or None,
            excitation_nm=number(channel.findtext("ExcitationWavelength")) or None,
            colour=colour(channel.findtext("Color")),
        )
    return found


def _step(xml: Element, axis: str) -> float | None:
    """Return the distance of pixels, or planes, along an axis in micrometres; the file has metres."""
    for distance in xml.iterfind("Metadata/Scaling/Items/Distance"):
        value = number(distance.findtext("Value"))
        if distance.get("Id") == axis and value is not None and value > 0:
            return round(value * 1e6, 9)
    return None
