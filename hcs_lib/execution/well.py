"""One well: its steps in blocks, so that memory follows what a step stacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.contexts.receipts import SiteRecord
from hcs_lib.core.domains import Coordinates, Domain, Site
from hcs_lib.core.errors import DataError
from hcs_lib.execution.outputs import Staging
from hcs_lib.execution.passing import Taken, left_out_before, passed_on
from hcs_lib.execution.planes import Planes, left_out
from hcs_lib.execution.steps import Steps
from hcs_lib.execution.values import Values

if TYPE_CHECKING:
    from hcs_lib.registry.service import BoundFunction


def blocks(plans: Mapping[int, StepPlan]) -> Iterator[tuple[bool, list[StepPlan]]]:
    """Yield consecutive steps that run site by site (True), or once for all sites (False)."""
    block: list[StepPlan] = []
    by_site = True
    for index in sorted(plans):
        plan = plans[index]
        alone = plan.stack != "site" and plan.domain.site != (None,)
        if block and alone != by_site:
            yield by_site, block
            block = []
        by_site = alone
        block.append(plan)
    if block:
        yield by_site, block


class WellRun:
    """The execution of one context, from planes to staged outputs.

    Attributes
    ----------
    seconds
        Wall seconds by step name; `(raw)` for writing the raw planes, `(tables)` for writing tables.
    warnings
        What functions warned of.
    """

    def __init__(
        self,
        context: FrozenContext,
        raw: Path,
        results: Path,
        staging: Staging,
        functions: Mapping[str, BoundFunction],
    ) -> None:
        self._context = context
        self._plans: Mapping[int, StepPlan] = context.step_plans
        self._staging = staging
        self._planes = Planes(context, raw)
        self._values = Values(self._plans, Taken(context.takes, results))
        self._results = results
        self._steps = Steps(self._planes, self._values, functions, results)
        self._counts: dict[tuple[str, Site | None], int] = {}
        self._left_out: dict[Site, str] = {}
        self._raw_written: set[Site] = set()
        self.seconds: dict[str, float] = {}
        self.warnings: dict[str, None] = {}

    @property
    def hashes(self) -> dict[str, str]:
        """`file#page` of every plane read → SHA-256 of its pixels."""
        return self._planes.hashes

    def run(self) -> None:
        """Run all steps and stage all outputs.

        Raises
        ------
        DataError
            Where the well fails, or is left out (kind `skipped`).
        MachineError, MemoryError, OSError
            Where the machine fails.
        """
        self._left_out = left_out_before(self._context, self._results) | left_out(self._context)
        self._check_left()
        for by_site, block in blocks(self._plans):
            if by_site:
                for site in self._sites():
                    self._run_site(site, block)
            else:
                for plan in block:
                    self._run_whole(plan)
            self._values.release(block[-1].step_index, None)
            self._planes.release()
        for site in self._sites():
            with self._site(site):
                self._write_raw(site)
        with self._timed("(tables)"):
            for index, plan in self._plans.items():
                if plan.table is not None:
                    self._staging.write_table(plan, self._values.in_order(index, plan.table.name))
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
                    planes=0 if reason else len(self._planes.of_site(site)),
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

    def _sites(self) -> list[Site]:
        return [site for site in sites_of(self._context) if site not in self._left_out]

    def _run_site(self, site: Site, block: list[StepPlan]) -> None:
        with self._site(site):
            self._write_raw(site)
            for plan in block:
                calls = [at for at in plan.domain.without(plan.stack) if at.site == site]
                self._run_step(plan, calls)
                if plan.zarr_store is not None and calls:
                    self._write(plan, site)
                self._pass_on(plan, site)
                self._values.release(plan.step_index, site)
        self._planes.release(site)

    def _run_whole(self, plan: StepPlan) -> None:
        gone = sorted(set(plan.domain.site) & set(self._left_out))
        if gone:
            raise DataError(
                f"step {plan.step_name} needs all sites of the well, and site {gone[0]} is left out: "
                f"{self._left_out[gone[0]]}",
                kind="skipped",
                site=gone[0],
                step=plan.step_name,
            )
        with self._all_sites():
            self._run_step(plan, list(plan.domain.without(plan.stack)))
        if plan.zarr_store is not None:
            for site in plan.output_domain.site:
                self._write(plan, site)
        self._pass_on(plan, None)
        self._values.release(plan.step_index, None)
        self._planes.release()

    def _run_step(self, plan: StepPlan, calls: list[Coordinates]) -> None:
        with self._timed(plan.step_name):
            result = self._steps.run(plan, calls)
        self.warnings |= dict.fromkeys(result.warnings)
        for key, count in result.counts.items():
            self._counts[key] = self._counts.get(key, 0) + count

    def _pass_on(self, plan: StepPlan, site: Site | None) -> None:
        """Stage what later stages take of a step."""
        with self._timed(plan.step_name):
            for passed, number, at in passed_on(self._context, plan.step_index, site):
                if passed.name is None:
                    value = self._values.image(plan.step_index, at)
                else:
                    value = self._values.named(plan.step_index, passed.name, at)
                self._staging.pass_on(passed, number, value)

    def _write(self, plan: StepPlan, site: Site | None) -> None:
        store = plan.zarr_store
        assert store is not None
        domain: Domain = plan.output_domain
        label = store.label
        with self._timed(plan.step_name):
            try:
                if label is None or (plan.special_outputs.get("labels") == label and plan.returns == "labels"):
                    self._staging.write_site(store, site, domain, lambda at: self._values.image(plan.step_index, at))
                else:
                    calls = plan.domain.without(plan.stack)
                    self._staging.write_site(
                        store, site, calls, lambda at: self._values.named(plan.step_index, label, at)
                    )
            except DataError as error:
                raise DataError(
                    f"step {plan.step_name}: {error}", kind=error.kind, site=site, step=plan.step_name
                ) from None

    def _write_raw(self, site: Site) -> None:
        store = self._context.raw_store
        if store is None or site in self._raw_written:
            return
        with self._timed("(raw)"):
            refs = self._planes.of_site(site)
            domain = Domain(
                site=(site,),
                channel=store.array.channels,
                z=tuple(sorted({ref.z for ref in refs})),
                t=tuple(sorted({ref.t for ref in refs})),
            )
            self._staging.write_site(store, site, domain, self._planes.read)
        self._raw_written.add(site)

    @contextmanager
    def _site(self, site: Site) -> Iterator[None]:
        """Leave a site out where the policy says so and a bad plane of it shows itself now."""
        if self._context.bad_planes != "skip_site":
            with self._all_sites():
                yield
            return
        try:
            yield
        except DataError as error:
            if error.kind != "bad_plane":
                raise
            self._left_out[site] = str(error)
            self._values.drop_site(site)
            self._planes.release(site)
            self._staging.drop_site(site)
            self._check_left()

    @contextmanager
    def _all_sites(self) -> Iterator[None]:
        """Apply the policy for bad planes where no site can be done without."""
        try:
            yield
        except DataError as error:
            if error.kind != "bad_plane" or self._context.bad_planes == "fail":
                raise
            raise DataError(
                f"The well is left out (bad_planes: {self._context.bad_planes}): {error}",
                kind="skipped",
                site=error.site,
                step=error.step,
            ) from None

    def _check_left(self) -> None:
        if not self._sites():
            reasons = "; ".join(self._left_out.values())
            raise DataError(f"All sites of the well are left out (bad_planes: skip_site): {reasons}", kind="skipped")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = perf_counter()
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
