"""The table of sites of a plate: what became of each, its image quality, and its flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.contexts.columns import SITE
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.screening.flags import flag_sites
from hcs_lib.screening.wells import WellResult
from hcs_lib.storage.tables import read_table, write_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Site = tuple[str, int | str]
"""Well and number of the site in it."""


@dataclass(frozen=True)
class SiteQuality:
    """Image quality of the sites where it was measured.

    Attributes
    ----------
    sites
        In the order of the plate.
    columns
        Column → float64 array of one value per site; NaN where a site has none.
    flags
        Site → flag → channels, for sites that are flagged.
    kinds
        Flags that are on.
    """

    sites: tuple[Site, ...]
    columns: Mapping[str, npt.NDArray[np.float64]]
    flags: Mapping[Site, Mapping[str, tuple[str, ...]]]
    kinds: tuple[str, ...]

    def only(self, kinds: Sequence[str]) -> SiteQuality:
        """Return the same with some flags alone."""
        flags = {
            site: {flag: channels for flag, channels in found.items() if flag in kinds}
            for site, found in self.flags.items()
            if not found.keys().isdisjoint(kinds)
        }
        return SiteQuality(self.sites, self.columns, flags, tuple(kind for kind in self.kinds if kind in kinds))

    def reasons(self, site: Site) -> str:
        """Return the flags of a site with their channels: `blurred DNA; dim DNA, GFP`."""
        return "; ".join(f"{flag} {', '.join(channels)}" for flag, channels in self.flags.get(site, {}).items())


def measured_quality(folder: Path, plan: PlatePlan, results: Sequence[WellResult]) -> SiteQuality:
    """Read the image quality of every site from the tables of wells, and flag the sites.

    A site's value is the mean over its z-planes and time points, where it has several and no step made one of them.
    Wells that failed in a later stage count too, so that flags are the same before and after it.
    """
    import numpy as np

    rows: dict[Site, list[Mapping[str, float]]] = {}
    for result in results:
        for path in _parts(folder, plan, result):
            for row in read_table(path).to_pylist():
                rows.setdefault((result.well, row[SITE]), []).append(row)
    named = plan.site_table.columns if plan.site_table else ()
    own = (name for found in rows.values() for name in found[0] if not name.startswith("Metadata_"))
    columns = {
        name: np.array([_mean([row.get(name) for row in found]) for found in rows.values()], np.float64)
        for name in dict.fromkeys((*named, *own))
    }
    flags: dict[Site, dict[str, tuple[str, ...]]] = {}
    sites = tuple(rows)
    for flag, channels in flag_sites(columns, plan.qc_flags).items():
        for channel, flagged in channels.items():
            for index in np.flatnonzero(flagged):
                here = flags.setdefault(sites[index], {})
                here[flag] = (*here.get(flag, ()), channel)
    return SiteQuality(sites, columns, flags, tuple(plan.qc_flags))


def _parts(folder: Path, plan: PlatePlan, result: WellResult) -> list[Path]:
    if plan.site_table is None:
        return []
    return [
        folder / output.path
        for receipt in result.receipts
        for output in receipt.outputs
        if output.kind == "table" and output.name == plan.site_table.name
    ]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None and value == value]  # NaN is not itself
    return sum(known) / len(known) if known else float("nan")


def write_sites(path: Path, plan: PlatePlan, results: Sequence[WellResult], quality: SiteQuality) -> None:
    """Write `sites.parquet`: one row per site.

    Where image quality is measured, its columns follow, then `flag_…` (null where a site was not measured) and
    `flags`, which says in words which channels they are for.
    """
    import pyarrow as pa

    rows = [(result.well, site) for result in results for site in result.sites]
    columns: dict[str, Any] = {
        "plate": pa.array([plan.plate] * len(rows), pa.string()),
        "well": pa.array([well for well, _ in rows], pa.string()),
        "site": pa.array([site.site for _, site in rows], pa.int32()),
        "status": pa.array([site.status for _, site in rows], pa.string()),
        "reason": pa.array([site.reason for _, site in rows], pa.string()),
        "planes": pa.array([site.planes for _, site in rows], pa.int32()),
    }
    for label in plan.labels:
        columns[f"count_{label}"] = pa.array([site.counts.get(label) for _, site in rows], pa.int64())
    if plan.site_table is not None:
        at = {site: index for index, site in enumerate(quality.sites)}
        places = [at.get((well, site.site)) for well, site in rows]
        for name, values in quality.columns.items():
            known = values.tolist()
            columns[name] = pa.array([None if place is None else known[place] for place in places], pa.float64())
        for flag in quality.kinds:
            flagged = [flag in quality.flags.get(site, {}) for site in quality.sites]
            columns[f"flag_{flag}"] = pa.array(
                [None if place is None else flagged[place] for place in places], pa.bool_()
            )
        columns["flags"] = pa.array([quality.reasons((well, site.site)) for well, site in rows], pa.string())
    write_table(path, pa.table(columns))


def flagged_sites(plan: PlatePlan, quality: SiteQuality, sites: Sequence[Site]) -> dict[str, int]:
    """Return how many of some sites are flagged, and how many by each flag: columns of `wells.csv`."""
    if plan.site_table is None:
        return {}
    flags = [quality.flags[site] for site in sites if site in quality.flags]
    return {"sites_flagged": len(flags)} | {
        f"sites_{flag}": sum(flag in found for found in flags) for flag in quality.kinds
    }
