"""A plate's store: the metadata of plate, rows and wells of an OME-Zarr HCS plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hcs_lib.core.files import update_atomic
from hcs_lib.storage import metadata
from hcs_lib.storage.spec import OmeZarr


def plate_files(plate: str, wells: Mapping[str, Sequence[str]], version: OmeZarr = "0.5") -> dict[str, bytes]:
    """Return the metadata of a plate and its wells: the content of each file, by its path in the store.

    Parameters
    ----------
    plate
        Name of the plate.
    wells
        Fields of each well by the well's name: `{"B02": ["1", "2"]}` for the groups `B/02/1` and `B/02/2`. A well
        without a field (it failed, say) counts for the geometry of the plate only.
    version
        Of OME-Zarr.
    """
    groups = {"": metadata.group_files(version, {"plate": metadata.plate(plate, wells)})}
    for well, fields in wells.items():
        if fields:
            path = metadata.well_path(well)
            groups[path.split("/")[0]] = metadata.group_files(version)
            groups[path] = metadata.group_files(version, {"well": metadata.well(fields)})
    return {
        f"{group}/{name}".lstrip("/"): content for group, files in groups.items() for name, content in files.items()
    }


def write_plate(store: Path, plate: str, wells: Mapping[str, Sequence[str]], version: OmeZarr = "0.5") -> None:
    """Write the metadata of a plate, as `plate_files` returns them, into its folder; images follow later, by well.

    Each file is replaced at once and only where it differs, so that a second call changes nothing. Metadata of
    another version of OME-Zarr, which the store had before, are removed.
    """
    files = plate_files(plate, wells, version)
    for path, content in files.items():
        update_atomic(store / path, content)
    for group in {(store / path).parent for path in files}:
        for name in metadata.NAMES:
            if (group / name).relative_to(store).as_posix() not in files:
                (group / name).unlink(missing_ok=True)
