"""Collect: from the receipts and tables of wells to the tables of a plate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcs_lib.contexts.columns import COUNT, WELL_COLUMNS
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.files import locked
from hcs_lib.plates.platemap import read_platemap
from hcs_lib.screening.objects import link_objects, write_objects
from hcs_lib.screening.sites import SiteQuality, flagged_sites, measured_quality, write_sites
from hcs_lib.screening.tidy import tidy
from hcs_lib.screening.wells import WellResult, load_results
from hcs_lib.storage.collected import write_csv

FAILURE_COLUMNS = ("plate", "well", "site", "stage", "step", "kind", "counts", "reason")

WAIT_SECONDS = 600.0
"""How long to wait for another process that collects the same plate."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected: wells by status, objects, sites left out.

    `not_imaged` are wells of the platemap without images, `not_mapped` wells that the platemap does not name.
    """

    plate: str
    wells: dict[str, int]
    objects: int
    sites_left_out: int
    not_imaged: tuple[str, ...]
    not_mapped: tuple[str, ...]


def collect_plate(folder: Path) -> Collected:
    """Write the tables of one plate and complete its store.

    Writes `tables/objects.parquet`, `sites.parquet`, `wells.csv` and `failures.csv`, completes the plate's
    OME-Zarr metadata with the wells that are done and its table of objects, and removes what the plan no longer names.

    Processes that collect the same plate do it one after another, each from what there is when its turn comes: what a
    killed run left behind does not write over what is newer.

    Parameters
    ----------
    folder
        The plate's results, `results/{plate}`.

    Raises
    ------
    UserError
        Where the plate was not compiled, or a well not executed.
    MachineError
        Where another process collects the plate, and does not end.
    """
    PlatePlan.load(folder / "plan.json")  # Before anything is written: this is a plate's folder.
    lock = folder / ".collect.lock"
    with locked(lock, "another process collects this plate.", WAIT_SECONDS):
        try:
            return _collect(folder)
        finally:
            lock.unlink()


def _collect(folder: Path) -> Collected:
    plan = PlatePlan.load(folder / "plan.json")
    results = load_results(folder, plan)
    tables = folder / "tables"
    medians, objects = write_objects(folder, plan, results)
    quality = measured_quality(folder, plan, results)
    write_sites(tables / "sites.parquet", plan, results, quality)
    platemap = read_platemap(Path(plan.platemap)) if plan.platemap else None
    _write_wells(tables / "wells.csv", plan, results, platemap.wells if platemap else {}, medians, quality)
    write_csv(tables / "failures.csv", FAILURE_COLUMNS, _failures(plan, results))
    tidy(folder, plan, results)
    link_objects(folder, plan)
    statuses = [result.status for result in results]
    return Collected(
        plan.plate,
        {status: statuses.count(status) for status in ("done", "failed", "skipped")},
        objects,
        sum(site.status != "done" for result in results if result.status == "done" for site in result.sites),
        platemap.not_imaged(plan.imaged) if platemap else (),
        tuple(well for well in plan.wells if well not in platemap.wells) if platemap else (),
    )


def _write_wells(
    path: Path,
    plan: PlatePlan,
    results: list[WellResult],
    platemap: Mapping[str, Mapping[str, str]],
    medians: Mapping[str, Mapping[str, float]],
    quality: SiteQuality,
) -> None:
    """One row per well: fate, platemap, flagged sites, counts, medians over its objects."""
    counts = [f"{COUNT}{label}" for label in plan.labels]
    flagged = list(flagged_sites(plan, quality, []))
    own = [*WELL_COLUMNS, *flagged, *counts]
    features = list(next((row for row in medians.values()), {}))
    taken = {*own, *features}
    mapped = {name: f"platemap_{name}" if name in taken else name for row in platemap.values() for name in row}
    mapped.pop("well", None)
    rows = []
    for result in results:
        done = [site for site in result.sites if site.status == "done"] if result.status == "done" else []
        row: dict[str, Any] = {
            "plate": plan.plate,
            "well": result.well,
            "status": result.status,
            "reason": result.last.reason,
            "sites": len(done),
            "sites_left_out": len(result.sites) - len(done),
        }
        row |= {mapped[name]: value for name, value in platemap.get(result.well, {}).items() if name in mapped}
        if done:
            row |= flagged_sites(plan, quality, [(result.well, site.site) for site in done])
            row |= {f"{COUNT}{label}": result.counts.get(label) for label in plan.labels}
        rows.append(row | dict(medians.get(result.well, {})))
    columns = [*own[:4], *mapped.values(), *own[4:], *features]
    write_csv(path, columns, rows)


def _failures(plan: PlatePlan, results: list[WellResult]) -> list[dict[str, Any]]:
    """One row per failed well and per site left out of a well that is done."""
    rows: list[dict[str, Any]] = []
    for result in results:
        base = {"plate": plan.plate, "well": result.well, "stage": result.last.stage}
        if result.failure is not None:
            failure = result.failure
            rows.append(
                base
                | {"site": failure.site, "step": failure.step, "kind": failure.kind, "reason": failure.message}
                | {"counts": "yes" if result.status == "failed" else "no"}
            )
        else:
            rows += [
                base | {"site": site.site, "kind": "site_left_out", "counts": "no", "reason": site.reason}
                for site in result.sites
                if site.status != "done"
            ]
    return rows
