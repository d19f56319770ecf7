"""ImageXpress HCS.ai (MetaXpress Acquire): a `.jdce`, and CSV files that record every image. All numbers are from 0."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hcs_lib.core.addresses import canonical_well
from hcs_lib.plates.formats.base import Found, PlaneFile, well_at
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import name_of, parent_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.vendorfiles import VendorFileError, number, read_csv_file, read_json_file, whole, within

_NAME = re.compile(
    r"(?P<plate>.+)_t(?P<t>\d+)_(?P<well>[A-Z]{1,2}\d{1,2})_s(?P<site>\d+)_w(?P<channel>\d+)_z(?P<z>\d+)\.(?i:tiff?)"
)


class _Experiment(NamedTuple):
    file: str
    root: str
    pixel_size_um: float | None
    channels: Mapping[str, PlaneMetadata]
    tables: tuple[str, ...]


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of HCS.ai experiments: as the CSV files record them or, without, by their names."""
    planes: list[PlaneFile] = []
    problems: list[tuple[str, PlaneProblem]] = []
    recorded: set[str] = set()
    for file in files:
        if not file.lower().endswith(".jdce"):
            continue
        root = parent_of(file)
        try:
            experiment = _read(folder / file, file, root)
            found, odd = _records(folder, experiment)
        except VendorFileError as error:
            problems.append((root, PlaneProblem(kind="unreadable", file=file, message=str(error))))
            continue
        recorded.add(root)
        planes += found
        problems += [(root, problem) for problem in odd]
    if not planes:
        planes = [plane for plane in map(name_plane, files) if plane]
        recorded.clear()
    return Found(tuple(planes), problems=tuple(problems), recorded=frozenset(recorded))


def name_plane(file: str) -> PlaneFile | None:
    """Return what the name of an image says; None where it is none of an HCS.ai."""
    match = _NAME.fullmatch(name_of(file))
    if match is None:
        return None
    try:
        well = canonical_well(match["well"])
    except ValueError:
        return None
    folder = parent_of(file)
    if re.fullmatch(r"timepoint\d+", name_of(folder), re.IGNORECASE):
        folder = parent_of(folder)
    site, z, t = (int(match[key]) for key in ("site", "z", "t"))
    return PlaneFile(file, folder, match["plate"], well, site, str(int(match["channel"])), z, t)


def _read(path: Path, file: str, root: str) -> _Experiment:
    stack = _get(read_json_file(path), "ImageStack")
    protocol = _get(stack, "AutoLeadAcquisitionProtocol")
    calibration = _get(protocol, "ObjectiveCalibration")
    width, height = number(calibration.get("PixelWidth")), number(calibration.get("PixelHeight"))
    micrometres = calibration.get("Unit") in ("µm", "μm", "um")
    square = width and height and width > 0 and abs(width - height) <= 0.01 * width and micrometres
    channels = {}
    for wave in _list(protocol.get("Wavelengths")):
        emission, excitation = _get(wave, "EmissionFilter"), _get(wave, "ExcitationFilter")
        name = emission.get("Name")
        channels[str(whole(wave.get("Index")))] = PlaneMetadata(
            channel=name if isinstance(name, str) else None,
            wavelength_nm=number(emission.get("Wavelength")) or None,
            excitation_nm=number(excitation.get("Wavelength")) or None,
        )
    tables = stack.get("ImageMetadataFiles")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, str) for table in tables):
        raise VendorFileError("it names no ImageMetadataFiles.")
    return _Experiment(file, root, width if square else None, channels, tuple(tables))


def _records(folder: Path, experiment: _Experiment) -> tuple[list[PlaneFile], list[PlaneProblem]]:
    planes: list[PlaneFile] = []
    problems: list[PlaneProblem] = []
    for table in experiment.tables:
        file = within(experiment.root, table)
        if file is None:
            raise VendorFileError(f"it names {table!r}, which lies outside its folder.")
        try:
            rows = read_csv_file(folder / file)
        except VendorFileError as error:
            raise VendorFileError(f"its table {table}: {error}") from None
        for line, row in enumerate(rows, start=2):
            plane = _record(row, experiment)
            if plane is None:
                message = f"line {line} is no record of an image within the experiment's folder; not used."
                problems.append(PlaneProblem(kind="inconsistent", file=file, message=message))
            else:
                planes.append(plane)
    return planes, problems


def _record(row: Mapping[str, str], experiment: _Experiment) -> PlaneFile | None:
    numbers = [whole(row.get(key)) for key in ("Row", "Column", "Field", "Wavelength", "ZIndex", "Timepoint")]
    file = within(experiment.root, f"{row.get('ImageSubFolderPath') or '.'}/{row.get('ImageFileName') or ''}")
    if file is None or not row.get("ImageFileName") or None in numbers:
        return None
    line, column, site, channel, z, t = (value or 0 for value in numbers)
    well = well_at(line, column)
    if well is None:
        return None
    said = experiment.channels.get(str(channel), PlaneMetadata())
    seconds = number(row.get("TimeStampSec"))
    metadata = said._replace(
        pixel_size_um=experiment.pixel_size_um,
        x_um=number(row.get("PositionXUm")),
        y_um=number(row.get("PositionYUm")),
        z_um=number(row.get("PositionZUm")),
        channel=said.channel or row.get("ExcitationEmissionFilter") or None,
        acquired=_time(seconds) if seconds else None,
    )
    return PlaneFile(file, experiment.root, None, well, site, str(channel), z, t, metadata=metadata)


def _time(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, OSError, ValueError):
        return None


def _get(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
