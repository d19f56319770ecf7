"""The plate index: every plane of a plate, and everything that should be there and is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from hcs_lib.core.addresses import PlaneAddress
from hcs_lib.core.files import write_json
from hcs_lib.core.frozen import Frozen
from hcs_lib.core.refusals import read_accepted

Fingerprint = Literal["stat", "content"]
ProblemKind = Literal[
    "missing",
    "error_record",
    "truncated",
    "unreadable",
    "empty",
    "shape",
    "dtype",
    "repeated",
    "not_a_plane",
    "inconsistent",
    "stopped",
]


class Plane(Frozen):
    """One 2D image (y, x) that exists and whose header is sound.

    `file` is relative to the plate's folder, with forward slashes; `page` counts from 0;
    `sha256` is there with `fingerprint: content` only; `acquired` is ISO 8601, as the microscope wrote it.
    """

    well: str
    site: int
    channel: str
    z: int
    t: int
    file: str
    page: int
    size: int
    mtime_ns: int
    sha256: str | None = None
    acquired: str | None = None

    @property
    def address(self) -> PlaneAddress:
        """Where the plane stands."""
        return PlaneAddress(self.well, self.site, self.channel, self.z, self.t)


class Channel(Frozen):
    """A channel: its id in file names, and what the microscope calls it.

    `wavelength_nm` is that of the emission, `excitation_nm` that of the excitation; `colour` is RRGGBB;
    `flat_field` is the profile as the microscope wrote it, or the path of its image; `dark` the path of a dark
    image. Nothing of these is applied unasked.
    """

    id: str
    name: str
    wavelength_nm: float | None = None
    excitation_nm: float | None = None
    colour: str | None = None
    flat_field: str | None = None
    dark: str | None = None


class Addressed(Protocol):
    """What has an address and a file; `z` is None where only the file's pages tell."""

    @property
    def well(self) -> str: ...  # noqa: D102
    @property
    def site(self) -> int: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def z(self) -> int | None: ...  # noqa: D102
    @property
    def t(self) -> int: ...  # noqa: D102
    @property
    def file(self) -> str: ...  # noqa: D102


class PlaneProblem(Frozen):
    """A plane that is absent or broken. Fields that are unknown are None.

    `copy_of` names the file whose plane a repeated one is a copy of: then nothing is lost.
    """

    kind: ProblemKind
    well: str | None = None
    site: int | None = None
    channel: str | None = None
    z: int | None = None
    t: int | None = None
    file: str | None = None
    message: str
    copy_of: str | None = None

    @classmethod
    def at(cls, kind: ProblemKind, plane: Addressed, message: str, copy_of: str | None = None) -> PlaneProblem:
        """Return a problem of a plane, at its address."""
        return cls(kind=kind, well=plane.well, site=plane.site, channel=plane.channel, z=plane.z, t=plane.t,
                   file=plane.file, message=message, copy_of=copy_of)  # fmt: skip


class StagePosition(Frozen):
    """Where a site's centre lies, micrometres, x to the right and y downwards in the image."""

    well: str
    site: int
    x_um: float
    y_um: float


class Extent(NamedTuple):
    """Sites and time points of a well, in order."""

    sites: tuple[int, ...]
    t: tuple[int, ...]


Frames = dict[str, frozenset[tuple[int, int]]]
"""The (z, t) at which each channel, by its id, was taken."""


