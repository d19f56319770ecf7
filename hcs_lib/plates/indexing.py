"""From a plate's folder to its index: names, headers, and what is missing. No pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.core.addresses import parse_well
from hcs_lib.core.canonical import digest_file
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.plates.listing import ListedFile, list_files, snapshot

if TYPE_CHECKING:
    from hcs_lib.plates.consensus import IndexedPage
    from hcs_lib.plates.formats import PlaneFile
    from hcs_lib.plates.index import Fingerprint, Plane, PlaneProblem, PlateIndex, ProblemKind
    from hcs_lib.plates.tiff import Page, PlaneError

__all__ = ["index_plate", "snapshot"]

_THREADS = 4
"""Headers are read by a few threads: on a network drive each costs a round trip."""


def index_plate(
    folder: Path,
    *,
    plate: str,
    format: str = "auto",  # noqa: A002
    pattern: str | None = None,
    fingerprint: Fingerprint = "stat",
    pixel_size_um: float | None = None,
) -> PlateIndex:
    """Index a plate: every plane whose header is sound, and everything that is absent or broken.

    Most planes decide on shape, dtype, pixel size and names; what differs is a problem. Files that share one
    address are all left out: none is chosen silently.

    Parameters
    ----------
    folder
        The plate's folder, or one that holds exactly one plate. Paths in the index are relative to it.
    plate
        The name of the plate in the results.
    format
        `auto`, `pattern`, or the name of a format.
    pattern
        The user's file names; see `hcs_lib.plates.formats.pattern`.
    fingerprint
        `content` adds the SHA-256 of every file.
    pixel_size_um
        Micrometres a pixel, in place of what the files say.

    Raises
    ------
    UserError
        Where there is no plate, there are several, or none of its planes can be read.
    """
    # Here, because `snapshot` is imported by programs that need nothing else.
    from hcs_lib.plates import consensus
    from hcs_lib.plates.index import PlateIndex, frames_of
    from hcs_lib.plates.locating import locate
    from hcs_lib.plates.sites import site_grid

    if pixel_size_um is not None and not 0 < pixel_size_um < float("inf"):
        raise UserError(Problem("pixel size", f"{pixel_size_um} um is none.", "Give micrometres a pixel, above 0."))
    files = list_files(folder)
    located = locate(folder, tuple(files), plate=plate, format=format, pattern=pattern)
    problems: list[PlaneProblem] = []
    if located.strays:
        message = f"{len(located.strays)} TIFF file(s) beside the planes have other names; not used. This is the first."
        problems.append(consensus.plate_problem("not_a_plane", located.strays[0], message))
    single, found = _split_repeated(located.planes)
    problems += found
    pages, found = _read(folder, single, files, fingerprint)
    problems += found
    pages, found = _keep_majority(pages)
    problems += found
    if not pages:
        raise UserError(_no_plane(folder, problems))
    channels, found = consensus.channels((file.channel for file in located.planes), pages)
    problems += found
    if pixel_size_um is None:
        pixel_size_um, found = consensus.pixel_size(pages)
        problems += found

    wells = sorted({file.well for file in located.planes}, key=parse_well)
    sites = sorted({file.site for file in located.planes})
    ts = sorted({file.t for file in located.planes})
    # Of files whose pages are z, only those that opened say how many there are.
    zs = sorted({file.z for file in located.planes if file.z is not None} | {plane.z for plane, _ in pages})
    if len(zs) == 1:
        problems = [p.model_copy(update={"z": zs[0]}) if p.well and p.z is None else p for p in problems]
    frames = frames_of((plane for plane, _ in pages), problems, zs)
    there = {plane.address for plane, _ in pages} | {(p.well, p.site, p.channel, p.z, p.t) for p in problems}
    problems += [
        _missing(well, site, channel.id, z, t)
        for well, site, channel in product(wells, sites, channels)
        for z, t in frames[channel.id]
        if (well, site, channel.id, z, t) not in there and (well, site, channel.id, None, t) not in there
    ]
    positions = consensus.stage_positions(pages)
    shape = pages[0].page.shape
    return PlateIndex(
        plate=plate,
        format=located.format,
        fingerprint=fingerprint,
        shape=shape,
        dtype=pages[0].page.dtype,
        pixel_size_um=pixel_size_um,
        z_spacing_um=consensus.z_spacing(pages),
        grid=site_grid(positions, len(sites), shape, pixel_size_um),
        wells=tuple(wells),
        sites=tuple(sites),
        channels=channels,
        z=tuple(zs),
        t=tuple(ts),
        positions=positions,
        planes=tuple(plane for plane, _ in pages),
        problems=tuple(sorted(problems, key=_problem_order)),
    )


def _split_repeated(files: Iterable[PlaneFile]) -> tuple[list[PlaneFile], list[PlaneProblem]]:
    by_address: dict[tuple[object, ...], list[PlaneFile]] = {}
    for file in files:
        by_address.setdefault((file.well, file.site, file.channel, file.z, file.t), []).append(file)
    problems = [
        _problem("repeated", file, f"{len(group)} files are this one plane: {', '.join(f.file for f in group)}.")
        for group in by_address.values()
        if len(group) > 1
        for file in group
    ]
    return [group[0] for group in by_address.values() if len(group) == 1], problems


def _read(
    folder: Path, files: Sequence[PlaneFile], listed: Mapping[str, ListedFile], fingerprint: Fingerprint
) -> tuple[list[IndexedPage], list[PlaneProblem]]:
    """Read every header once; pages come in the order of their addresses."""
    from hcs_lib.plates.consensus import IndexedPage
    from hcs_lib.plates.index import Plane
    from hcs_lib.plates.tiff import PlaneError, read_pages

    def read(file: PlaneFile) -> tuple[tuple[Page, ...], str | None] | PlaneError:
        path = folder / file.file
        try:
            pages = read_pages(path)
        except PlaneError as error:
            return error
        if file.z is not None and len(pages) > 1:
            return PlaneError("inconsistent", f"the file has {len(pages)} pages though its name gives z; expected one.")
        return pages, digest_file(path) if fingerprint == "content" else None

    found: list[IndexedPage] = []
    problems: list[PlaneProblem] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, result in zip(files, pool.map(read, files), strict=True):
            if isinstance(result, PlaneError):
                problems.append(_problem(result.kind, file, str(result)))
                continue
            pages, sha256 = result
            size, mtime_ns = listed[file.file]
            for z, page in enumerate(pages, start=1):
                plane = Plane(
                    well=file.well, site=file.site, channel=file.channel, z=z if file.z is None else file.z, t=file.t,
                    file=file.file, page=page.number, size=size, mtime_ns=mtime_ns, sha256=sha256,
                )  # fmt: skip
                found.append(IndexedPage(plane, page))
    return sorted(found, key=lambda indexed: _address_order(indexed.plane)), problems


def _keep_majority(pages: list[IndexedPage]) -> tuple[list[IndexedPage], list[PlaneProblem]]:
    """Keep the planes of the shape, then of the dtype, that most have."""
    problems: list[PlaneProblem] = []
    for kind in ("shape", "dtype"):
        votes = Counter(getattr(page, kind) for _, page in pages)
        if len(votes) > 1:
            usual = votes.most_common(1)[0][0]
            odd = [(plane, getattr(page, kind)) for plane, page in pages if getattr(page, kind) != usual]
            problems += [_problem(kind, plane, f"{kind} {value}, most planes have {usual}.") for plane, value in odd]
            pages = [indexed for indexed in pages if getattr(indexed.page, kind) == usual]
    return pages, problems


def _problem(kind: ProblemKind, at: PlaneFile | Plane, message: str) -> PlaneProblem:
    from hcs_lib.plates.index import PlaneProblem

    return PlaneProblem(
        kind=kind, well=at.well, site=at.site, channel=at.channel, z=at.z, t=at.t, file=at.file, message=message
    )


def _missing(well: str, site: int, channel: str, z: int, t: int) -> PlaneProblem:
    from hcs_lib.plates.index import PlaneProblem

    message = f"no file for site {site}, channel {channel}, z {z}, t {t}."
    return PlaneProblem(kind="missing", well=well, site=site, channel=channel, z=z, t=t, file=None, message=message)


def _no_plane(folder: Path, problems: Sequence[PlaneProblem]) -> Problem:
    shown = "; ".join(f"{problem.file}: {problem.message}" for problem in problems[:2])
    return Problem(str(folder), f"no plane of the plate can be used ({len(problems)} problem(s)). {shown}",
                   "Copy the plate again, or correct the pattern.")  # fmt: skip


def _address_order(plane: Plane) -> tuple[object, ...]:
    from hcs_lib.plates.consensus import natural

    return parse_well(plane.well), plane.site, natural(plane.channel), plane.z, plane.t


def _problem_order(problem: PlaneProblem) -> tuple[object, ...]:
    from hcs_lib.plates.consensus import natural

    well = parse_well(problem.well) if problem.well else (-1, -1)
    numbers = (-1 if number is None else number for number in (problem.site, problem.z, problem.t))
    return well, natural(problem.channel or ""), *numbers, problem.kind, problem.file or ""
