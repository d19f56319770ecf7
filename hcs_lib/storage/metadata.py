"""The JSON of OME-Zarr: multiscales, channels, labels, plate and wells, of version 0.5 and 0.4.

The versions say the same: 0.5 in the attribute `ome` of a Zarr 3 group, 0.4 in the attributes of a Zarr 2 group. The
version itself stands beside the parts in 0.5, within `multiscales` in 0.4, and within plate, well and image-label in
both.

Source: https://ngff.openmicroscopy.org/0.5/ and https://ngff.openmicroscopy.org/0.4/.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hcs_lib.core.addresses import geometry_of, parse_well, row_name
from hcs_lib.core.canonical import canonical_json
from hcs_lib.storage.planning import plan_level
from hcs_lib.storage.spec import ArraySpec, OmeZarr

_AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_ATTRIBUTES: dict[OmeZarr, str] = {"0.5": "zarr.json", "0.4": ".zattrs"}
"""The file of a group that holds its attributes."""

_VERSIONED = ("plate", "well", "image-label")

NAMES = frozenset({"zarr.json", ".zgroup", ".zarray", ".zattrs"})
"""Files of a store that hold no pixels."""


def group_files(
    version: OmeZarr, ome: Mapping[str, Any] | None = None, attributes: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """Return the files of a group, by name: with OME metadata, other attributes, or neither (`ome` None)."""
    held = dict(attributes or {})
    parts = {name: {"version": version, **part} if name in _VERSIONED else part for name, part in (ome or {}).items()}
    if version == "0.5":
        held |= {} if ome is None else {"ome": {"version": version, **parts}}
        return {"zarr.json": canonical_json({"zarr_format": 3, "node_type": "group", "attributes": held})}
    if "multiscales" in parts:
        parts["multiscales"] = [{"version": version, **image} for image in parts["multiscales"]]
    return {".zgroup": canonical_json({"zarr_format": 2}), ".zattrs": canonical_json(held | parts)}


def write_group(folder: Path, version: OmeZarr, ome: Mapping[str, Any] | None = None) -> None:
    """Write the files of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in group_files(version, ome).items():
        (folder / name).write_bytes(content)


def version_of(group: Path) -> OmeZarr | None:
    """Return the version of OME-Zarr that a group is of; None where there is no group."""
    return next((version for version, name in _ATTRIBUTES.items() if (group / name).is_file()), None)


def read_group(folder: Path) -> dict[str, Any]:
    """Return the OME metadata of a group.

    Raises
    ------
    FileNotFoundError
        Where there is no group.
    """
    version = version_of(folder) or "0.5"
    found: dict[str, Any] = json.loads((folder / _ATTRIBUTES[version]).read_bytes())
    return found["attributes"]["ome"] if version == "0.5" else found


def multiscales(spec: ArraySpec, name: str, translation_um: tuple[float, float] | None) -> list[dict[str, Any]]:
    """Return `multiscales`: axes with units, and scale and translation of each level.

    Parameters
    ----------
    spec
        Of the full resolution.
    name
        Of the image.
    translation_um
        Where the centre of the first pixel lies, (y, x), in micrometres.
        A pixel of a coarser level is centred between the four that it stands for.
    """
    origin = translation_um if translation_um is not None and spec.units[-1] else (0.0, 0.0)
    datasets = []
    for level in range(spec.levels):
        shift = [start + (2**level - 1) / 2 * size for start, size in zip(origin, spec.scale[-2:], strict=True)]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": list(plan_level(spec, level).scale)},
                    {"type": "translation", "translation": [*(0.0 for _ in spec.axes[:-2]), *shift]},
                ],
            }
        )
    axes = [
        {"name": axis, "type": _AXIS_TYPES[axis], **({"unit": unit} if unit else {})}
        for axis, unit in zip(spec.axes, spec.units, strict=True)
    ]
    averaged = bool(spec.channels) and spec.dtype != "bool"
    kind, description = (
        ("mean", "Each level has the means of 2 × 2 pixels of the one before.")
        if averaged
        else ("nearest", "Each level has the upper left of 2 × 2 pixels of the one before.")
    )
    return [{"name": name, "axes": axes, "datasets": datasets, "type": kind, "metadata": {"description": description}}]


def channels(
    names: Sequence[str], colours: Sequence[str], windows: Sequence[tuple[float, float, float, float]]
) -> dict[str, Any]:
    """Return `omero`: how viewers name and show each channel. `windows` holds (min, max, start, end)."""
    described = [
        {
            "label": name,
            "active": True,
            "color": colour,
            "window": dict(zip(("min", "max", "start", "end"), window, strict=True)),
        }
        for name, colour, window in zip(names, colours, windows, strict=True)
    ]
    return {"channels": described}


def plate(
    name: str, wells: Mapping[str, Sequence[str]], acquisitions: Mapping[str, Collection[str]] | None = None
) -> dict[str, Any]:
    """Return `plate`: all rows and columns of the geometry, and the wells that have images, row by row.

    `acquisitions` names the fields of each, where there are several; their ids count from 1.
    """
    rows, columns = geometry_of(wells)
    count = max((len(fields) for fields in wells.values()), default=0)
    listed = [
        {
            "id": number,
            "name": part,
            "maximumfieldcount": max(sum(field in inside for field in fields) for fields in wells.values()),
        }
        for number, (part, inside) in enumerate((acquisitions or {}).items(), start=1)
    ]
    return {
        "name": name,
        "rows": [{"name": row_name(row)} for row in range(rows)],
        "columns": [{"name": f"{column:02d}"} for column in range(1, columns + 1)],
        "wells": [
            {"path": well_path(well), "rowIndex": parse_well(well).row, "columnIndex": parse_well(well).column}
            for well in sorted(wells, key=parse_well)
            if wells[well]
        ],
        **({"field_count": count} if count else {}),
        **({"acquisitions": listed} if listed else {}),
    }


def well(fields: Sequence[str], acquisitions: Mapping[str, Collection[str]] | None = None) -> dict[str, Any]:
    """Return `well`: its images, with the acquisitions that they are of."""
    number = {field: n for n, inside in enumerate((acquisitions or {}).values(), start=1) for field in inside}
    return {
        "images": [{"path": field, **({"acquisition": number[field]} if field in number else {})} for field in fields]
    }


def well_path(well: str) -> str:
    """Return the group of a well in a plate's store: `B/02`."""
    row, column = parse_well(well)
    return f"{row_name(row)}/{column + 1:02d}"
