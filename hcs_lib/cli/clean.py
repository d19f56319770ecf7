"""`hcs clean`: do things again, or free space."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from hcs_lib.core.errors import Problem, UserError


@click.command()
@click.argument("plates", metavar="RESULTS/PLATE…", nargs=-1, required=True,
                type=click.Path(file_okay=False, path_type=Path))  # fmt: skip
@click.option("--work", is_flag=True, help="Remove what wells passed from stage to stage. Later stages that need it "
                                           "again make it again.")  # fmt: skip
@click.option("--failed", is_flag=True, help="Forget wells that failed: the next run tries them again.")
@click.option("--damaged", is_flag=True, help="Read everything, as `hcs verify` does, and forget what differs from its "
                                              "receipt.")  # fmt: skip
@click.option("--stage", "stages", multiple=True, metavar="S", help="Forget the wells of this stage (may be given "
                                                                    "several times).")  # fmt: skip
def clean(plates: tuple[Path, ...], work: bool, failed: bool, damaged: bool, stages: tuple[str, ...]) -> None:
    """Forget what was executed, so that the next run does it again; or free the space of what need not be kept.

    \b
    hcs clean results/demo --stage s02-cpu            all wells of this stage are done again
    hcs clean results/demo --failed                   wells that failed are tried again
    hcs clean results/demo --damaged                  what is missing or damaged is made again
    hcs clean results/demo --work                     stores between stages are removed

    Images and tables of wells stay until they are replaced. Raw plates are never touched.
    """  # noqa: D301
    from hcs_lib.contexts.manifests import PlatePlan
    from hcs_lib.execution.cleaning import forget, remove_work

    if not (work or failed or damaged or stages):
        raise UserError("Say what to clean: --work, --failed, --damaged, or --stage.")
    plans = {plate: PlatePlan.load(plate / "plan.json") for plate in plates}
    problems = [
        Problem(f"plate {plan.plate}", f"There is no stage '{stage}'.", f"It has {', '.join(known)}.")
        for plan in plans.values()
        for known in [[found.name for found in plan.stages]]
        for stage in stages
        if stage not in known
    ]
    if problems:
        raise UserError(problems)
    for plate, plan in plans.items():
        if failed or stages:
            found = forget(plate, stages=stages or None, only_failed=failed)
            click.echo(f"{plan.plate}: {len(found)} receipts removed")
        if damaged:
            found = _forget_damaged(plate)
            click.echo(f"{plan.plate}: {len(found)} receipts of what is missing or damaged removed")
        if work:
            click.echo(f"{plan.plate}: {remove_work(plate) / 1e6:.1f} MB between stages removed")


def _forget_damaged(plate: Path) -> list[str]:
    """Remove what stands for something missing or damaged: receipts, the plate's plan, its tables.

    A well whose outputs differ is forgotten in all stages, since each may have a part in them; one whose receipt does,
    in its stage.
    """
    from hcs_lib.execution.cleaning import forget
    from hcs_lib.provenance.differences import Difference
    from hcs_lib.provenance.verify import verify_plate
    from hcs_lib.provenance.versions import TABLES, VERSIONS

    found: list[Difference] = []
    verify_plate(plate, found.append)
    forgotten: list[str] = []
    wells = set()
    for difference in found:
        click.echo(str(difference))
        folder, *rest = difference.path.split("/")
        if folder in ("contexts", "manifests"):
            (plate / "plan.json").unlink(missing_ok=True)
        elif folder == "receipts":
            forgotten += forget(plate, stages={rest[0]}, wells={difference.well})
            shutil.rmtree(plate / "receipts" / rest[0] / "batches", ignore_errors=True)
        elif difference.well:
            wells.add(difference.well)
    for path in (VERSIONS, *(f"tables/{table}" for table in TABLES)) if found else ():
        (plate / path).unlink(missing_ok=True)
    return forgotten + forget(plate, wells=wells)
