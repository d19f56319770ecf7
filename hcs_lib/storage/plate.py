"""A plate's store: the metadata of plate, rows and wells of an OME-Zarr 0.5 HCS plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hcs_lib.core.files import write_atomic
from hcs_lib.storage import metadata


def write_plate(store: Path, plate: str, wells: Mapping[str, Sequence[str]]) -> None:
    """Write the metadata of a plate and its wells; images are written into it later, by well.

    Each file is replaced at once and only where it differs, so that a second call changes nothing.

    Parameters
    ----------
    store
        Folder of the plate, `demo.zarr`.
    plate
        Name of the plate.
    wells
        Fields of each well by the well's name: `{"B02": ["1", "2"]}` for the groups `B/02/1` and `B/02/2`. A well
        without a field (it failed, say) counts for the geometry of the plate only.
    """
    groups = {".": metadata.group({"plate": metadata.plate(plate, wells)})}
    for well, fields in wells.items():
        if not fields:
            continue
        path = metadata.well_path(well)
        groups[path.split("/")[0]] = metadata.group()
        groups[path] = metadata.group({"well": {"version": "0.5", "images": [{"path": field} for field in fields]}})
    for path, document in groups.items():
        file = store / path / "zarr.json"
        if not (file.is_file() and file.read_bytes() == document):
            write_atomic(file, document)
