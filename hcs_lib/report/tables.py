"""The tables of a plate, as pictures and pages read them. A table that is not there is an empty one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.screening.welltable import WellTable, read_wells
from hcs_lib.storage.collected import read_csv
from hcs_lib.storage.tables import read_table

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, np.dtype[np.float64]]


class Table(NamedTuple):
    """Rows as text, as a CSV file holds them."""

    columns: tuple[str, ...] = ()
    rows: tuple[dict[str, str], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a CSV file; none is an empty table."""
        try:
            header, rows = read_csv(path)
        except FileNotFoundError:
            return cls()
        return cls(tuple(header), tuple(dict(zip(header, row, strict=True)) for row in rows))


def number(text: str | None) -> float:
    """Return the number of a cell; NaN where there is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


@dataclass(frozen=True)
class Plate:
    """A collected plate: its plan and its tables."""

    folder: Path
    plan: PlatePlan
    wells: WellTable
    failures: Table
    quality: Table
    curves: Table
    hits: Table

    @property
    def name(self) -> str:
        """Name of the plate."""
        return self.plan.plate

    @property
    def mapped(self) -> tuple[str, ...]:
        """Columns of the wells that come from the platemap."""
        columns = list(self.wells.text)
        return tuple(columns[columns.index("reason") + 1 : columns.index("sites")])

    @property
    def count_column(self) -> str | None:
        """The column with the number of primary objects."""
        label = self.plan.table.primary if self.plan.table else next(iter(self.plan.labels), None)
        return f"count_{label}" if f"count_{label}" in self.wells.features else None

    @cached_property
    def statuses(self) -> Counter[str]:
        """Wells by status: `done`, `failed`, `skipped`."""
        return Counter(self.wells.column("status"))

    @cached_property
    def sites(self) -> list[dict[str, Any]]:
        """One row per site, with flags of image quality where they were measured."""
        path = self.folder / "tables" / "sites.parquet"
        rows: list[dict[str, Any]] = read_table(path).to_pylist() if path.exists() else []
        return rows

    def quality_of(self, feature: str) -> dict[str, str]:
        """Return the row of the assay quality of a feature; an empty one where there is none."""
        return next((row for row in self.quality.rows if row["feature"] == feature), {})

    def site_flags(self) -> list[tuple[str, int, int]]:
        """Return (flag, sites that carry it, sites that were measured), in the order of the table."""
        found = []
        for name in self.sites[0] if self.sites else ():
            if name.startswith("flag_"):
                measured = [site[name] for site in self.sites if site[name] is not None]
                found.append((name.removeprefix("flag_"), sum(measured), len(measured)))
        return found

    @property
    def flagged(self) -> tuple[int, int]:
        """Sites with any flag, and sites that were measured."""
        measured = max((measured for *_, measured in self.site_flags()), default=0)
        return sum(bool(site.get("flags")) for site in self.sites), measured


def load_plate(folder: Path) -> Plate:
    """Read what the workflow has made of a plate so far.

    Parameters
    ----------
    folder
        The plate's results, `results/{plate}`.

    Raises
    ------
    UserError
        Where the plate was not collected.
    """
    tables = folder / "tables"
    plan = PlatePlan.load(folder / "plan.json")
    names = ("failures", "assay_quality", "dose_response", "hits")
    return Plate(
        folder, plan, read_wells(tables / "wells.csv"), *(Table.read(tables / f"{name}.csv") for name in names)
    )


def headline(plate: Plate, limit: int = 6) -> tuple[str, ...]:
    """Return the features to show first.

    Those that the pipeline derives, which are the user's own readouts; then the three that part the controls best;
    then the number of objects. A plate with none of these shows the first that were measured.
    """
    best = [row["feature"] for row in plate.quality.rows[:3] if row["z_prime"]]
    count = plate.count_column
    wanted = [*[*plate.plan.derived, *best][: limit - 1], *([count] if count else [])]
    found = [name for name in dict.fromkeys(wanted) if name in plate.wells.features]
    return tuple(found or plate.wells.features[:limit])
