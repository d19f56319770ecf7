"""Calibration, stage and channel of a plane from MetaSeries XML (MetaMorph, MetaXpress) in the TIFF description."""

from __future__ import annotations

from datetime import datetime
from xml.etree.ElementTree import ParseError

from hcs_lib.plates.metadata import PlaneMetadata


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
    acquired = plane.get("acquisition-time-local")
    return PlaneMetadata(
        pixel_size_um=x if square else None,
        x_um=number("stage-position-x"),
        y_um=number("stage-position-y"),
        z_um=number("z-position"),
        channel=str(name) or None,
        wavelength_nm=number("wavelength") or None,
        acquired=acquired.isoformat() if isinstance(acquired, datetime) else None,
    )


def write_metaseries(metadata: PlaneMetadata, shape: tuple[int, int], label: str) -> str:
    """Return the description of a plane as MetaXpress writes it: what `read_metaseries` reads, and what readers expect.

    `label` is the stage label, such as `B02 : Site 1`.
    """
    from xml.sax.saxutils import quoteattr

    size = metadata.pixel_size_um
    plane = {
        "plane-type": ("string", "plane"),
        "pixel-size-x": ("int", shape[1]),
        "pixel-size-y": ("int", shape[0]),
        "spatial-calibration-state": ("bool", "on" if size else "off"),
        "spatial-calibration-x": ("float", size or 1),
        "spatial-calibration-y": ("float", size or 1),
        "spatial-calibration-units": ("string", "um"),
        "image-name": ("string", metadata.channel),
        "stage-position-x": ("float", metadata.x_um),
        "stage-position-y": ("float", metadata.y_um),
        "stage-label": ("string", label),
        "z-position": ("float", metadata.z_um),
        "wavelength": ("float", metadata.wavelength_nm),
        "_IllumSetting_": ("string", metadata.channel),
    }
    lines = [
        f'<prop id="{key}" type="{kind}" value={quoteattr(str(value))}/>'
        for key, (kind, value) in plane.items()
        if value is not None
    ]
    head = '<prop id="MetaDataVersion" type="float" value="1"/>'
    return "\n".join(["<MetaData>", head, "<PlaneInfo>", *lines, "</PlaneInfo>", "</MetaData>"])
