"""A plate's store: the metadata of plate, rows and wells of an OME-Zarr HCS plate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from hcs_lib.core.files import update_atomic
from hcs_lib.storage import metadata
from hcs_lib.storage.spec import OmeZarr


def plate_files(
    plate: str,
    wells: Mapping[str, Sequence[str]],
    version: OmeZarr = "0.5",
    acquisitions: Mapping[str, Collection[str]] | None = None,
) -> dict[str, bytes]:
    """Return the metadata of a plate and its wells: the content of each file, by its path in the store.

    Parameters
    ----------
    plate
        Name of the plate.
    wells
        Fields of each well by the well's name: `{"B02": ["1", "2"]}` for the groups `B/02/1` and `B/02/2`. A well
        without a field (it failed, say) counts for the geometry of the plate only. Without any field there are no
        files: the specification knows no plate without a well.
    version
        Of OME-Zarr.
    acquisitions
        Fields of each acquisition by its name, where there are several: `{"DNA": ["1a1", "2a1"], "GFP": ["1a2"]}`.
        They are called so in every well that has them.
    """
    if not any(wells.values()):
        return {}
    groups = {"": metadata.group_files(version, {"plate": metadata.plate(plate, wells, acquisitions)})}
    for well, fields in wells.items():
        if fields:
            path = metadata.well_path(well)
            groups[path.split("/")[0]] = metadata.group_files(version)
            groups[path] = metadata.group_files(version, {"well": metadata.well(fields, acquisitions)})
    return {
        f"{group}/{name}".lstrip("/"): content for group, files in groups.items() for name, content in files.items()
    }


def write_plate(
    store: Path,
    plate: str,
    wells: Mapping[str, Sequence[str]],
    version: OmeZarr = "0.5",
    acquisitions: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Write the metadata of a plate, as `plate_files` returns them, into its folder; images follow later, by well.

    Each file is replaced at once and only where it differs, so that a second call changes nothing. Metadata that the
    store had before, of another version of OME-Zarr or of wells that have no field any more, are removed.
    """
    files = plate_files(plate, wells, version, acquisitions)
    for path, content in files.items():
        update_atomic(store / path, content)
    for group in {"", *(part for well in map(metadata.well_path, wells) for part in (well, well.split("/")[0]))}:
        for name in metadata.NAMES:
            if f"{group}/{name}".lstrip("/") not in files:
                (store / group / name).unlink(missing_ok=True)


def read_fields(store: Path, wells: Iterable[str]) -> dict[str, list[str]]:
    """Return the fields of wells that their metadata name; none of wells without a group."""
    found: dict[str, list[str]] = {}
    for well in wells:
        group = store / metadata.well_path(well)
        images = metadata.read_group(group)["well"]["images"] if metadata.version_of(group) else []
        found[well] = [image["path"] for image in images]
    return found


def join_acquisitions(
    store: Path, plate: str, parts: Mapping[str, Path], wells: Sequence[str], version: OmeZarr = "0.5"
) -> dict[str, list[str]]:
    """Move the images of several stores of one plate into a new store, in which each is an acquisition.

    Field `1` becomes `1a1`, `1a2`, …. Readers pair the images of acquisitions by their order: a field that one store
    lacks is left behind in all.

    Parameters
    ----------
    store
        Must not be there yet.
    plate
        Name of the plate.
    parts
        The stores, by the names of the acquisitions.
    wells
        All wells of the plate.
    version
        Of OME-Zarr, of all stores.

    Returns
    -------
    dict
        The fields that all stores have, by well, as they were called before.
    """
    found = [read_fields(part, wells) for part in parts.values()]
    shared = {
        well: [field for field in found[0][well] if all(field in fields[well] for fields in found)] for well in wells
    }
    every = {field for fields in shared.values() for field in fields}
    names = {part: {field: f"{field}a{number}" for field in every} for number, part in enumerate(parts, start=1)}
    for part, source in parts.items():
        for well, fields in shared.items():
            for field in fields:
                target = store / metadata.well_path(well) / names[part][field]
                target.parent.mkdir(parents=True, exist_ok=True)
                (source / metadata.well_path(well) / field).rename(target)
    images = {well: [names[part][field] for part in parts for field in fields] for well, fields in shared.items()}
    write_plate(store, plate, images, version, {part: {*names[part].values()} for part in parts})
    return shared
