"""What passes between stages: read from the stores of earlier stages when a step asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import Passed
from hcs_lib.core.domains import Coordinates, Domain, Site, key_of
from hcs_lib.storage.work import read_left_out, read_value, value_path, work_path


def numbers(domain: Domain) -> dict[Coordinates, int]:
    """Return the number of each value of a domain, by its key: axes with a single value do not count."""
    return {key_of(domain, at): number for number, at in enumerate(domain)}


class Taken:
    """What a stage takes from earlier ones."""

    def __init__(self, takes: Sequence[Passed], results: Path) -> None:
        self._takes = {(passed.step_index, passed.name): passed for passed in takes}
        self._numbers = {key: numbers(passed.domain) for key, passed in self._takes.items()}
        self._results = results

    def __contains__(self, key: tuple[int, str | None]) -> bool:
        return key in self._takes

    def domain(self, step: int, name: str | None) -> Domain:
        """Return where the values of a name stand (None: the images of the step)."""
        domain: Domain = self._takes[step, name].domain
        return domain

    def read(self, step: int, name: str | None, at: Coordinates) -> Any:
        """Return the value that belongs to some coordinates."""
        from hcs_lib.storage.images import read_plane

        passed = self._takes[step, name]
        store = passed.store
        if store is None:
            number = self._numbers[step, name][key_of(passed.domain, at)]
            folder = self._results / work_path(passed.stage, passed.axis_id)
            return read_value(folder / value_path(passed.step_name, name, number))
        field = "all" if passed.domain.site == (None,) else str(at.site)
        axes = {"t": "t", "c": "channel", "z": "z"}
        place = tuple(passed.domain.values(axes[axis]).index(getattr(at, axes[axis])) for axis in store.array.axes[:-2])
        return read_plane(self._results / store.path / store.groups[field], place, store.label)


def stores(context: FrozenContext, results: Path) -> dict[str, Path]:
    """Return the stores that a context takes anything from, by their stages."""
    return {passed.stage: results / work_path(passed.stage, passed.axis_id) for passed in context.takes}


def left_out_before(context: FrozenContext, results: Path) -> dict[Site, str]:
    """Return the sites of the well that stages before had to leave out, with the reason."""
    found: dict[Site, str] = {}
    for passed in context.takes:
        if passed.axis_id == context.axis_id:
            found |= read_left_out(results / work_path(passed.stage, passed.axis_id))
    return found


def passed_on(context: FrozenContext, step: int, site: Site | None) -> Iterator[tuple[Passed, int, Coordinates]]:
    """Yield what a step passes on of one site (None: of all), where it is not written anyhow, with its number."""
    for passed in context.passes:
        if passed.step_index == step and passed.store is None:
            for number, at in enumerate(passed.domain):
                if site is None or at.site == site:
                    yield passed, number, at
