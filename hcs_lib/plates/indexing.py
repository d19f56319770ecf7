"""From a plate's folder to its index: names, headers, and what is missing. No pixel is read but to tell copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.addresses import parse_well
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.plates.listing import ListedFile, list_files, snapshot, stats_of

if TYPE_CHECKING:
    from hcs_lib.plates.consensus import IndexedPage
    from hcs_lib.plates.formats import PlaneFile, PlateFacts
    from hcs_lib.plates.index import Channel, Fingerprint, PlaneProblem, PlateIndex, StagePosition
    from hcs_lib.plates.locating import Located
    from hcs_lib.plates.tiff import Page, PlaneError

__all__ = ["index_plate", "snapshot"]


def index_plate(
    folder: Path,
    *,
    plate: str,
    format: str = "auto",  # noqa: A002
    pattern: str | None = None,
    fingerprint: Fingerprint = "stat",
    pixel_size_um: float | None = None,
    cache: Path | None = None,
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
    cache
        A file that keeps headers: those of unchanged files are not read again.

    Raises
    ------
    UserError
        Where there is no plate, there are several, or none of its planes can be read.
    """
    # Here, because `snapshot` is imported by programs that need nothing else.
    from hcs_lib.plates import checks, consensus
    from hcs_lib.plates.index import PlaneProblem, PlateIndex
    from hcs_lib.plates.locating import locate

    if pixel_size_um is not None and not 0 < pixel_size_um < float("inf"):
        raise UserError(Problem("pixel size", f"{pixel_size_um} um is none.", "Give micrometres a pixel, above 0."))
    files = list_files(folder)
    located = locate(folder, tuple(files), plate=plate, format=format, pattern=pattern)
    problems: list[PlaneProblem] = [*located.problems]
    if located.strays:
        message = f"{len(located.strays)} TIFF file(s) beside the planes are none of them; not used. This is the first."
        problems.append(PlaneProblem(kind="not_a_plane", file=located.strays[0], message=message))
    entries = stats_of(files, (plane.file for plane in located.planes))
    single, found = checks.split_repeated(located.planes)
    problems += found
    there, found = checks.split_absent(single, entries)
    problems += found
    pages, found = _read(folder, there, entries, fingerprint, cache)
    problems += found
    pages, found = checks.keep_majority(pages)
    problems += found
    pages, found = checks.drop_copies(folder, pages)
    problems += found
    shape = pages[0].page.shape if pages else located.facts.shape
    dtype = pages[0].page.dtype if pages else located.facts.dtype
    if shape is None or dtype is None:
        raise UserError(_no_plane(folder, problems))
    facts = [consensus.Said(plane, page.metadata) for plane, page in pages if page.metadata]
    # Of files that are absent or broken their record tells something too.
    opened = {plane.file for plane, _ in pages}
    facts += [consensus.Said(file, file.metadata) for file in single if file.metadata and file.file not in opened]
    # A well whose one file is broken is one of the plate, and lacks everything.
    errors = [p for p in located.problems if p.kind == "error_record" or (p.well and p.file)]
    addressed: list[PlaneFile | PlaneProblem] = [*located.planes, *errors]
    ids = [file.channel for file in located.planes] + [p.channel for p in errors if p.channel is not None]
    channels, found = consensus.channels(ids, facts)
    problems += found
    if pixel_size_um is None:
        pixel_size_um, found = consensus.pixel_size(facts)
        problems += found

    wells = sorted({p.well for p in addressed if p.well}, key=parse_well)
    sites = sorted({p.site for p in addressed if p.site is not None})
    ts = sorted({p.t for p in addressed if p.t is not None})
    # Of files whose pages are z, only those that opened say how many there are.
    known = {p.z for p in addressed if p.z is not None}
    zs = sorted(known | {plane.z for plane, _ in pages})
    if len(zs) == 1:
        problems = [p.model_copy(update={"z": zs[0]}) if p.site is not None and p.z is None else p for p in problems]
    if not located.recorded:
        problems += checks.holes(wells, sites, channels, zs, pages, problems)
    positions = consensus.stage_positions(facts)
    return PlateIndex(
        plate=plate,
        format=located.format,
        fingerprint=fingerprint,
        shape=shape,
        dtype=dtype,
        pixel_size_um=pixel_size_um,
        z_spacing_um=consensus.z_spacing(facts),
        grid=_grid(located, positions, len(sites), shape, pixel_size_um),
        projected=located.facts.projected,
        wells=tuple(wells),
        sites=tuple(sites),
        channels=_with_profiles(channels, located.facts),
        z=tuple(zs),
        t=tuple(ts),
        positions=positions,
        planes=tuple(plane for plane, _ in pages),
        problems=tuple(sorted(problems, key=_problem_order)),
    )


