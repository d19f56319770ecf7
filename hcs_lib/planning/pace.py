"""When the wells of a run will be executed, by what wells took so far and how many are executed at once."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from hcs_lib.planning.progress import Fate, PlateProgress, StageProgress

_LEFT: dict[Fate, float] = {"to_do": 1.0, "running": 0.5}
"""How much of a well is still to be done; one that runs is half done, for all that is known."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is left to be done.

    Attributes
    ----------
    running
        Wells that are executed now, each in a job of its own.
    seconds
        Of one job at a time, until all wells are executed; None where a stage was never measured.
    longest
        Of the batch that has most before it: its wells are executed one after another.
    """

    running: int
    seconds: float | None
    longest: float

    @property
    def to_go(self) -> timedelta | None:
        """How long it takes with as many jobs as now; None where that is not known, or nothing runs."""
        if self.seconds is None or not self.running:
            return None
        return timedelta(seconds=max(self.seconds / self.running, self.longest))

    def ends(self, now: datetime) -> datetime | None:
        """Return when all wells are executed."""
        return None if self.to_go is None else now + self.to_go


def pace_of(plates: Iterable[PlateProgress]) -> Pace:
    """Estimate how much is left of plates, by the median seconds of finished wells, stage by stage.

    A stage of which a plate has no finished well is taken to be as fast as on other plates with the same pipeline.
    Stages behind a gate at which a plate waits do not count. Time in a queue, and the tables and figures that follow,
    are not part of it.
    """
    plates = list(plates)
    known: dict[tuple[str, str], list[float]] = {}
    for plate in plates:
        for stage in plate.stages:
            if stage.seconds is not None:
                known.setdefault((plate.plan.pipeline, stage.name), []).append(stage.seconds)
    batches: dict[tuple[str, str], float] = {}
    total: float | None = 0.0
    for plate, stage, batch, wells in _left(plates):
        seconds = stage.seconds
        if seconds is None and (others := known.get((plate.plan.pipeline, stage.name))):
            seconds = statistics.median(others)
        if seconds is None or total is None:
            total = None
            continue
        total += wells * seconds
        at = (plate.plan.plate, batch)
        batches[at] = batches.get(at, 0.0) + wells * seconds
    running = sum(stage.counts["running"] for plate in plates for stage in plate.stages)
    return Pace(running, total, max(batches.values(), default=0.0))


def _left(plates: Iterable[PlateProgress]) -> Iterator[tuple[PlateProgress, StageProgress, str, float]]:
    """Yield how many wells each batch of each stage has still to do."""
    for plate in plates:
        for stage in plate.stages:
            if stage.name in plate.gated:
                continue
            for batch, fates in stage.batches.items():
                if wells := sum(_LEFT.get(fate, 0.0) for fate in fates.values()):
                    yield plate, stage, batch, wells
