"""The values that travel between the calls of a well: which of them a call takes, and which it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import LinkedInput, Passed, StepPlan, ZarrStore
from hcs_lib.core.domains import Coordinates, Domain, Site, key_of


class Value(NamedTuple):
    """A plane, or a value of some name. Where two calls mean the same, they name it alike.

    Attributes
    ----------
    step
        The step that gives it; None: a raw plane.
    name
        None: an image of the step.
    at
        Where it stands; axes on which its step has a single value are None, so that it serves all of them.
    """

    step: int | None
    name: str | None
    at: Coordinates


def named_domain(plan: StepPlan, name: str) -> Domain:
    """Return where the values of one name stand: planes for the step's own images or labels, else its calls."""
    own = name == name_of_images(plan)
    domain: Domain = plan.output_domain if own else calls_of(plan)
    return domain


def name_of_images(plan: StepPlan) -> str | None:
    """Return the name by which later steps can take the images (or labels) of a step as special inputs."""
    name: str | None = plan.special_outputs.get("labels" if plan.returns == "labels" else "image")
    return name


def calls_of(plan: StepPlan) -> Domain:
    """Return where a step is called: its domain without the axis that it stacks."""
    domain: Domain = plan.domain.without(plan.stack)
    return domain


class Wiring:
    """Which values the calls of one well take and give. `takes` is what comes from the stages before."""

    def __init__(self, plans: Mapping[int, StepPlan], takes: Sequence[Passed] = ()) -> None:
        self._plans = plans
        self._taken: dict[tuple[int, str | None], Domain] = {
            (passed.step_index, passed.name): passed.domain for passed in takes
        }

    def image(self, step: int | None, at: Coordinates) -> Value:
        """Name a plane of a step, or (None) a raw one."""
        if step is None:
            return Value(None, None, at)
        domain = self._taken.get((step, None)) or self._plans[step].output_domain
        return Value(step, None, key_of(domain, at))

    def named(self, step: int, name: str, at: Coordinates) -> Value:
        """Name the value which belongs to the coordinates `at`."""
        if (step, name) in self._taken:
            return Value(step, name, key_of(self._taken[step, name], at))
        if name == name_of_images(self._plans[step]):
            return self.image(step, at)
        return Value(step, name, key_of(calls_of(self._plans[step]), at))

    def passed(self, passed: Passed, at: Coordinates) -> Value:
        """Name a value that passes from stage to stage."""
        if passed.name is None:
            return self.image(passed.step_index, at)
        return self.named(passed.step_index, passed.name, at)

    def images(self, plan: StepPlan, at: Coordinates) -> list[Value]:
        """Name the planes that a call at `at` works on: one, or those along the axis that it stacks."""
        return [self.image(plan.input, where) for where in _along(plan, at)]

    def linked(self, plan: StepPlan, link: LinkedInput, at: Coordinates) -> list[Value]:
        """Name what a call receives for a linked input: one value, or those along the axis that it stacks."""
        if link.axis is not None:
            routed: dict[str, Any] = {link.axis: link.value}
            at = at._replace(**routed)
        where = _along(plan, at) if self.is_stacked(plan, link) else [at]
        return [self.named(link.producer, link.name, one) for one in where]

    def is_stacked(self, plan: StepPlan, link: LinkedInput) -> bool:
        """Tell whether a linked input is one value for each plane that a call stacks."""
        return plan.stack not in (None, link.axis) and len(self._domain(link).values(plan.stack)) > 1

    def given(self, plan: StepPlan, at: Coordinates) -> Iterator[Value]:
        """Name all that a call at `at` gives."""
        if plan.returns in ("image", "labels", "mask"):
            for where in planes_given(plan, at):
                yield self.image(plan.step_index, where)
        for name in plan.special_outputs.values():
            if name != name_of_images(plan):
                yield self.named(plan.step_index, name, at)

    def _domain(self, link: LinkedInput) -> Domain:
        taken = self._taken.get((link.producer, link.name))
        return taken or named_domain(self._plans[link.producer], link.name)


def planes_given(plan: StepPlan, at: Coordinates) -> list[Coordinates]:
    """Return where the planes stand that a call gives: one, or one for each value of an axis it stacks and keeps."""
    if not keeps_stack(plan):
        return [at]
    assert plan.stack is not None
    return [at._replace(**{plan.stack: value}) for value in plan.output_domain.values(plan.stack)]


def keeps_stack(plan: StepPlan) -> bool:
    """Tell whether the axis that a step stacks is still there in what it gives."""
    return plan.stack is not None and plan.output_domain.values(plan.stack) != (None,)


class StoredImage(NamedTuple):
    """The image or label image of one site (None: of all sites merged) that is written to the plate's store.

    `plan` is the step that gives it; None: the raw image. `values` are its planes, in the order of `domain`.
    """

    store: ZarrStore
    plan: StepPlan | None
    site: Site | None
    domain: Domain
    values: tuple[Value, ...]


def stored_images(context: FrozenContext, wiring: Wiring) -> Iterator[StoredImage]:
    """Yield the images that a well writes: the raw ones first, then those of the steps."""
    raw = context.raw_store
    for site in sorted({ref.site for ref in context.planes}, key=str) if raw is not None else ():
        assert raw is not None
        domain = raw.domain.replace(site=(site,))
        yield StoredImage(raw, None, site, domain, tuple(wiring.image(None, at) for at in domain))
    for plan in context.step_plans.values():
        store = plan.zarr_store
        if store is None:
            continue
        index, label = plan.step_index, store.label
        # A label image is the step's own result, or a special output of it.
        whole = plan.output_domain if label is None else named_domain(plan, label)
        for field in whole.site:
            domain = whole.replace(site=(field,))
            values = tuple(
                wiring.image(index, at) if label is None else wiring.named(index, label, at) for at in domain
            )
            yield StoredImage(store, plan, field, domain, values)


def raw_written(context: FrozenContext, wiring: Wiring) -> frozenset[Value]:
    """Return the raw planes that are written, whether a step reads them or not."""
    return frozenset(value for image in stored_images(context, wiring) if image.plan is None for value in image.values)


def _along(plan: StepPlan, at: Coordinates) -> list[Coordinates]:
    if plan.stack is None:
        return [at]
    return [at._replace(**{plan.stack: value}) for value in plan.domain.values(plan.stack)]
