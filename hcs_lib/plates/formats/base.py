"""What a format gives: plane files with their addresses, from the names of files alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class PlaneFile(NamedTuple):
    """What the name of one file says.

    `file` is relative to the folder that was listed, with forward slashes; `root` is the folder of the plate
    within it (`.` where they are the same); `plate` is the plate's name in the file name, if there is one;
    `z` is None where the name has none: then the pages of the file are z.
    """

    file: str
    root: str
    plate: str | None
    well: str
    site: int
    channel: str
    z: int | None
    t: int


class Found(NamedTuple):
    """Files that a format takes for planes, and files it knows which are none: thumbnails, projections."""

    planes: tuple[PlaneFile, ...]
    others: frozenset[str]


Find = Callable[[Sequence[str]], Found]
"""A format: from relative paths (forward slashes) to what it takes for planes. It opens no file."""


def channel_id(text: str) -> str:
    """Return the id of a channel: numbers without leading zeros (`01` is `1`), other text as it is."""
    return str(int(text)) if text.isdecimal() else text
