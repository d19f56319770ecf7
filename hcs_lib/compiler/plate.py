"""What the compiler knows of a plate: its index, read with the names of the pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hcs_lib.compiler.times import interval_s, time_offsets_s
from hcs_lib.contexts.context import PLATE, BadPlane, ImageMetadata, PlaneRef
from hcs_lib.core.domains import AXES, Coordinates, Domain, Site
from hcs_lib.core.errors import Problem, nearest
from hcs_lib.pipeline.loading import LoadedPipeline
from hcs_lib.plates.index import Channel, Extent, PlaneProblem, PlateIndex
from hcs_lib.plates.sites import site_grid
from hcs_lib.storage.colours import is_colour


def name_channels(pipeline: LoadedPipeline, index: PlateIndex) -> tuple[dict[str, Channel], list[Problem]]:
    """Return the plate's channels by the names that the pipeline uses, in the plate's order.

    A channel is found by its id, or else by the microscope's name for it. Channels that the pipeline does not
    name keep that name, or their id where the name is not theirs alone.
    """
    by_id = {channel.id: channel for channel in index.channels}
    count = Counter(channel.name for channel in index.channels)
    by_name = {channel.name: channel for channel in index.channels if count[channel.name] == 1}
    given: dict[str, str] = {}
    problems = []
    for name, wanted in pipeline.model.channels.items():
        where = pipeline.where("channels", name)
        channel = by_id.get(wanted) or by_name.get(wanted)
        if channel is None:
            known = [f"{c.id} ({c.name})" if c.name != c.id else c.id for c in index.channels]
            hint = nearest(wanted, [*by_id, *by_name]) or f"It has {', '.join(known)}."
            problems.append(Problem(where, f"Plate '{index.plate}' has no channel '{wanted}'.", hint))
        elif channel.id in given:
            problems.append(
                Problem(where, f"Channel '{wanted}' of plate '{index.plate}' is named '{given[channel.id]}' already.")
            )
        else:
            given[channel.id] = name
    names = {channel.id: given.get(channel.id, index.channel_names[channel.id]) for channel in index.channels}
    repeated = [name for name, times in Counter(names.values()).items() if times > 1]
    problems += [
        Problem(
            pipeline.where("channels"),
            f"Two channels of plate '{index.plate}' are called '{name}'.",
            f"Name both under `channels`, by their ids: {', '.join(key for key in names if names[key] == name)}.",
        )
        for name in repeated
    ]
    return {names[channel.id]: channel for channel in index.channels}, problems


def group_by_extent(index: PlateIndex, wells: Iterable[str]) -> dict[Extent, tuple[str, ...]]:
    """Group wells by the sites and time points at which they were imaged, or were to be."""
    groups: dict[Extent, tuple[str, ...]] = {}
    for well in wells:
        extent = index.extents[well]
        groups[extent] = (*groups.get(extent, ()), well)
    return groups


@dataclass(frozen=True)
class PlateView:
    """A plate as the pipeline sees it, for wells of one extent.

    `pixel_size_um` is the user's where they gave one.
    """

    index: PlateIndex
    channels: Mapping[str, Channel]
    extent: Extent
    pixel_size_um: float | None

    @cached_property
    def whole(self) -> PlateView:
        """The plate as its own steps see it, whatever wells are looked at."""
        return replace(self, extent=Extent(self.index.sites, self.index.t))

    @cached_property
    def domain(self) -> Domain:
        """The full grid: every site, channel, z-plane and time point of a well."""
        return Domain(self.extent.sites, tuple(self.channels), self.index.z, self.extent.t)

    def grid(self, wells: Iterable[str]) -> tuple[int, int] | None:
        """Return rows and columns of the sites of wells: the plate's or, where they have fewer sites, their own."""
        if self.extent.sites == self.index.sites:
            return self.index.grid
        inside = frozenset(wells)
        positions = (position for position in self.index.positions if position.well in inside)
        return site_grid(positions, len(self.extent.sites), self.index.shape, self.pixel_size_um)

    def time_interval_s(self, points: Sequence[int | None]) -> float | None:
        """Return the seconds from one of some time points to the next; None where unknown or uneven."""
        return interval_s(self._offsets_s, points)

    @cached_property
    def _offsets_s(self) -> dict[int, float]:
        return time_offsets_s(self.index)

    def sites_of_wells(self, wells: Container[str], sample: int | None) -> tuple[Site, ...]:
        """Return the sites of some wells, as the plate's scope names them: all, or so many, spread evenly."""
        sites = [
            f"{well}/{site}" for well in self.index.wells if well in wells for site in self.index.extents[well].sites
        ]
        if sample is None or sample >= len(sites):
            return tuple(sites)
        return tuple(sites[number * len(sites) // sample] for number in range(sample))

    def frames(self, channel: str) -> Domain | None:
        """Return the z-planes and time points of a channel; None where not every one of both was taken."""
        found = {frame for frame in self.index.frames[self.channels[channel].id] if frame[1] in self.extent.t}
        zs, ts = ({pair[axis] for pair in found} for axis in (0, 1))
        domain = Domain(
            self.extent.sites,
            (channel,),
            tuple(z for z in self.index.z if z in zs),
            tuple(t for t in self.extent.t if t in ts),
        )
        return domain if found and len(found) == len(zs) * len(ts) else None

    @cached_property
    def _names(self) -> dict[str, str]:
        return {channel.id: name for name, channel in self.channels.items()}

    def metadata(self, well: str, channels: tuple[str, ...]) -> ImageMetadata:
        """Return what travels with the pixels of a well."""
        colours = [self.channels[name].colour for name in channels]
        return ImageMetadata(
            pixel_size_um=self.pixel_size_um,
            z_spacing_um=self.index.z_spacing_um,
            channel_names=channels,
            wavelengths_nm=tuple(self.channels[name].wavelength_nm for name in channels),
            colours=tuple(colour if colour and is_colour(colour) else None for colour in colours),
            positions_um=self._positions.get(well, ()),
        )

    def positions(self, well: str) -> dict[Site | None, tuple[float, float]]:
        """Return where the sites of a well have their centres, (y, x) in micrometres, as far as the plate tells."""
        return {site: (y, x) for site, x, y in self._positions.get(well, ())}

    @cached_property
    def _positions(self) -> dict[str, tuple[tuple[int, float, float], ...]]:
        found: dict[str, tuple[tuple[int, float, float], ...]] = {}
        for position in self.index.positions:
            found[position.well] = (*found.get(position.well, ()), (position.site, position.x_um, position.y_um))
        return found

    def planes(self, axis_id: str, needed: frozenset[Coordinates]) -> tuple[tuple[PlaneRef, ...], tuple[BadPlane, ...]]:
        """Return the planes of a well that are needed and there, and what is wrong with the others.

        For `plate`, those of all wells, under the names that their sites have in the plate's scope.
        """
        if axis_id != PLATE:
            return self._planes(axis_id, needed)
        by_well: dict[str, set[Coordinates]] = {}
        for at in needed:
            well, _, site = str(at.site).partition("/")
            by_well.setdefault(well, set()).add(at._replace(site=int(site)))
        refs: list[PlaneRef] = []
        bad: list[BadPlane] = []
        for well in (well for well in self.index.wells if well in by_well):
            there, wrong = self._planes(well, frozenset(by_well[well]))
            refs += [ref.model_copy(update={"site": f"{well}/{ref.site}"}) for ref in there]
            for problem in wrong:
                # What is wrong with a whole well is wrong with each of its sites that are looked at.
                about = {at.site for at in by_well[well]} if problem.site is None else {problem.site}
                bad += [
                    problem.model_copy(update={"site": f"{well}/{site}", "message": f"well {well}: {problem.message}"})
                    for site in sorted(about, key=str)
                ]
        return tuple(refs), tuple(bad)

    def _planes(self, well: str, needed: frozenset[Coordinates]) -> tuple[tuple[PlaneRef, ...], tuple[BadPlane, ...]]:
        refs = []
        missing = set(needed)
        for plane in self.index.planes_by_well[well]:
            coordinates = Coordinates(plane.site, self._names[plane.channel], plane.z, plane.t)
            if coordinates in missing:
                missing.remove(coordinates)
                refs.append(
                    PlaneRef(
                        site=plane.site,
                        channel=self._names[plane.channel],
                        z=plane.z,
                        t=plane.t,
                        file=plane.file,
                        page=plane.page,
                        size=plane.size,
                        mtime_ns=plane.mtime_ns if plane.sha256 is None else None,
                        sha256=plane.sha256,
                    )
                )
        return tuple(refs), tuple(self._bad(well, missing)) if missing else ()

    def _bad(self, well: str, missing: set[Coordinates]) -> Iterator[BadPlane]:
        explained: set[Coordinates] = set()
        for problem in self.index.problems_by_well[well]:
            place = self._place(problem)
            about = {
                coordinates
                for coordinates in missing
                if all(getattr(place, axis) in (None, getattr(coordinates, axis)) for axis in AXES)
            }
            if about:
                explained |= about
                yield BadPlane(**place._asdict(), kind=problem.kind, file=problem.file, message=problem.message)
        for coordinates in sorted(missing - explained, key=str):
            where = ", ".join(f"{axis} {getattr(coordinates, axis)}" for axis in AXES)
            yield BadPlane(**coordinates._asdict(), kind="missing", file=None, message=f"There is no plane at {where}.")

    def _place(self, problem: PlaneProblem) -> Coordinates:
        channel = self._names.get(problem.channel, problem.channel) if problem.channel is not None else None
        return Coordinates(problem.site, channel, problem.z, problem.t)
