"""What microscopes write, one small module each. A new format is a function of type `Find` and a line below."""

from __future__ import annotations

from hcs_lib.plates.formats import cellvoyager, czi, harmony, imagexpress, imagexpress_hcsai, nd2, ome_tiff, ome_zarr
from hcs_lib.plates.formats.base import Find, Found, PlaneFile, PlateFacts
from hcs_lib.plates.formats.pattern import find_by_pattern

FORMATS: dict[str, Find] = {
    "imagexpress": imagexpress.find,
    "imagexpress-hcsai": imagexpress_hcsai.find,
    "harmony": harmony.find,
    "cellvoyager": cellvoyager.find,
    "ome-tiff": ome_tiff.find,
    "ome-zarr": ome_zarr.find,
    "nd2": nd2.find,
    "czi": czi.find,
}
"""Formats that are known by what lies in the folder. `pattern` is the user's own, see `find_by_pattern`."""

__all__ = ["FORMATS", "Find", "Found", "PlaneFile", "PlateFacts", "find_by_pattern"]
