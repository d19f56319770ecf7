"""Calibration, stage and channel of a plane from MetaSeries XML (MetaMorph, MetaXpress) in the TIFF description."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import ParseError


class PlaneMetadata(NamedTuple):
    """What a file says of itself beside the pixels; None where it does not."""

    pixel_size_um: float | None
    x_um: float | None
    y_um: float | None
    z_um: float | None
    channel: str | None
    wavelength_nm: float | None


def read_metaseries(description: str) -> PlaneMetadata | None:
    """Read the metadata of one plane; None where the description is no MetaSeries XML.

    Pixels that are not square (by more than 1 %) have no one size, so it is None. Stage positions are those
    of the centre of the image.
    """
    from tifffile.tifffile import metaseries_description_metadata

    if not description.startswith("<MetaData>"):
        return None
    try:
        plane = metaseries_description_metadata(description).get("PlaneInfo", {})
    except (ParseError, ValueError):
        return None

    def number(key: str) -> float | None:
        value = plane.get(key)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    x, y = number("spatial-calibration-x"), number("spatial-calibration-y")
    calibrated = plane.get("spatial-calibration-state") and plane.get("spatial-calibration-units") in ("um", "µm", "μm")
    square = calibrated and x and y and x > 0 and abs(x - y) <= 0.01 * x
    name = plane.get("_IllumSetting_") or str(plane.get("image-name", "")).removeprefix("Copy of ")
    return PlaneMetadata(
        x if square else None, number("stage-position-x"), number("stage-position-y"), number("z-position"),
        str(name) or None, number("wavelength") or None,
    )  # fmt: skip
