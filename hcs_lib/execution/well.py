"""One well: its calls in order, from planes to staged outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.order import Task, tasks_of
from hcs_lib.contexts.plans import Passed, StepPlan
from hcs_lib.contexts.receipts import SiteRecord
from hcs_lib.contexts.values import Value, Wiring, calls_of, raw_written
from hcs_lib.core.domains import Coordinates, Site
from hcs_lib.core.errors import DataError
from hcs_lib.execution.images import Images
from hcs_lib.execution.outputs import Staging
from hcs_lib.execution.passing import left_out_before, passed_on
from hcs_lib.execution.planes import left_out
from hcs_lib.execution.reading import Reading
from hcs_lib.execution.steps import Steps

if TYPE_CHECKING:
    from hcs_lib.registry.service import BoundFunction


class WellRun:
    """The execution of one context.

    Nothing is held longer than a later task needs it; tables are, which are small and written whole.

    Parameters
    ----------
    context, raw, results
        The well, the raw plate, and the results of its plate.
    reader
        One thread, which reads ahead.

    Attributes
    ----------
    reading
        What reads for it, and knows the hashes of the planes.
    seconds
        Wall seconds of calls by step name, and of `(reading)`: waiting for what is read, `(writing)`: images and
        what later stages take, `(tables)`.
    doing
        The name, as in `seconds`, of what is being done.
    warnings
        What functions warned of.
    """

    def __init__(self, context: FrozenContext, raw: Path, results: Path, reader: Executor) -> None:
        self._context = context
        self._plans: Mapping[int, StepPlan] = context.step_plans
        self._results = results
        self._wiring = Wiring(self._plans, context.takes)
        self._images = Images(context, self._wiring)
        self._tasks = tasks_of(context, self._wiring, raw_written(context, self._wiring))
        self.reading = Reading(context, raw, results, self._tasks, reader)
        self._passes = self._what_passes()
        self._tables = self._table_values()
        self._staging: Staging
        self._held: dict[Value, Any] = {}
        self._rows: dict[Value, Any] = {}
        self._counts: dict[tuple[str, Site | None], int] = {}
        self._left_out: dict[Site, str] = {}
        self.seconds: dict[str, float] = {}
        self.doing = "(reading)"
        self.warnings: dict[str, None] = {}

    def run(
        self, staging: Staging, functions: Mapping[str, BoundFunction], then: Callable[[], None] | None = None
    ) -> None:
        """Run all calls and stage all outputs.

        Parameters
        ----------
        staging
            Takes the outputs.
        functions
            By their ids.
        then
            Called when the last plane of the well was read: time to begin with another well.

        Raises
        ------
        DataError
            Where the well fails, or is left out (kind `skipped`).
        MachineError, MemoryError, OSError
            Where the machine fails.
        """
        self._staging = staging
        self._left_out = left_out_before(self._context, self._results) | left_out(self._context)
        self._check_left()
        steps = Steps(self._wiring, functions, self._results)
        for task in self._tasks:
            if task.at.site in self._left_out:
                continue
            with self._policy(task.at.site):
                self._check_complete(task)
                self._read(task, then)
                result = self._call(task, steps)
                for value in task.last:
                    self._held.pop(value, None)
                for value, content in result.items():
                    self._write(value, content)
                    if value not in task.last:
                        self._held[value] = content
                    if value in self._tables:
                        self._rows[value] = content
        with self._timed("(tables)"):
            for index, plan in self._plans.items():
                if plan.table is not None:
                    self._staging.write_table(plan, self._rows_of(index, plan, plan.table.name))
        if self._context.passes:
            self._staging.finish_work(self._left_out)

    def sites(self) -> tuple[SiteRecord, ...]:
        """Return what became of each site."""
        records = []
        for site in sites_of(self._context):
            reason = self._left_out.get(site, "")
            counts = {} if reason else {name: n for (name, at), n in self._counts.items() if at == site}
            records.append(
                SiteRecord(
                    site=site,
                    status="skipped" if reason else "done",
                    planes=0 if reason else sum(ref.site == site for ref in self._context.planes),
                    counts=counts,
                    reason=reason,
                )
            )
        return tuple(records)

    def counts(self) -> dict[str, int]:
        """Return the objects of the well by label name, in the sites that were not left out."""
        totals: dict[str, int] = {}
        for (name, site), count in self._counts.items():
            if site not in self._left_out:
                totals[name] = totals.get(name, 0) + count
        return totals

    def _read(self, task: Task, then: Callable[[], None] | None) -> None:
        if not task.reads:
            return
        with self._timed("(reading)"):
            found = dict(self.reading.take(task.reads, then))
        self._held |= found
        for value, content in found.items():
            self._write(value, content)

    def _call(self, task: Task, steps: Steps) -> dict[Value, Any]:
        if task.step is None:
            return {}
        plan = self._plans[task.step]
        with self._timed(plan.step_name):
            result = steps.run(plan, task.at, self._held, task.last)
        self.warnings |= dict.fromkeys(result.warnings)
        for key, count in result.counts.items():
            self._counts[key] = self._counts.get(key, 0) + count
        return result.values

    def _write(self, value: Value, content: Any) -> None:
        with self._timed("(writing)"):
            self._images.put(value, content, self._staging)
            for passed, number in self._passes.get(value, ()):
                self._staging.pass_on(passed, number, content)

    def _what_passes(self) -> dict[Value, list[tuple[Passed, int]]]:
        found: dict[Value, list[tuple[Passed, int]]] = {}
        for passed, number, at in passed_on(self._context):
            found.setdefault(self._wiring.passed(passed, at), []).append((passed, number))
        return found

    def _table_values(self) -> frozenset[Value]:
        return frozenset(
            self._wiring.named(index, plan.table.name, at)
            for index, plan in self._plans.items()
            if plan.table is not None
            for at in calls_of(plan)
        )

    def _rows_of(self, index: int, plan: StepPlan, name: str) -> Iterator[tuple[Coordinates, Any]]:
        """Yield the coordinates of calls and their tables, in the order of the step's domain."""
        for at in calls_of(plan):
            value = self._wiring.named(index, name, at)
            if value in self._rows:
                yield at, self._rows[value]

    def _check_complete(self, task: Task) -> None:
        """Refuse a call that looks at all sites where one of them is left out."""
        if task.step is None or task.at.site is not None:
            return
        plan = self._plans[task.step]
        gone = sorted(set(plan.domain.site) & set(self._left_out))
        if gone:
            raise DataError(
                f"step {plan.step_name} needs all sites of the well, and site {gone[0]} is left out: "
                f"{self._left_out[gone[0]]}",
                kind="skipped",
                site=gone[0],
                step=plan.step_name,
            )

    @contextmanager
    def _policy(self, site: Site | None) -> Iterator[None]:
        """Where a bad plane shows itself now, leave out what the policy says: its site, where a call is of one."""
        try:
            yield
        except DataError as error:
            policy = self._context.bad_planes
            if error.kind != "bad_plane" or policy == "fail":
                raise
            if policy == "skip_well" or site is None:
                raise DataError(
                    f"The well is left out (bad_planes: {policy}): {error}",
                    kind="skipped",
                    site=error.site,
                    step=error.step,
                ) from None
            self._leave_out(site, str(error))

    def _leave_out(self, site: Site, reason: str) -> None:
        self._left_out[site] = reason
        for store in (self._held, self._rows):
            for value in [value for value in store if value.at.site == site]:
                del store[value]
        self._images.drop_site(site)
        self._staging.drop_site(site)
        self._check_left()

    def _check_left(self) -> None:
        if all(site in self._left_out for site in sites_of(self._context)):
            reasons = "; ".join(self._left_out.values())
            raise DataError(f"All sites of the well are left out (bad_planes: skip_site): {reasons}", kind="skipped")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start, self.doing = perf_counter(), name
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start


def sites_of(context: FrozenContext) -> list[Site]:
    """Return the sites that the plan of a well needs, found or not, in order."""
    found: set[Any] = {ref.site for ref in context.planes}
    found |= {problem.site for problem in context.problems}
    found |= {site for plan in context.step_plans.values() for site in plan.domain.site}
    return sorted(found - {None})
