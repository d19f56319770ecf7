"""Yokogawa CellVoyager (CV7000, CV8000, CQ1): `MeasurementData.mlf` records every image, `.mrf` and `.mes` the rest.

Yokogawa's y grows upwards, ours downwards. Shading (`SC_`) and dark images (`DC_`) lie beside the planes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from hcs_lib.core.addresses import canonical_well
from hcs_lib.plates.formats.base import Found, PlaneFile, PlateFacts, well_at
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import name_of, parent_of
from hcs_lib.plates.metadata import PlaneMetadata, merge
from hcs_lib.plates.vendorfiles import VendorFileError, colour, number, read_xml, whole, within

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NAME = re.compile(
    r"(?P<plate>.+?)(?:_\d{6,8}_\d{6})?_(?P<well>[A-Z]{1,2}\d{2})"
    r"_T(?P<t>\d+)F(?P<site>\d+)L\d+A(?P<action>\d+)Z(?P<z>\d+)C(?P<channel>\d+)\.(?i:tiff?|png)"
)
_CORRECTION = re.compile(r"(SC|DC)_.*\.tiff?", re.IGNORECASE)
_BAND = re.compile(r"BP(\d+(?:\.\d+)?)")


class _Measurement(NamedTuple):
    """What `.mrf` and `.mes` say: facts of each channel and of the plate, and the time points asked for."""

    channels: Mapping[str, PlaneMetadata]
    facts: PlateFacts
    time_points: int | None


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of CellVoyager measurements: as the `.mlf` records them or, without one, by their names."""
    planes: list[PlaneFile] = []
    problems: list[tuple[str, PlaneProblem]] = []
    facts: dict[str, PlateFacts] = {}
    unread: list[PlaneProblem] = []
    listed = frozenset(files)
    for file in files:
        if not file.lower().endswith(".mlf"):
            continue
        place = parent_of(file)
        try:
            root = read_xml(folder / file)
        except VendorFileError as error:
            unread.append(PlaneProblem(kind="unreadable", file=file, message=str(error)))
            continue
        if root.tag != "MeasurementData":
            continue
        measurement, odd = _measurement(folder, place, files)
        information = _beside(folder, place, files, ".wpi", odd)
        plate = information.get("Name") if information is not None else None
        found: list[PlaneFile] = []
        for record in _records(root, file, place, measurement.channels, listed):
            if isinstance(record, PlaneFile):
                found.append(record._replace(plate=plate or None))
            else:
                odd.append(record)
        odd += _contradictions(found)
        last = max((plane.t for plane in found), default=0)
        if measurement.time_points and 0 < last < measurement.time_points:
            message = f"stopped: {measurement.time_points} time points were asked for, {last} are recorded."
            odd.append(PlaneProblem(kind="stopped", file=file, message=message))
        processed = {record.get("ZImageProcessing") for record in root.iter("MeasurementRecord")} - {None, ""}
        facts[place] = measurement.facts._replace(projected=", ".join(sorted(map(str, processed))) or None)
        planes += found
        problems += [(place, problem) for problem in odd]
    recorded = frozenset(facts)
    if unread or not planes:
        named = [plane for plane in map(name_plane, files) if plane and plane.root not in recorded]
        problems += [(place, problem) for place in {plane.root for plane in named} or {"."} for problem in unread]
        planes += named
    others = frozenset(file for file in files if _CORRECTION.fullmatch(name_of(file))) if planes else frozenset()
    return Found(tuple(planes), others, problems=tuple(problems), facts=facts, recorded=recorded)


def name_plane(file: str) -> PlaneFile | None:
    """Return what the name of an image says; None where it is none of a CellVoyager."""
    match = _NAME.fullmatch(name_of(file))
    if match is None:
        return None
    try:
        well = canonical_well(match["well"])
    except ValueError:
        return None
    site, z, t = (int(match[key]) for key in ("site", "z", "t"))
    return PlaneFile(file, parent_of(file), match["plate"], well, site, str(int(match["channel"])), z, t)


