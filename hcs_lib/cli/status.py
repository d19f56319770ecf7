"""`hcs status`: how far a run is."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from hcs_lib.planning.pace import Pace
    from hcs_lib.planning.progress import FailedWell, PlateProgress


@click.command()
@click.argument("folder", metavar="[RESULTS]", default="results", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(folder: Path, as_json: bool) -> None:
    """Show how far a run is, at any time and from any terminal. RESULTS is the folder of all plates, or results/PLATE.

    It counts wells, for each plate and stage: done, running now, failed, to do. A line for each failed well says why,
    and where the log of its job is; so does one for each job that ended before its wells were finished. While wells
    run, it says when all will be executed, if as many go on at once as now.

    Only plans, manifests, receipts, journals and logs are read; whether outputs are whole is for `hcs verify` to say.

    Exit status: 0; 1 if more wells of a plate failed than allowed, or a plate waits at its gate or was refused; 2 no
    results.

    With --json: {"plates": [{"plate", "wells", "done", "running", "failed", "left_out", "to_do", "allowed_failures",
    "waits", "stages": [{"stage", "scope", "wells", "done", "running", "failed", "not_reached", "to_do", "seconds"}]}],
    "not_compiled": [P], "refused": [{"plate", "reason"}],
    "failures": [{"plate", "well", "stage", "reason", "log", "left_out"}],
    "ended": [{"plate", "stage", "batch", "reason", "log"}], "running": N, "seconds": S, "ends": T}. "seconds" is
    that of the wells of a stage, and what is left for one job at a time; "ends" is null where nothing runs.
    """
    from datetime import UTC, datetime

    from hcs_lib.planning.pace import pace_of
    from hcs_lib.planning.progress import PLAN, look_at_plate, refusal_of
    from hcs_lib.provenance.runs import find_plates

    folders = find_plates(folder)
    refused = {path.name: str(refusal) for path in folders if (refusal := refusal_of(path))}
    not_compiled = [path.name for path in folders if not (path / PLAN).is_file()]
    plates = [look_at_plate(path) for path in folders if path.name not in (*refused, *not_compiled)]
    pace = pace_of(plates)
    now = datetime.now(UTC)
    if as_json:
        click.echo(_json(plates, refused, not_compiled, pace, pace.ends(now)), nl=False)
    else:
        for line in _lines(plates, refused, not_compiled, pace, now):
            click.echo(line)
    if refused or not all(plate.passed for plate in plates):
        sys.exit(1)


def _json(
    plates: Sequence[PlateProgress],
    refused: Mapping[str, str],
    not_compiled: Sequence[str],
    pace: Pace,
    ends: datetime | None,
) -> bytes:
    from dataclasses import asdict

    from hcs_lib.core.canonical import canonical_json

    return canonical_json(
        {
            "plates": [plate.to_json() for plate in plates],
            "not_compiled": not_compiled,
            "refused": [{"plate": name, "reason": reason} for name, reason in refused.items()],
            "failures": [asdict(failed) | {"log": str(failed.log)} for plate in plates for failed in plate.failures],
            "ended": [asdict(job) | {"log": str(job.log)} for plate in plates for job in plate.ended],
            "running": pace.running,
            "seconds": pace.seconds,
            "ends": ends.isoformat(timespec="seconds") if ends else None,
        }
    )


def _lines(
    plates: Sequence[PlateProgress], refused: Mapping[str, str], not_compiled: Sequence[str], pace: Pace, now: datetime
) -> Iterator[str]:
    for plate in plates:
        yield from plate_lines(plate)
    for name, reason in refused.items():
        yield f"{name}: refused"
        yield from (f"  {line}" for line in reason.splitlines())
    for name in not_compiled:
        yield f"{name}: not compiled"
    if len(plates) > 1:
        total: Counter[str] = sum((plate.counts for plate in plates), Counter())
        yield f"{len(plates)} plates: {_counts(total)}"
    if plates and (not not_compiled or pace.seconds != 0):
        yield _outlook(pace, now)


def plate_lines(plate: PlateProgress) -> Iterator[str]:
    """Describe one plate: its wells, its stages while it is on its way, and what failed."""
    tables = plate.folder / "tables"
    where = f"; {tables}" if plate.is_over and (tables / "wells.csv").is_file() else ""
    yield f"{plate.plan.plate}: {_counts(plate.counts, plate.plan.allowed_failures)}{where}"
    if not plate.is_over:
        for stage in plate.stages:
            each = f"; {stage.seconds:.2g} s each" if stage.seconds is not None else ""
            yield f"  {stage.name}: {_counts(stage.counts)}{each}"
    for failed in plate.failures:
        yield f"  {failure_line(failed)}"
    for job in plate.ended:
        yield f"  {job.stage} {job.batch} is not finished, and its job ended: {job.reason} ({job.log})"
    if plate.waits:
        yield f"  {plate.waits.reason}. `{plate.waits.command}` lets it go on."


def stage_line(plate: PlateProgress, name: str) -> str:
    """Describe one stage of a plate."""
    stage = next(stage for stage in plate.stages if stage.name == name)
    return f"{plate.plan.plate} {name}: {_counts(stage.counts)}"


def failure_line(failed: FailedWell) -> str:
    """Say why a well failed, and where the log of its job is."""
    what = "left out" if failed.left_out else "failed"
    return f"{failed.well} {what} in {failed.stage}: {failed.reason} ({failed.log})"


def _counts(counts: Counter[str], allowed: int | None = None) -> str:
    """Count wells; with the failed ones always, where it says how many may."""
    told = [f"{counts['done']} of {counts.total()} wells done"]
    for fate in ("failed", "left_out", "running", "not_reached", "to_do"):
        if fate == "failed" and allowed is not None:
            told.append(f"{counts[fate]} failed ({allowed} allowed)")
        elif counts[fate]:
            told.append(f"{counts[fate]} {fate.replace('_', ' ')}")
    return ", ".join(told)


def summary_lines(results: Path, names: Iterable[str]) -> Iterator[str]:
    """Describe what a run of the workflow left: plates, failed wells, and where the tables and the report are."""
    from hcs_lib.core.errors import UserError
    from hcs_lib.planning.progress import PLAN, look_at_plate

    for folder in (results / name for name in names):
        if not (folder / PLAN).is_file():
            continue
        try:
            yield from plate_lines(look_at_plate(folder))
        except UserError as error:  # refused, or damaged
            yield from (f"{folder.name}: {line}" for line in str(error).splitlines())
    report = results / "report" / "summary.html"
    if report.is_file():
        yield f"All plates: {report}"


def _outlook(pace: Pace, now: datetime) -> str:
    """Say when it ends."""
    from hcs_lib.cli.plan import duration

    if pace.seconds == 0:
        return "Nothing is left to be executed."
    work = "an unknown time" if pace.seconds is None else duration(pace.seconds)
    ends = pace.ends(now)
    if not pace.running:
        return f"Nothing runs now; what is left takes one job {work}."
    at_once = f"{pace.running} {'well' if pace.running == 1 else 'wells'} at once"
    if ends is None or pace.to_go is None:
        return f"{at_once}; no well was measured yet: how long it takes is not known."
    when = ends.astimezone().strftime("%H:%M" if pace.to_go.days < 1 else "%Y-%m-%d %H:%M")
    return f"All wells are executed by {when}, in {duration(pace.to_go.total_seconds())}, with {at_once}."
