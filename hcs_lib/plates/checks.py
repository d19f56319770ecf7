"""What is wrong with the planes of a plate: repeated, absent, of another shape, missing from its grid."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from hcs_lib.core.errors import DataError
from hcs_lib.plates.consensus import IndexedPage
from hcs_lib.plates.formats import PlaneFile
from hcs_lib.plates.index import Channel, Plane, PlaneProblem, frames_of
from hcs_lib.plates.listing import ListedFile
from hcs_lib.plates.reading import read_plane


def split_repeated(files: Iterable[PlaneFile]) -> tuple[list[PlaneFile], list[PlaneProblem]]:
    """Leave out all files that share one address: none is chosen silently."""
    by_address: dict[tuple[object, ...], list[PlaneFile]] = {}
    for file in files:
        by_address.setdefault((file.well, file.site, file.channel, file.z, file.t), []).append(file)
    problems = [
        PlaneProblem.at("repeated", file, f"{len(group)} files are this one plane: {', '.join(f.file for f in group)}.")
        for group in by_address.values()
        if len(group) > 1
        for file in group
    ]
    return [group[0] for group in by_address.values() if len(group) == 1], problems


def split_absent(
    files: Iterable[PlaneFile], listed: Mapping[str, ListedFile]
) -> tuple[list[PlaneFile], list[PlaneProblem]]:
    """Leave out files that are recorded and not there."""
    there: list[PlaneFile] = []
    problems: list[PlaneProblem] = []
    for file in files:
        if file.file in listed:
            there.append(file)
        else:
            message = "the microscope recorded this plane, and its file is not there."
            problems.append(PlaneProblem.at("missing", file, message))
    return there, problems


def keep_majority(pages: list[IndexedPage]) -> tuple[list[IndexedPage], list[PlaneProblem]]:
    """Keep the planes of the shape, then of the dtype, that most have."""
    problems: list[PlaneProblem] = []
    for kind in ("shape", "dtype"):
        votes = Counter(getattr(page, kind) for _, page in pages)
        if len(votes) > 1:
            usual = votes.most_common(1)[0][0]
            odd = [(plane, getattr(page, kind)) for plane, page in pages if getattr(page, kind) != usual]
            problems += [
                PlaneProblem.at(kind, plane, f"{kind} {value}, most planes have {usual}.") for plane, value in odd
            ]
            pages = [indexed for indexed in pages if getattr(indexed.page, kind) == usual]
    return pages, problems


def drop_copies(folder: Path, pages: list[IndexedPage]) -> tuple[list[IndexedPage], list[PlaneProblem]]:
    """Keep the first of the planes of a stack that were taken at one height and time: the others are copies.

    An export repeats a channel that was taken once at every z-step of the others: such a stack would count one
    image several times. That the pixels are the same is looked at in the first such stack of each channel.
    """
    moments: dict[tuple[object, ...], list[Plane]] = {}
    for plane, page in pages:
        said = page.metadata
        if said and said.acquired and said.z_um is not None:
            stack = (plane.well, plane.site, plane.channel, plane.t)
            moments.setdefault((*stack, said.z_um, said.acquired), []).append(plane)
    repeated: dict[str, bool] = {}
    copies: dict[Plane, PlaneProblem] = {}
    for first, *others in moments.values():
        if others and first.channel not in repeated:
            repeated[first.channel] = len({_digest(folder, plane) for plane in (first, *others)}) == 1
        for plane in others if repeated.get(first.channel) else ():
            message = f"the same image as z {first.z}, taken once and exported again; not used."
            copies[plane] = PlaneProblem.at("repeated", plane, message, copy_of=first.file)
    return [indexed for indexed in pages if indexed.plane not in copies], list(copies.values())


def _digest(folder: Path, plane: Plane) -> str:
    try:
        return hashlib.sha256(read_plane(folder, plane.file, plane.page).tobytes()).hexdigest()
    except DataError:
        # Its header is sound and its pixels are not: execution will say so.
        return f"{plane.file}#{plane.page}"


def holes(
    wells: Sequence[str],
    sites: Sequence[int],
    channels: Sequence[Channel],
    zs: Sequence[int],
    pages: Sequence[IndexedPage],
    problems: Sequence[PlaneProblem],
) -> list[PlaneProblem]:
    """Return what is missing against the full grid of a plate of which there is no record."""
    frames = frames_of((plane for plane, _ in pages), problems, zs)
    there = {plane.address for plane, _ in pages} | {(p.well, p.site, p.channel, p.z, p.t) for p in problems}
    return [
        _missing(well, site, channel.id, z, t)
        for well, site, channel in product(wells, sites, channels)
        for z, t in frames.get(channel.id, ())
        if (well, site, channel.id, z, t) not in there and (well, site, channel.id, None, t) not in there
    ]


def _missing(well: str, site: int, channel: str, z: int, t: int) -> PlaneProblem:
    message = f"no file for site {site}, channel {channel}, z {z}, t {t}."
    return PlaneProblem(kind="missing", well=well, site=site, channel=channel, z=z, t=t, file=None, message=message)
