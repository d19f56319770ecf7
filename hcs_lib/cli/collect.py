"""`hcs collect` and `hcs verdict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_PLATE = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@_PLATE
def collect(folder: Path) -> None:
    """Write the tables of a plate from its executed wells. FOLDER is results/PLATE.

    \b
    tables/objects.parquet   one row per object, derived features included
    tables/sites.parquet     one row per site: planes, counts, why it was left out
    tables/wells.csv         one row per well: platemap, counts, medians
    tables/failures.csv      what failed, and why

    The plate's OME-Zarr store is completed, with the table of objects, and what no finished well names is removed
    from it.
    """  # noqa: D301
    from hcs_lib.screening.collect import collect_plate

    found = collect_plate(folder)
    fates = ", ".join(f"{count} {status}" for status, count in found.wells.items() if count)
    click.echo(f"{found.plate}: wells {fates or 'none'}; {found.objects} objects; tables in {folder / 'tables'}")
    if found.sites_left_out:
        click.echo(f"{found.plate}: {found.sites_left_out} sites left out, see failures.csv")
    for wells, what in (
        (found.not_imaged, "of the platemap have no images"),
        (found.not_mapped, "are not in the platemap"),
    ):
        if wells:
            named = f"{', '.join(wells[:10])}{' …' if len(wells) > 10 else ''}"
            click.echo(f"{found.plate}: {len(wells)} wells {what}: {named}")


@click.command(name="verdict")
@_PLATE
def verdict(folder: Path) -> None:
    """Say whether more wells failed than `allowed_failures`; exit 1 if so. FOLDER is results/PLATE.

    A plate that waits at its gate (qc_gate) ends with 1, too.
    """
    from hcs_lib.cli.gate import say
    from hcs_lib.contexts.gates import GateFound, waits_at_gate
    from hcs_lib.contexts.manifests import PlatePlan
    from hcs_lib.screening.verdict import verdict as judge

    at_gate = GateFound.load(folder)
    if at_gate is not None and waits_at_gate(folder, PlatePlan.load(folder / "plan.json")) is not None:
        say(folder, at_gate)
        sys.exit(1)
    found = judge(folder)
    for row in found.failures:
        place = ", ".join(f"{key} {row[key]}" for key in ("well", "site", "step") if row[key])
        click.echo(f"{found.plate}: {place}: {row['kind']}: {row['reason']}")
    done = found.wells - found.failed - found.left_out
    left_out = f", {found.left_out} left out as bad_planes says" if found.left_out else ""
    click.echo(
        f"{found.plate}: {done} of {found.wells} wells done, {found.failed} failed ({found.allowed} allowed)"
        f"{left_out}; {folder / 'tables'}"
    )
    if not found.passed:
        click.echo(
            f"hcs: plate {found.plate}: more wells failed than allowed_failures permits. Mend the causes above and run "
            "again; where nothing was to mend, `hcs execute --retry-failed` with the manifests tries again; or raise "
            "allowed_failures in the config.",
            err=True,
        )
        sys.exit(1)
