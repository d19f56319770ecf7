"""What passes between stages: read from the stores of earlier stages when a step asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import Passed
from hcs_lib.contexts.values import Value
from hcs_lib.core.domains import Coordinates, Domain, Site, key_of
from hcs_lib.storage.work import read_left_out, read_value, value_path, work_path


def numbers(domain: Domain) -> dict[Coordinates, int]:
    """Return the number of each value of a domain, by its key: axes with a single value do not count."""
    return {key_of(domain, at): number for number, at in enumerate(domain)}


class Taken:
    """What a stage takes from earlier ones."""

    def __init__(self, takes: Sequence[Passed], results: Path) -> None:
        self._takes: dict[tuple[int | None, str | None], Passed] = {
            (passed.step_index, passed.name): passed for passed in takes
        }
        self._numbers = {key: numbers(passed.domain) for key, passed in self._takes.items()}
        self._results = results

    def read(self, value: Value) -> Any:
        """Read a value."""
        from hcs_lib.storage.images import read_plane

        passed = self._takes[value.step, value.name]
        store, domain = passed.store, passed.domain
        if store is None:
            number = self._numbers[value.step, value.name][value.at]
            folder = self._results / work_path(passed.stage, passed.axis_id)
            return read_value(folder / value_path(passed.step_name, passed.name, number))

        def number_of(axis: str) -> int:
            # An axis with a single value serves all of them, and the value does not say which.
            values = domain.values(axis)
            return values.index(getattr(value.at, axis)) if len(values) > 1 else 0

        site = domain.site[number_of("site")]
        field = "all" if site is None else str(site)
        axes = {"t": "t", "c": "channel", "z": "z"}
        place = tuple(number_of(axes[axis]) for axis in store.array.axes[:-2])
        return read_plane(self._results / store.path / store.groups[field], place, store.label)


def outputs_taken(context: FrozenContext, stage: str) -> set[str]:
    """Return the outputs of an earlier stage that a context reads, relative to the plate's results."""
    found = set()
    for passed in context.takes:
        if passed.stage == stage:
            found.add(work_path(stage, passed.axis_id))
            if passed.store is not None:
                label = f"/labels/{passed.store.label}" if passed.store.label else ""
                found |= {f"{passed.store.path}/{group}{label}" for group in passed.store.groups.values()}
    return found


def left_out_before(context: FrozenContext, results: Path) -> dict[Site, str]:
    """Return the sites of the well that stages before had to leave out, with the reason."""
    found: dict[Site, str] = {}
    for passed in context.takes:
        if passed.axis_id == context.axis_id:
            found |= read_left_out(results / work_path(passed.stage, passed.axis_id))
    return found


def passed_on(context: FrozenContext) -> Iterator[tuple[Passed, int, Coordinates]]:
    """Yield what a stage passes on, where it is not written anyhow, with its number."""
    for passed in context.passes:
        if passed.store is None:
            for number, at in enumerate(passed.domain):
                yield passed, number, at
