"""In which order the calls of a well run, and when each value is needed for the last time.

Work goes from what is asked for to what it needs: a call runs just before the first call that takes anything from it.
What a stack needs is therefore made right before, and memory follows what steps stack, not the well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.contexts.values import Value, Wiring, calls_of
from hcs_lib.core.domains import AXES, Coordinates

Call = tuple[int | None, Coordinates]
"""A step (None: no step, a raw plane is only read) and where it is called."""


class Task(NamedTuple):
    """One call, and what it moves.

    Attributes
    ----------
    step, at
        The call. Without a step, raw planes are read for their own sake: they are written.
    reads
        Raw planes, and what comes from stages before, that nobody has read so far.
    last
        Values that no later task needs.
    """

    step: int | None
    at: Coordinates
    reads: tuple[Value, ...]
    last: frozenset[Value]


def tasks_of(context: FrozenContext, wiring: Wiring, written: frozenset[Value]) -> tuple[Task, ...]:
    """Return all calls of a context in order, each once, after the calls that it takes anything from.

    Parameters
    ----------
    context, wiring
        The well.
    written
        Raw planes that are written, whether a step reads them or not.
    """
    return _Order(context.step_plans, wiring, written).tasks(context.metadata.channel_names)


class _Order:
    """Calls put in order: those that no other call takes anything from are asked for, one after another."""

    def __init__(self, plans: Mapping[int, StepPlan], wiring: Wiring, written: frozenset[Value]) -> None:
        self._needs: dict[Call, list[Value]] = {}
        self._gives: dict[Call, list[Value]] = {}
        for index, plan in plans.items():
            for at in calls_of(plan):
                self._needs[index, at] = _needs(wiring, plan, at)
                self._gives[index, at] = list(wiring.given(plan, at))
        taken = {value for values in self._needs.values() for value in values}
        for value in written - taken:
            self._needs[None, value.at] = [value]
        self._makers = {value: call for call, values in self._gives.items() for value in values}
        used = {self._makers[value] for value in taken if value in self._makers}
        self._asked = [call for call in self._needs if call not in used]
        self._missing = {call: set(self._needs[call]) for call in self._asked}
        self._waiting: dict[Value, list[Call]] = {}
        self._there: set[Value] = set()
        self._done: set[Call] = set()
        self._moves: list[tuple[Call, tuple[Value, ...]]] = []

    def tasks(self, channels: Sequence[str]) -> tuple[Task, ...]:
        self._asked.sort(key=_place([at for _, at in self._asked], channels))
        for call in self._asked:
            for value in self._missing[call]:
                self._waiting.setdefault(value, []).append(call)
        for call in self._asked:
            self._do(call)
        return self._with_last_uses()

    def _do(self, call: Call) -> None:
        """Do a call after all that it needs, and then whatever was only waiting for that: it frees what it takes."""
        if call in self._done:
            return
        self._done.add(call)
        for value in self._needs[call]:
            if value in self._makers:
                self._do(self._makers[value])
        reads = tuple(value for value in dict.fromkeys(self._needs[call]) if value not in self._there)
        self._moves.append((call, reads))
        new = [*reads, *self._gives.get(call, ())]
        self._there.update(new)
        for value in new:
            for waiting in self._waiting.pop(value, ()):
                self._missing[waiting].discard(value)
                if not self._missing[waiting]:
                    self._do(waiting)

    def _with_last_uses(self) -> tuple[Task, ...]:
        later: set[Value] = set()
        tasks = []
        for call, reads in reversed(self._moves):
            touched = {*self._needs[call], *self._gives.get(call, ())}
            tasks.append(Task(*call, reads, frozenset(touched - later)))
            later |= touched
        return tuple(reversed(tasks))


def _needs(wiring: Wiring, plan: StepPlan, at: Coordinates) -> list[Value]:
    links = [link for links in plan.special_inputs.values() for link in links]
    return [*wiring.images(plan, at), *(value for link in links for value in wiring.linked(plan, link, at))]


def _place(calls: Sequence[Coordinates], channels: Sequence[str]) -> Callable[[Call], tuple[int, ...]]:
    """Return the key by which calls are sorted: by site, time, channel, z; what has merged an axis follows."""
    rank: dict[str, dict[Any, int]] = {}
    for axis in AXES:
        values = {getattr(at, axis) for at in calls} - {None}
        named = [name for name in channels if axis == "channel" and name in values]
        rank[axis] = {value: number for number, value in enumerate([*named, *sorted(values - {*named})])}

    def place(call: Call) -> tuple[int, ...]:
        step, at = call
        where = [rank[axis].get(getattr(at, axis), len(rank[axis])) for axis in ("site", "t", "channel", "z")]
        return (*where, -1 if step is None else step)

    return place
