"""The JSON of OME-Zarr 0.5: multiscales, channels, labels, plate and wells.

Source: https://ngff.openmicroscopy.org/0.5/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hcs_lib.core.addresses import geometry_of, parse_well, row_name
from hcs_lib.core.canonical import canonical_json
from hcs_lib.storage.planning import plan_level
from hcs_lib.storage.spec import ArraySpec

_AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_COLOURS = ("0000FF", "00FF00", "FF0000", "FFFF00", "FF00FF", "00FFFF")
_BANDS_NM = ((0, "FF00FF"), (410, "0000FF"), (490, "00FF00"), (565, "FFFF00"), (590, "FF0000"))
"""Where a display colour begins, in nanometres of emission."""
_NAMES = {
    "0000FF": ("dapi", "dna", "hoechst", "draq", "nuclei", "nucleus"),
    "00FF00": ("gfp", "fitc", "488"),
    "FF0000": ("tritc", "rfp", "mcherry", "cy3", "texas", "568", "594"),
    "FF00FF": ("cy5", "647"),
}
"""What names of channels tell of the colour in which people expect them."""


def group(ome: Mapping[str, Any] | None = None) -> bytes:
    """Return the `zarr.json` of a group, with OME metadata where there are any."""
    attributes = {"ome": {"version": "0.5", **ome}} if ome is not None else {}
    return canonical_json({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def write_group(folder: Path, ome: Mapping[str, Any] | None = None) -> None:
    """Write the `zarr.json` of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zarr.json").write_bytes(group(ome))


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
    return [{"name": name, "axes": axes, "datasets": datasets}]


def channels(
    names: Sequence[str], wavelengths_nm: Sequence[float | None], windows: Sequence[tuple[float, float, float, float]]
) -> dict[str, Any]:
    """Return `omero`: how viewers name and show each channel. `windows` holds (min, max, start, end)."""
    described = [
        {
            "label": name,
            "active": True,
            "color": colour,
            "window": dict(zip(("min", "max", "start", "end"), window, strict=True)),
        }
        for name, colour, window in zip(names, _colours(names, wavelengths_nm), windows, strict=True)
    ]
    return {"channels": described}


def _colours(names: Sequence[str], wavelengths_nm: Sequence[float | None]) -> list[str]:
    """Return a display colour for each channel: by its wavelength or name, and else one that is not taken."""
    wanted = [
        _colour(name, wavelengths_nm[number] if number < len(wavelengths_nm) else None)
        for number, name in enumerate(names)
    ]
    if len(names) == 1:
        return [wanted[0] or "FFFFFF"]
    free = iter([*(colour for colour in _COLOURS if colour not in wanted), *_COLOURS * len(names)])
    return [colour or next(free) for colour in wanted]


def _colour(name: str, wavelength_nm: float | None) -> str | None:
    if wavelength_nm and wavelength_nm > 0:
        return next(colour for start, colour in reversed(_BANDS_NM) if wavelength_nm >= start)
    return next((colour for colour, words in _NAMES.items() if any(word in name.lower() for word in words)), None)


def plate(name: str, wells: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return `plate`: all rows and columns of the geometry, and the wells that have images, row by row."""
    rows, columns = geometry_of(wells)
    return {
        "version": "0.5",
        "name": name,
        "rows": [{"name": row_name(row)} for row in range(rows)],
        "columns": [{"name": f"{column:02d}"} for column in range(1, columns + 1)],
        "wells": [
            {"path": well_path(well), "rowIndex": parse_well(well).row, "columnIndex": parse_well(well).column}
            for well in sorted(wells, key=parse_well)
            if wells[well]
        ],
        "field_count": max((len(fields) for fields in wells.values()), default=0),
    }


def well_path(well: str) -> str:
    """Return the group of a well in a plate's store: `B/02`."""
    row, column = parse_well(well)
    return f"{row_name(row)}/{column + 1:02d}"
