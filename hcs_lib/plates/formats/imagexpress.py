"""ImageXpress (MetaXpress), flat files: `{plate}_{well}_s{site}_w{channel}{UUID}.tif`.

Files lie in the plate's folder or in `TimePoint_{t}/ZStep_{z}` below it. Site, channel, UUID and both folders
are optional. `ZStep_0`, or a file above the `ZStep` folders, is the projection of a stack: it is taken for a
plane only where its channel has no stack on the plate. An `.HTD` beside them tells what was asked of the microscope.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from hcs_lib.core.addresses import canonical_well
from hcs_lib.plates.formats import htd
from hcs_lib.plates.formats.base import Found, PlaneFile, channel_id
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import name_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.vendorfiles import VendorFileError

# The UUID follows the channel without a separator and may begin with a digit: its first group is eight digits
# long, so `w121C731DC-…` is channel 1.
_NAME = re.compile(
    r"""(?P<plate>.+?)_(?P<well>[A-Z]{1,2}\d{1,2})
        (?:_[sS](?P<site>\d+))?(?:_[wW](?P<channel>\d+))?
        (?P<thumbnail>_(?i:thumb))?
        (?i:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?
        \.(?i:tiff?)""",
    re.VERBOSE,
)
_TIME_POINT = re.compile(r"TimePoint_(\d+)", re.IGNORECASE)
_Z_STEP = re.compile(r"ZStep_(\d+)", re.IGNORECASE)


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of ImageXpress plates."""
    planes, others = _name_planes(files)
    settings, problems = _settings(folder, files, {plane.root for plane in planes})
    for root, said in settings.items():
        problems += [(root, problem) for problem in said.compare(plane for plane in planes if plane.root == root)]
    return Found(
        tuple(_named(plane, settings.get(plane.root)) for plane in planes),
        others,
        problems=tuple(problems),
        facts={root: said.facts for root, said in settings.items()},
    )


def _settings(
    folder: Path, files: Sequence[str], roots: Collection[str]
) -> tuple[dict[str, htd.Settings], list[tuple[str, PlaneProblem]]]:
    """Read the `.HTD` of each plate: of the copies that an export leaves in every folder, the highest."""
    found: dict[str, htd.Settings] = {}
    problems: list[tuple[str, PlaneProblem]] = []
    for file in sorted((file for file in files if file.lower().endswith(".htd")), key=lambda file: file.count("/")):
        root = _folders(file.split("/")[:-1])[0]
        if root not in roots or root in found:
            continue
        try:
            found[root] = htd.read(folder / file, file)
        except VendorFileError as error:
            problems.append((root, PlaneProblem(kind="unreadable", file=file, message=str(error))))
    return found, problems


def _named(plane: PlaneFile, settings: htd.Settings | None) -> PlaneFile:
    name = settings.channels.get(plane.channel) if settings else None
    return plane._replace(metadata=PlaneMetadata(channel=name)) if name else plane


def _name_planes(files: Sequence[str]) -> tuple[list[PlaneFile], frozenset[str]]:
    """Return the planes, and the thumbnails and projections that are none."""
    planes: list[PlaneFile] = []
    others: set[str] = set()
    for file in files:
        match = _NAME.fullmatch(name_of(file))
        if match is None:
            continue
        if match["thumbnail"]:
            others.add(file)
            continue
        try:
            well = canonical_well(match["well"])
        except ValueError:
            continue
        root, t, z = _folders(file.split("/")[:-1])
        site, channel = int(match["site"] or 1), channel_id(match["channel"] or "1")
        planes.append(PlaneFile(file, root, match["plate"], well, site, channel, z, t))
    # By channel of the plate: where one stack is lost, its projection must not stand for a plane of it.
    stacked = {(plane.root, plane.plate, plane.channel) for plane in planes if plane.z}
    projections = {
        plane.file for plane in planes if not plane.z and (plane.root, plane.plate, plane.channel) in stacked
    }
    return [plane for plane in planes if plane.file not in projections], frozenset(others | projections)


def _folders(parts: Sequence[str]) -> tuple[str, int, int | None]:
    """Return the plate's folder, t and z of the folders above a file."""
    t, z = 1, None
    root = len(parts)
    for position, part in reversed(list(enumerate(parts))):
        if match := _TIME_POINT.fullmatch(part):
            t, root = int(match[1]), position
        elif match := _Z_STEP.fullmatch(part):
            z, root = int(match[1]), position
    return "/".join(parts[:root]) or ".", t, z
