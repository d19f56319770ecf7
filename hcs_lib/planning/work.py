"""How much work a forecast is, from what wells took before, and how many wells a job should have."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.receipts import Receipt
from hcs_lib.planning.reruns import Forecast

JOB_SECONDS = 180.0
"""How long a job should last: minutes, so that starting and scheduling it costs little beside."""


@dataclass(frozen=True, slots=True)
class Work:
    """The work of all wells that would run.

    Attributes
    ----------
    seconds
        Of one core; None where a stage to run was never measured.
    wells_per_batch
        With which a job of the slowest stage lasts a few minutes; None where nothing was measured.
    measured
        Receipts that this stands on.
    """

    seconds: float | None
    wells_per_batch: int | None
    measured: int


def estimate_work(forecasts: Iterable[Forecast], results: Path) -> Work:
    """Estimate the work of forecasts by the median seconds of finished wells, stage by stage.

    Parameters
    ----------
    forecasts
        Of the plates.
    results
        The folder of results: receipts lie in `results/{plate}/receipts`.
    """
    total: float | None = 0.0
    slowest, wells, measured = 0.0, 1, 0
    for forecast in forecasts:
        plan = forecast.plan
        running = Counter(rerun.stage for rerun in forecast.run)
        for stage in plan.stages:
            taken = seconds_of(results / plan.plate / "receipts" / stage.name)
            measured += len(taken)
            if taken:
                typical = statistics.median(taken)
                if stage.scope == "well":
                    slowest, wells = max(slowest, typical), max(wells, len(plan.wells))
                total = None if total is None else total + typical * running[stage.name]
            elif running[stage.name]:
                total = None
    suggested = max(1, min(wells, round(JOB_SECONDS / slowest))) if slowest else None
    return Work(total, suggested, measured)


def seconds_of(folder: Path) -> list[float]:
    """Return the seconds that the steps of each finished well took, from the receipts in a folder."""
    receipts = (Receipt.load(path) for path in sorted(folder.glob("*.json")))
    return [sum(receipt.seconds.values()) for receipt in receipts if receipt is not None and receipt.status == "done"]