def frames_of(planes: Iterable[Plane], problems: Iterable[PlaneProblem], zs: Sequence[int]) -> Frames:
    """Return where each channel was taken: at every (z, t) that one site of one well has at least, sound or broken.

    A broken file that does not tell its z stands for all that its channel has, or else for all of `zs`.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    vague: set[tuple[str, int]] = set()
    everything: list[Plane | PlaneProblem] = [*planes, *(problem for problem in problems if not problem.copy_of)]
    for at in everything:
        if at.channel is None or at.t is None:
            continue
        if at.z is None:
            vague.add((at.channel, at.t))
        else:
            found.setdefault(at.channel, set()).add((at.z, at.t))
    for channel, t in vague:
        frames = found.setdefault(channel, set())
        frames |= {(z, t) for z in {z for z, _ in frames} or zs}
    return {channel: frozenset(frames) for channel, frames in found.items()}


class PlateIndex(Frozen):
    """What one plate's folder holds.

    Attributes
    ----------
    shape, dtype
        Of every plane in `planes`, (rows, columns); planes that differ are problems.
    grid
        Rows and columns of the sites of a well, where stage positions or metadata tell.
    projected
        How the microscope projected its stacks before it wrote them (`Maximum`); None where planes are planes.
    problems
        Planes missing against what the microscope recorded or, where it keeps no record, against the full grid
        of wells × sites × what each channel was taken at (`frames`); and broken files.
    """

    schema_version: Literal[1] = 1
    plate: str
    format: str
    fingerprint: Fingerprint
    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    z_spacing_um: float | None
    grid: tuple[int, int] | None
    projected: str | None = None
    wells: tuple[str, ...]
    sites: tuple[int, ...]
    channels: tuple[Channel, ...]
    z: tuple[int, ...]
    t: tuple[int, ...]
    positions: tuple[StagePosition, ...]
    planes: tuple[Plane, ...]
    problems: tuple[PlaneProblem, ...]

    @cached_property
    def planes_by_well(self) -> dict[str, tuple[Plane, ...]]:
        """Planes of each well, in address order."""
        grouped: dict[str, list[Plane]] = {well: [] for well in self.wells}
        for plane in self.planes:
            grouped[plane.well].append(plane)
        return {well: tuple(planes) for well, planes in grouped.items()}

    @cached_property
    def problems_by_well(self) -> dict[str, tuple[PlaneProblem, ...]]:
        """Problems of each well by which something is lost; those of no known well are left out."""
        grouped: dict[str, list[PlaneProblem]] = {well: [] for well in self.wells}
        for problem in self.problems:
            if problem.well in grouped and not problem.copy_of:
                grouped[problem.well].append(problem)
        return {well: tuple(problems) for well, problems in grouped.items()}

    @cached_property
    def extents(self) -> dict[str, Extent]:
        """Sites and time points at which each well was imaged or was to be: those of its planes and its problems.

        Where the microscope keeps no record, they are all of the plate's: what a well lacks is a problem.
        """
        sites: dict[str, set[int]] = {well: set() for well in self.wells}
        ts: dict[str, set[int]] = {well: set() for well in self.wells}
        for plane in self.planes:
            sites[plane.well].add(plane.site)
            ts[plane.well].add(plane.t)
        for well, problems in self.problems_by_well.items():
            for problem in problems:
                sites[well].update(self.sites if problem.site is None else (problem.site,))
                ts[well].update(self.t if problem.t is None else (problem.t,))
        return {well: Extent(tuple(sorted(sites[well])), tuple(sorted(ts[well]))) for well in self.wells}

    @cached_property
    def channel_names(self) -> dict[str, str]:
        """What the microscope calls each channel, by its id; the id itself where it calls others so too."""
        count = Counter(channel.name for channel in self.channels)
        return {channel.id: channel.name if count[channel.name] == 1 else channel.id for channel in self.channels}

    @cached_property
    def frames(self) -> Frames:
        """Where each channel was taken; one of which there is no trace, at every z and t."""
        whole = frozenset(product(self.z, self.t))
        found = frames_of(self.planes, self.problems, self.z)
        return {channel.id: found.get(channel.id, whole) for channel in self.channels}

    def save(self, path: Path) -> None:
        """Write the index as canonical JSON, atomically."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> PlateIndex:
        """Read an index; a UserError says what to do where it is missing, and why where the plate was refused."""
        return cls.model_validate(read_accepted(path, "Plate index (`hcs index` writes it)"))
