"""The colours in which viewers show channels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_FREE = ("0000FF", "00FF00", "FF0000", "FFFF00", "FF00FF", "00FFFF")
_BANDS_NM = ((0, "FF00FF"), (410, "0000FF"), (490, "00FF00"), (565, "FFFF00"), (590, "FF0000"))
"""Where a display colour begins, in nanometres of emission."""
_NAMES = {
    "0000FF": ("dapi", "dna", "hoechst", "draq", "nuclei", "nucleus"),
    "00FF00": ("gfp", "fitc", "488"),
    "FF0000": ("tritc", "rfp", "mcherry", "cy3", "texas", "568", "594"),
    "FF00FF": ("cy5", "647"),
}
"""What names of channels tell of the colour in which people expect them."""


_COLOUR = re.compile(r"[0-9A-F]{6}")


def is_colour(text: str) -> bool:
    """Tell whether this is a colour, RRGGBB."""
    return _COLOUR.fullmatch(text) is not None


def display_colours(
    names: Sequence[str], microscope: Sequence[str | None] = (), wavelengths_nm: Sequence[float | None] = ()
) -> list[str]:
    """Return a colour, RRGGBB, for each channel.

    That of the microscope, unless it is black or several channels share it; or else that of the emission; of what the
    name tells; one that is not taken. A single channel of which nothing is known is white.

    Parameters
    ----------
    names
        Of the channels.
    microscope, wavelengths_nm
        What the microscope's software shows each channel in, and its emission, in nanometres. None where unknown,
        nothing at all where both are unknown for every channel.
    """
    shared = Counter(microscope)
    wanted = [
        colour if colour and int(colour, 16) and shared[colour] == 1 else _expected(name, wavelength)
        for name, colour, wavelength in zip(
            names, microscope or [None] * len(names), wavelengths_nm or [None] * len(names), strict=True
        )
    ]
    if len(names) == 1:
        return [wanted[0] or "FFFFFF"]
    free = iter([*(colour for colour in _FREE if colour not in wanted), *_FREE * len(names)])
    return [colour or next(free) for colour in wanted]


def _expected(name: str, wavelength_nm: float | None) -> str | None:
    if wavelength_nm and wavelength_nm > 0:
        return next(colour for start, colour in reversed(_BANDS_NM) if wavelength_nm >= start)
    return next((colour for colour, words in _NAMES.items() if any(word in name.lower() for word in words)), None)
