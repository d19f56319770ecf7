"""Plates of OME-Zarr 0.4 and 0.5. A file of planes is the array of a field's full resolution.

Fields have the number that is their path, or else their place from 1; channels, z and t count from 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product
from pathlib import Path
from typing import Any, NamedTuple

from hcs_lib.core.addresses import canonical_well
from hcs_lib.plates.formats.base import Found, PlaneFile
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import name_of, parent_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.vendorfiles import VendorFileError, number, read_json_file, within
from hcs_lib.plates.zarr_arrays import read_array_header

_MICROMETRES = {
    None: 1.0, "micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6,
    "picometer": 1e-6, "angstrom": 1e-4,
}  # fmt: skip
_METADATA = {"zarr.json", ".zattrs"}
_DEEPEST = 4
"""Folders above a plate that are looked into."""


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of OME-Zarr plates, as the metadata of plate, wells and fields say."""
    planes: list[PlaneFile] = []
    problems: list[tuple[str, PlaneProblem]] = []
    roots: list[str] = []
    groups = [file for file in files if name_of(file) in _METADATA and file.count("/") <= _DEEPEST]
    for file in sorted(groups, key=lambda file: file.count("/")):
        root = parent_of(file)
        if any(above in (".", root) or root.startswith(f"{above}/") for above in roots):
            continue
        try:
            plate = _attributes(folder, root).get("plate")
        except VendorFileError as error:
            problems.append((root, PlaneProblem(kind="unreadable", file=file, message=str(error))))
            continue
        if isinstance(plate, dict):
            roots.append(root)
            found = list(_wells(folder, root, plate))
            planes += _unplaced(_in_turn([item for item in found if isinstance(item, _Acquired)], plate))
            problems += [(root, item) for item in found if isinstance(item, PlaneProblem)]
    return Found(tuple(planes), problems=tuple(problems), recorded=frozenset(roots))


class _Acquired(NamedTuple):
    """A plane, the acquisition that it is of (None: the plate has none), and the place of its field in that, from 1."""

    acquisition: object
    place: int
    plane: PlaneFile


def _in_turn(found: list[_Acquired], plate: Mapping[str, Any]) -> list[PlaneFile]:
    """Return the planes of several acquisitions at the same sites, counted from 1 in each acquisition.

    Acquisitions of the same channels are time points, one after another; those of others bring channels of their own.
    """
    listed = [acquisition.get("id") for acquisition in _list(plate.get("acquisitions"))]
    there = {item.acquisition for item in found}
    order = [*(id_ for id_ in listed if id_ in there), *sorted(there - {*listed}, key=str)]
    if len(order) < 2:
        return [item.plane for item in found]
    names: dict[object, dict[int, str | None]] = {id_: {} for id_ in order}
    ends = dict.fromkeys(order, 0)
    for id_, _, plane in found:
        names[id_][int(plane.channel)] = plane.metadata.channel if plane.metadata else None
        ends[id_] = max(ends[id_], plane.t)
    alike = all(names[id_] == names[order[0]] for id_ in order)
    if not alike:
        ends = {id_: max(names[id_]) for id_ in order}
    starts = dict(zip(order, accumulate((ends[id_] for id_ in order), initial=0), strict=False))
    return [
        plane._replace(site=place, t=plane.t + starts[id_])
        if alike
        else plane._replace(site=place, channel=str(int(plane.channel) + starts[id_]))
        for id_, place, plane in found
    ]


def _unplaced(planes: list[PlaneFile]) -> list[PlaneFile]:
    """Return planes without positions where all fields of a plate with several a well lie at one place.

    So a writer says that it knows no positions.
    """
    places = {(plane.metadata.x_um, plane.metadata.y_um) for plane in planes if plane.metadata}
    if len(places) != 1 or len({plane.site for plane in planes}) == 1:
        return planes
    return [
        plane._replace(metadata=plane.metadata and plane.metadata._replace(x_um=None, y_um=None)) for plane in planes
    ]


def _attributes(folder: Path, group: str) -> dict[str, Any]:
    """Return the OME metadata of a group, whichever version of Zarr it is of."""
    if (folder / group / "zarr.json").is_file():
        found = read_json_file(folder / group / "zarr.json")
        for key in ("attributes", "ome"):
            found = found.get(key, {}) if isinstance(found, dict) else None
    else:
        found = read_json_file(folder / group / ".zattrs")
    if not isinstance(found, dict):
        raise VendorFileError("its metadata are no mapping.")
    return found