def _grid(
    located: Located,
    positions: Sequence[StagePosition],
    sites: int,
    shape: tuple[int, int],
    pixel_size_um: float | None,
) -> tuple[int, int] | None:
    """Return the grid of a well's sites: as positions show or, without them, as the microscope was asked for."""
    from hcs_lib.plates.sites import site_grid

    asked = located.facts.grid
    measured = site_grid(positions, sites, shape, pixel_size_um)
    return measured or (asked if asked and asked[0] * asked[1] == sites else None)


def _with_profiles(channels: Iterable[Channel], facts: PlateFacts) -> tuple[Channel, ...]:
    return tuple(
        channel.model_copy(
            update={"flat_field": facts.flat_fields.get(channel.id), "dark": facts.darks.get(channel.id)}
        )
        for channel in channels
    )


def _read(
    folder: Path,
    files: Sequence[PlaneFile],
    listed: Mapping[str, ListedFile],
    fingerprint: Fingerprint,
    cache: Path | None,
) -> tuple[list[IndexedPage], list[PlaneProblem]]:
    """Read every header once; pages come in the order of their addresses."""
    from hcs_lib.plates.consensus import IndexedPage, natural
    from hcs_lib.plates.headers import read_all
    from hcs_lib.plates.index import Plane, PlaneProblem
    from hcs_lib.plates.metadata import merge
    from hcs_lib.plates.reading import digest_plane
    from hcs_lib.plates.tiff import PlaneError

    headers = read_all(folder, [file.file for file in files], listed, cache)
    hashes: dict[str, str] = {}
    found: list[IndexedPage] = []
    problems: list[PlaneProblem] = []
    for file in files:
        header = headers[file.file]
        pages = header if isinstance(header, PlaneError) else _pages_of(file, header)
        if isinstance(pages, PlaneError):
            problems.append(PlaneProblem.at(pages.kind, file, str(pages)))
            continue
        if fingerprint == "content" and file.file not in hashes:
            hashes[file.file] = digest_plane(folder, file.file)
        size, mtime_ns = listed[file.file]
        for z, page in enumerate(pages, start=1):
            metadata = merge(file.metadata, page.metadata)
            plane = Plane(
                well=file.well, site=file.site, channel=file.channel, z=z if file.z is None else file.z, t=file.t,
                file=file.file, page=page.number, size=size, mtime_ns=mtime_ns, sha256=hashes.get(file.file),
                acquired=metadata.acquired if metadata else None,
            )  # fmt: skip
            found.append(IndexedPage(plane, page if metadata is page.metadata else page._replace(metadata=metadata)))
    wells = _ranks({plane.well for plane, _ in found}, parse_well)
    channels = _ranks({plane.channel for plane, _ in found}, natural)

    def order(indexed: IndexedPage) -> tuple[int, int, int, int, int]:
        plane = indexed.plane
        return wells[plane.well], plane.site, channels[plane.channel], plane.z, plane.t

    return sorted(found, key=order), problems


def _ranks(values: Iterable[str], key: Callable[[str], Any]) -> dict[str, int]:
    return {value: rank for rank, value in enumerate(sorted(values, key=key))}


def _pages_of(file: PlaneFile, pages: tuple[Page, ...]) -> tuple[Page, ...] | PlaneError:
    """Return the pages that are the planes of a file."""
    from hcs_lib.plates.tiff import PlaneError

    if file.page is not None:
        chosen = tuple(page for page in pages if page.number == file.page)
        if chosen and chosen[0].fault:
            return chosen[0].fault
        return chosen or PlaneError("inconsistent", f"the file has no page {file.page}, which its metadata name.")
    if file.z is not None and len(pages) > 1:
        return PlaneError("inconsistent", f"the file has {len(pages)} pages though its name gives z; expected one.")
    return pages


def _no_plane(folder: Path, problems: Sequence[PlaneProblem]) -> Problem:
    shown = "; ".join(f"{problem.file}: {problem.message}" for problem in problems[:2])
    return Problem(str(folder), f"no plane of the plate can be used ({len(problems)} problem(s)). {shown}",
                   "Copy the plate again, or correct the pattern.")  # fmt: skip


def _problem_order(problem: PlaneProblem) -> tuple[object, ...]:
    from hcs_lib.plates.consensus import natural

    well = parse_well(problem.well) if problem.well else (-1, -1)
    numbers = (-1 if number is None else number for number in (problem.site, problem.z, problem.t))
    return well, natural(problem.channel or ""), *numbers, problem.kind, problem.file or ""
