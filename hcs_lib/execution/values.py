"""Images and named values of a well between its steps, held as long as a later step needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hcs_lib.contexts.plans import LinkedInput, StepPlan
from hcs_lib.core.domains import Coordinates, Domain, Site, key_of
from hcs_lib.execution.passing import Taken


def named_domain(plan: StepPlan, name: str) -> Domain:
    """Return where the values of one name stand: planes for the step's own images or labels, else its calls."""
    own = name == name_of_images(plan)
    domain: Domain = plan.output_domain if own else plan.domain.without(plan.stack)
    return domain


def name_of_images(plan: StepPlan) -> str | None:
    """Return the name by which later steps can take the images (or labels) of a step as special inputs."""
    name: str | None = plan.special_outputs.get("labels" if plan.returns == "labels" else "image")
    return name


class Values:
    """What the steps of one well gave so far, and what it takes from the stages before."""

    def __init__(self, plans: Mapping[int, StepPlan], taken: Taken) -> None:
        self._plans = plans
        self._taken = taken
        self._images: dict[int, dict[Coordinates, Any]] = {}
        self._named: dict[tuple[int, str], dict[Coordinates, Any]] = {}
        self._last_use = {index: index for index in plans}
        for index, plan in plans.items():
            links = [link.producer for linked in plan.special_inputs.values() for link in linked]
            for producer in (*links, *(() if plan.input is None else (plan.input,))):
                self._last_use[producer] = max(index, self._last_use.get(producer, producer))

    def add_image(self, step: int, at: Coordinates, plane: Any) -> None:
        """Keep a plane that a step gave."""
        self._images.setdefault(step, {})[at] = plane

    def image(self, step: int, at: Coordinates) -> Any:
        """Return a plane of an earlier step."""
        held = self._images.setdefault(step, {})
        if at not in held and (step, None) in self._taken:
            held[at] = self._taken.read(step, None, at)
        return held[at]

    def add_named(self, step: int, name: str, at: Coordinates, value: Any) -> None:
        """Keep a named value that a call at `at` gave."""
        key = key_of(named_domain(self._plans[step], name), at)
        self._named.setdefault((step, name), {})[key] = value

    def named(self, step: int, name: str, at: Coordinates) -> Any:
        """Return the named value which belongs to the coordinates `at`."""
        held = self._named.setdefault((step, name), {})
        key = key_of(self._domain(step, name), at)
        if key not in held and (step, name) in self._taken:
            held[key] = self._taken.read(step, name, at)
        return held[key]

    def in_order(self, step: int, name: str) -> Iterator[tuple[Coordinates, Any]]:
        """Yield the coordinates of calls and what they gave, in the order of the step's domain."""
        domain = named_domain(self._plans[step], name)
        held = self._named.get((step, name), {})
        for at in domain:
            key = key_of(domain, at)
            if key in held:
                yield at, held[key]

    def linked(self, link: LinkedInput, plan: StepPlan, at: Coordinates) -> Any:
        """Return what a call at `at` receives for a linked input: one value, or those along the axis it stacks."""
        domain = self._domain(link.producer, link.name)
        axis = plan.stack
        if axis is None or len(domain.values(axis)) <= 1:
            return self.named(link.producer, link.name, at)
        along = [
            self.named(link.producer, link.name, at._replace(**{axis: value})) for value in plan.domain.values(axis)
        ]
        return _stack(along)

    def _domain(self, step: int, name: str) -> Domain:
        if (step, name) in self._taken:
            return self._taken.domain(step, name)
        return named_domain(self._plans[step], name)

    def release(self, done: int, site: Site | None) -> None:
        """Forget what no step after `done` needs: of one site, or (None) of all and of the whole well."""
        for step, last in self._last_use.items():
            if last <= done:
                self._forget(step, site)

    def drop_site(self, site: Site) -> None:
        """Forget everything of a site that is left out."""
        for held in (*self._images.values(), *self._named.values()):
            for at in [at for at in held if at.site == site]:
                del held[at]

    def _forget(self, step: int, site: Site | None) -> None:
        # Tables stay until the well is done: they are small, and written whole.
        table = self._plans[step].table if step in self._plans else None
        kept = table.name if table else None
        held = [self._images.get(step, {})]
        held += [named for (producer, name), named in self._named.items() if producer == step and name != kept]
        for store in held:
            for at in [at for at in store if site is None or at.site == site]:
                del store[at]


def _stack(values: list[Any]) -> Any:
    import numpy as np

    if all(isinstance(value, np.ndarray) for value in values):
        return np.stack(values)
    return values
