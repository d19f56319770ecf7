"""What a microscope says of one plane beside its pixels."""

from __future__ import annotations

from typing import NamedTuple


class PlaneMetadata(NamedTuple):
    """Facts of one plane; None where nothing tells.

    `x_um` and `y_um` are those of the centre of the image, x to the right and y downwards in the image;
    `wavelength_nm` is that of the emission; `colour` is RRGGBB; `acquired` is ISO 8601, as the microscope wrote it.
    """

    pixel_size_um: float | None = None
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    channel: str | None = None
    wavelength_nm: float | None = None
    colour: str | None = None
    acquired: str | None = None
    excitation_nm: float | None = None


def merge(first: PlaneMetadata | None, second: PlaneMetadata | None) -> PlaneMetadata | None:
    """Return the facts of the first, and of the second where the first has none."""
    if first is None or second is None:
        return first or second
    return first._replace(**{key: said for key, said in second._asdict().items() if getattr(first, key) is None})