def _records(
    root: Element, file: str, place: str, channels: Mapping[str, PlaneMetadata], listed: Collection[str]
) -> Iterator[PlaneFile | PlaneProblem]:
    for count, record in enumerate(root.iterfind("MeasurementRecord"), start=1):
        keys = ("Row", "Column", "FieldIndex", "Ch", "ZIndex", "TimePoint")
        numbers = [whole(record.get(key)) for key in keys]
        row, column, site, channel, z, t = (-1 if value is None else value for value in numbers)
        well, text = well_at(row, column), (record.text or "").strip()
        path = within(place, text)
        # Some keep their images as PNG, and the records as they were.
        if path and path not in listed and (png := str(PurePosixPath(path).with_suffix(".png"))) in listed:
            path = png
        if record.get("Type") == "ERR":
            known = (None if value is None else value for value in numbers[2:])
            site_, channel_, z_, t_ = known
            yield PlaneProblem(
                kind="error_record",
                well=well,
                site=site_,
                channel=None if channel_ is None else str(channel_),
                z=z_,
                t=t_,
                file=path if path in listed else None,
                message=f"the microscope recorded an error: {text or 'it does not say which'}.",
            )
            continue
        if record.get("Type") != "IMG" or path is None or well is None or None in numbers:
            message = f"its record {count} has no full address, or no file within the plate's folder; not used."
            yield PlaneProblem(kind="inconsistent", file=file, message=message)
            continue
        upwards = number(record.get("Y"))
        own = PlaneMetadata(
            x_um=number(record.get("X")),
            y_um=None if upwards is None else 0.0 - upwards,
            z_um=number(record.get("Z")),
            acquired=record.get("Time"),
        )
        metadata = merge(own, channels.get(str(channel)))
        yield PlaneFile(path, place, None, well, site, str(channel), z, t, metadata=metadata)


def _contradictions(planes: Sequence[PlaneFile]) -> Iterator[PlaneProblem]:
    """Tell the images whose names say another address than their records, which are what is used."""
    odd = [plane for plane in planes if (named := name_plane(plane.file)) and named[3:8] != plane[3:8]]
    if odd:
        message = f"{len(odd)} name(s) and records differ in well, field, channel, z or time point: the records count."
        yield PlaneProblem(kind="inconsistent", file=odd[0].file, message=f"{message} This is the first.")


def _measurement(folder: Path, place: str, files: Sequence[str]) -> tuple[_Measurement, list[PlaneProblem]]:
    """Read `.mrf` and `.mes` beside the `.mlf`; what cannot be read is a problem, and not known."""
    problems: list[PlaneProblem] = []
    detail, setting = (_beside(folder, place, files, suffix, problems) for suffix in (".mrf", ".mes"))
    channels: dict[str, PlaneMetadata] = {}
    flat_fields: dict[str, str] = {}
    darks: dict[str, str] = {}
    shape = None
    for channel in detail.iterfind("MeasurementChannel") if detail is not None else ():
        id_ = channel.get("Ch", "")
        x, y = number(channel.get("HorizontalPixelDimension")), number(channel.get("VerticalPixelDimension"))
        square = x and y and x > 0 and abs(x - y) <= 0.01 * x
        channels[id_] = PlaneMetadata(pixel_size_um=x if square else None)
        rows, columns = whole(channel.get("VerticalPixels")), whole(channel.get("HorizontalPixels"))
        shape = shape or ((rows, columns) if rows and columns else None)
        shading = within(place, channel.get("ShadingCorrectionSource", ""))
        if shading in files:
            flat_fields[id_] = str(shading)
        camera = re.compile(rf"DC_.*_CAM{re.escape(channel.get('CameraNumber', ''))}\.tiff?", re.IGNORECASE)
        dark = (file for file in files if parent_of(file) == place and file.upper().find("DC_") >= 0)
        if found := next((file for file in dark if camera.fullmatch(name_of(file))), None):
            darks[id_] = found
    lights = {
        light.get("Name"): number(light.get("WaveLength"))
        for light in (setting.iterfind("LightSourceList/LightSource") if setting is not None else ())
    }
    for channel in setting.iterfind("ChannelList/Channel") if setting is not None else ():
        id_, band = channel.get("Ch", ""), _BAND.match(channel.get("Acquisition", ""))
        used = [lights.get((light.text or "").strip()) for light in channel.iterfind("LightSourceName")]
        said = PlaneMetadata(
            channel=channel.get("Fluorophore") or channel.get("Acquisition") or None,
            wavelength_nm=float(band[1]) if band else None,
            excitation_nm=(used[0] or None) if len(used) == 1 else None,
            colour=colour(channel.get("Color")),
        )
        channels[id_] = merge(channels.get(id_), said) or said
    time_points = whole(detail.get("TimePointCount")) if detail is not None else None
    facts = PlateFacts(flat_fields=flat_fields, darks=darks, shape=shape, dtype="uint16" if shape else None)
    return _Measurement(channels, facts, time_points), problems


def _beside(
    folder: Path, place: str, files: Sequence[str], suffix: str, problems: list[PlaneProblem]
) -> Element | None:
    for file in files:
        if file.lower().endswith(suffix) and parent_of(file) == place:
            try:
                return read_xml(folder / file)
            except VendorFileError as error:
                problems.append(PlaneProblem(kind="unreadable", file=file, message=str(error)))
    return None
