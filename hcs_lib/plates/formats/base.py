"""What a format gives: the planes of a plate with their addresses, and what its index files say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.addresses import Well, canonical_well, well_name
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.metadata import PlaneMetadata


class PlaneFile(NamedTuple):
    """What names and index files say of one file.

    `file` is relative to the folder that was listed, with forward slashes; `root` is the folder of the plate
    within it (`.` where they are the same); `plate` is the plate's name in the file name, if there is one;
    `z` is None where nothing tells: then the pages of the file are z. With a `page`, the plane is that page.
    """

    file: str
    root: str
    plate: str | None
    well: str
    site: int
    channel: str
    z: int | None
    t: int
    page: int | None = None
    metadata: PlaneMetadata | None = None


class PlateFacts(NamedTuple):
    """What index files say of a whole plate; empty where nothing tells.

    `flat_fields` and `darks` are by channel: a profile as the microscope wrote it, or the path of an image.
    `shape` and `dtype` serve where not one plane is there.
    """

    grid: tuple[int, int] | None = None
    projected: str | None = None
    flat_fields: Mapping[str, str] = {}
    darks: Mapping[str, str] = {}
    shape: tuple[int, int] | None = None
    dtype: str | None = None


class Found(NamedTuple):
    """What a format finds among files.

    Attributes
    ----------
    planes
        Every plane that names or records tell of. Those whose file is not there are told as missing.
    others
        Files that the format knows and which are no planes: thumbnails, projections, shading images.
    problems
        By the folder of the plate they belong to.
    facts
        By the folder of the plate.
    recorded
        Folders of plates of which an index file lists all planes: nothing else can be missing.
    """

    planes: tuple[PlaneFile, ...]
    others: frozenset[str] = frozenset()
    problems: tuple[tuple[str, PlaneProblem], ...] = ()
    facts: Mapping[str, PlateFacts] = {}
    recorded: frozenset[str] = frozenset()


Find = Callable[[Path, Sequence[str]], Found]
"""A format: from a folder and the relative paths below it (forward slashes) to its planes."""


def channel_id(text: str) -> str:
    """Return the id of a channel: numbers without leading zeros (`01` is `1`), other text as it is."""
    return str(int(text)) if text.isdecimal() else text


def well_at(row: int, column: int) -> str | None:
    """Return the name of a well by its row and column from 1; None where no plate has it."""
    try:
        return canonical_well(well_name(Well(row - 1, column - 1)))
    except ValueError:
        return None
