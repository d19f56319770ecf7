"""`hcs plan`: what a run of the workflow would do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hcs_lib.planning.reruns import Forecast, Rerun
    from hcs_lib.planning.work import Work

_GROUPS = 20
"""Reasons that are shown for a plate; `--json` has every well."""

_WELLS = 3
"""Wells that are named of each group."""


@click.command()
@click.option("--config", "config_file", type=click.Path(dir_okay=False, path_type=Path), default="config/config.yaml",
              show_default=True, help="The configuration.")  # fmt: skip
@click.option("--plate", "plates", multiple=True, metavar="P", help="Only this plate (may be given several times).")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default="results", show_default=True,
              help="The folder of results.")  # fmt: skip
@click.option("--registry", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="The folder of the registry's files.  [default: registry in the folder of results]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every well.")
def plan(config_file: Path, plates: tuple[str, ...], results: Path, registry: Path | None, as_json: bool) -> None:
    """Show which wells a run would execute, in which stages, and why; which it would leave, and how long it takes.

    Plates are indexed and compiled in memory, and each context is compared with the one that was executed. Nothing
    is written. That is what the executor will decide; Snakemake's dry-run names jobs whose wells are all left as
    they are, and knows nothing of a plate that is to be compiled.

    With --json: {"run": [{"plate", "well", "stage", "why"}], "keep": N, "seconds": S, "wells_per_batch": W}; a well
    counts once for each stage, "well" is "plate" for a stage of the whole plate.
    """
    from hcs_lib.core.errors import Problem, UserError
    from hcs_lib.pipeline.located import read_yaml
    from hcs_lib.pipeline.settings import load_settings
    from hcs_lib.planning.reruns import forecast
    from hcs_lib.planning.work import estimate_work
    from hcs_lib.registry.extensions import allow

    document = read_yaml(config_file)
    settings = load_settings(document.value, config_file.absolute().parent, document.source, results.absolute())
    allow(settings.registry.modules, config_file.absolute().parent)
    forecasts, problems = [], list[Problem]()
    for plate in [settings.plate(name) for name in plates] or settings.plates:
        try:
            forecasts.append(forecast(plate, settings, results, registry))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    work = estimate_work(forecasts, results)
    if as_json:
        from hcs_lib.core.canonical import canonical_json

        found = {
            "run": [rerun.to_json() for each in forecasts for rerun in each.run],
            "keep": sum(each.keep for each in forecasts),
            "seconds": work.seconds,
            "wells_per_batch": work.wells_per_batch,
        }
        click.echo(canonical_json(found), nl=False)
        return
    for each in forecasts:
        click.echo("\n".join(_lines(each, results)))
    click.echo(_summary(work, settings.wells_per_batch, running=any(each.run for each in forecasts)))


def _lines(forecast: Forecast, results: Path) -> Iterator[str]:
    """Describe one plate: a line for each reason, not for each well."""
    plate = forecast.plan.plate
    yield f"{plate}: {len(forecast.run)} to run, {forecast.keep} to keep (wells, counted in each stage)"
    groups: dict[tuple[str, tuple[str, ...]], list[Rerun]] = {}
    for rerun in forecast.run:
        groups.setdefault((rerun.stage, tuple(change.about for change in rerun.changes)), []).append(rerun)
    for (stage, about), reruns in list(groups.items())[:_GROUPS]:
        alike = all(rerun.changes == reruns[0].changes for rerun in reruns)
        why = reruns[0].why if alike else f"{'; '.join(about)}, such as {reruns[0].why}"
        yield f"  {stage}  {_wells(reruns)}: {why}"
    if len(groups) > _GROUPS:
        yield f"  … and {len(groups) - _GROUPS} more reasons, all of them with --json"
    if forecast.waits:
        yield f"  {', '.join(forecast.waits)}: not before the gate lets the plate through (`hcs gate`)"
    if forecast.failed:
        again = f"`hcs clean {results / plate} --failed`"
        yield f"  {_named([well for _, well in forecast.failed])}: failed, kept until {again}"


def _wells(reruns: Sequence[Rerun]) -> str:
    if [rerun.well for rerun in reruns] == ["plate"]:
        return "the plate"
    return _named([rerun.well for rerun in reruns])


def _named(wells: Sequence[str]) -> str:
    more = ", …" if len(wells) > _WELLS else ""
    return f"{len(wells)} {'well' if len(wells) == 1 else 'wells'} ({', '.join(wells[:_WELLS])}{more})"


def _summary(work: Work, wells_per_batch: int, *, running: bool) -> str:
    if not running:
        return "No well is to be executed."
    if work.wells_per_batch is None:
        return "No well was measured yet: how long it takes is not known."
    seconds = "an unknown time" if work.seconds is None else f"about {duration(work.seconds)} of one core"
    return (
        f"It takes {seconds}, by {work.measured} wells measured. With wells_per_batch: {work.wells_per_batch} "
        f"(now {wells_per_batch}) a job lasts about three minutes, or does all wells."
    )


def duration(seconds: float) -> str:
    """Return seconds in the unit that a person would take."""
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