def _wells(folder: Path, root: str, plate: Mapping[str, Any]) -> Iterator[_Acquired | PlaneProblem]:
    several = len(_list(plate.get("acquisitions"))) > 1
    for entry in _list(plate.get("wells")):
        path = within(root, str(entry.get("path") or ""))
        try:
            well = canonical_well("".join(str(entry.get("path")).split("/")))
        except ValueError:
            path = None
        if path is None:
            message = f"its well {entry.get('path')!r} is no row and column of a plate within the folder; not used."
            yield PlaneProblem(kind="inconsistent", file=root, message=message)
            continue
        try:
            images = _list(_attributes(folder, path).get("well", {}).get("images"))
        except (VendorFileError, AttributeError) as error:
            message = f"the metadata of the well cannot be used: {error}"
            yield PlaneProblem(kind="unreadable", well=well, file=path, message=message)
            continue
        places: Counter[object] = Counter()
        for place, image in enumerate(images, start=1):
            name = str(image.get("path") or "")
            acquisition = _acquisition(image)
            places[acquisition] += 1
            site = int(name) if name.isdecimal() and len(name) < 10 else place
            told = places[acquisition] if several else site
            try:
                group = within(path, name)
                if group is None:
                    raise VendorFileError(f"its path {name!r} leaves the well's folder.")
                for plane in _field(folder, root, group, well, site):
                    yield _Acquired(acquisition, places[acquisition], plane)
            except VendorFileError as error:
                message = f"the metadata of the field cannot be used: {error}"
                yield PlaneProblem(kind="unreadable", well=well, site=told, file=f"{path}/{name}", message=message)


def _acquisition(image: Mapping[str, Any]) -> int | None:
    value = image.get("acquisition")
    return value if isinstance(value, int) else None


def _field(folder: Path, root: str, group: str, well: str, site: int) -> Iterator[PlaneFile]:
    attributes = _attributes(folder, group)
    try:
        scales = attributes["multiscales"][0]
        axes = [str(axis["name"]) for axis in scales["axes"]]
        units = [None if axis.get("unit") is None else str(axis["unit"]) for axis in scales["axes"]]
        dataset = scales["datasets"][0]
        array = within(group, str(dataset["path"]))
        scale, translation = _transform(len(axes), dataset, scales)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise VendorFileError(f"its multiscales are not those of OME-Zarr ({error!r}).") from None
    if array is None:
        raise VendorFileError("its first level lies outside its folder.")
    header = read_array_header(folder / array)
    if axes[-2:] != ["y", "x"] or len(axes) != len(header.shape) or not set(axes[:-2]) <= set("tcz"):
        raise VendorFileError(f"its axes {axes} are not t, c, z, y, x or fewer, for shape {header.shape}.")
    um = [
        size * _MICROMETRES[unit] if axis in "zyx" and unit in _MICROMETRES and size > 0 else None
        for axis, unit, size in zip(axes, units, scale, strict=True)
    ]
    moved = [
        shift * _MICROMETRES[unit] if translation and unit in _MICROMETRES else None
        for unit, shift in zip(units, translation or scale, strict=True)
    ]
    square = um[-1] is not None and um[-2] is not None and abs(um[-1] - um[-2]) <= 0.01 * um[-1]
    centre = [
        None if start is None or size is None else start + size * (pixels - 1) / 2
        for start, size, pixels in zip(moved[-2:], um[-2:], header.shape[-2:], strict=True)
    ]
    depth = um[axes.index("z")] if "z" in axes else None
    channels = _list(attributes.get("omero", {}).get("channels") if isinstance(attributes.get("omero"), dict) else None)
    for page, place in enumerate(product(*map(range, header.shape[:-2]))):
        at = dict(zip(axes, place, strict=False))
        c = at.get("c", 0)
        said = channels[c] if c < len(channels) else {}
        metadata = PlaneMetadata(
            pixel_size_um=um[-1] if square else None,
            y_um=centre[0],
            x_um=centre[1],
            z_um=None if depth is None else round(at["z"] * depth, 9),
            channel=str(said["label"]) if said.get("label") else None,
            colour=str(said["color"]).upper() if said.get("color") else None,
        )
        yield PlaneFile(
            array, root, None, well, site, str(c + 1), at.get("z", 0) + 1, at.get("t", 0) + 1, page, metadata
        )


def _transform(axes: int, *levels: Mapping[str, Any]) -> tuple[list[float], list[float] | None]:
    """Return scale and translation of a level: its own transformations, then those of all levels."""
    scale, translation = [1.0] * axes, None
    for level in levels:
        for step in _list(level.get("coordinateTransformations")):
            values = [number(value) for value in step.get(str(step.get("type"))) or ()]
            if step.get("type") not in ("scale", "translation"):
                continue
            if len(values) != axes or None in values:
                raise VendorFileError(f"its {step['type']} has not one number for each axis.")
            given = [value or 0.0 for value in values]
            if step["type"] == "scale":
                scale = [a * b for a, b in zip(scale, given, strict=True)]
                translation = translation and [a * b for a, b in zip(translation, given, strict=True)]
            else:
                translation = [a + b for a, b in zip(translation or [0.0] * axes, given, strict=True)]
    return scale, translation


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
