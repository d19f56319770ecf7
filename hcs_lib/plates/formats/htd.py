"""The `.HTD` of MetaXpress: what was asked of the microscope. Not UTF-8 where a comment is not ASCII."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from hcs_lib.core.addresses import Well, well_name
from hcs_lib.plates.formats.base import PlaneFile, PlateFacts
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.vendorfiles import VendorFileError, read_text_file, whole

_LARGEST = {"XWells": 48, "YWells": 32, "XSites": 100, "YSites": 100, "NWavelengths": 100}
"""More than these are no plate: the file is damaged."""


class Settings(NamedTuple):
    """What an `.HTD` asks for: channels by id with their names, wells, time points, and the grid of a well's sites."""

    file: str
    channels: Mapping[str, str]
    wells: tuple[str, ...]
    time_points: int
    facts: PlateFacts

    def compare(self, planes: Iterable[PlaneFile]) -> Iterator[PlaneProblem]:
        """Tell the wells, sites, channels and time points that were asked for and of which there is no file."""
        found = list(planes)
        rows, columns = self.facts.grid or (0, 0)
        for site in sorted(set(range(1, rows * columns + 1)) - {plane.site for plane in found}):
            message = f"{self.file} asks for site {site}; no well has a file of it."
            yield PlaneProblem(kind="missing", site=site, message=message)
        for channel in sorted(self.channels.keys() - {plane.channel for plane in found}):
            message = f"{self.file} asks for channel {channel} ({self.channels[channel]}); it has no file."
            yield PlaneProblem(kind="missing", channel=channel, message=message)
        wells, last = {plane.well for plane in found}, max((plane.t for plane in found), default=0)
        for well in self.wells:
            if well not in wells:
                yield PlaneProblem(kind="missing", well=well, message=f"{self.file} names this well; it has no file.")
        if last < self.time_points:
            message = f"stopped: {self.time_points} time points were asked for, files are there of {last}."
            yield PlaneProblem(kind="stopped", file=self.file, message=message)


def read(path: Path, file: str) -> Settings:
    """Read an `.HTD`; `file` is its name in messages.

    Raises
    ------
    VendorFileError
        Where the file cannot be read, or is no HTD.
    """
    try:
        rows = list(csv.reader(read_text_file(path).splitlines(keepends=True), skipinitialspace=True))
    except csv.Error as error:
        raise VendorFileError(f"it is no sound HTD: {error}.") from None
    if not rows or rows[0][:1] != ["HTSInfoFile"]:
        raise VendorFileError("it is no HTD: its first line is not HTSInfoFile.")
    said = {row[0]: [value.strip() for value in row[1:]] for row in rows if row}

    def count(key: str, otherwise: int) -> int:
        value = whole(said[key][0]) if said.get(key) else otherwise
        if value is None or not 0 < value <= _LARGEST.get(key, 2**31):
            raise VendorFileError(f"{key} is {', '.join(said[key])}, expected a number from 1.")
        return value

    def chosen(key: str, columns: int) -> list[bool]:
        return [value.upper() == "TRUE" for value in said.get(key, [])[:columns]]

    columns, rows_of_sites = count("XSites", 1), count("YSites", 1)
    if chosen("Sites", 1) == [False]:
        columns = rows_of_sites = 1
    full = all(all(chosen(f"SiteSelection{row + 1}", columns)) for row in range(rows_of_sites))
    wells = [
        well_name(Well(row, column))
        for row in range(count("YWells", 1))
        for column, imaged in enumerate(chosen(f"WellsSelection{row + 1}", count("XWells", 1)))
        if imaged
    ]
    names = {
        str(n): said[f"WaveName{n}"][0] for n in range(1, count("NWavelengths", 1) + 1) if said.get(f"WaveName{n}")
    }
    facts = PlateFacts(grid=(rows_of_sites, columns) if full else None)
    return Settings(
        file, {id_: name for id_, name in names.items() if name}, tuple(wells), count("TimePoints", 1), facts
    )
