"""In which order the calls of a well run, and when each value is needed for the last time.

Work goes from what is asked for to what it needs: a call runs just before the first call that takes anything from it.
What a stack needs is therefore made right before, and memory follows what steps stack, not the well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.core.domains import AXES, Coordinates
from hcs_lib.execution.values import Value, Wiring, calls_of

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
    plans: Mapping[int, StepPlan] = context.step_plans
    calls = [(index, at) for index, plan in plans.items() for at in calls_of(plan)]
    needs = {call: _needs(wiring, plans[call[0]], call[1]) for call in calls}
    makers = {value: call for call in calls for value in wiring.given(plans[call[0]], call[1])}
    taken = {value for needed in needs.values() for value in needed}
    used = {makers[value] for value in taken if value in makers}
    asked: list[Call] = [call for call in calls if call not in used]
    asked += [(None, value.at) for value in written - taken]
    place = _places(context, asked)
    moves: list[tuple[Call, tuple[Value, ...]]] = []
    read: set[Value] = set()
    done: set[Call] = set()
    for step, at in sorted(asked, key=lambda call: (place(call[1]), -1 if call[0] is None else call[0])):
        if step is None:
            moves.append(((step, at), (Value(None, None, at),)))
            continue
        for call in _with_what_it_needs((step, at), needs, makers, done):
            fresh = tuple(value for value in dict.fromkeys(needs[call]) if value not in makers and value not in read)
            read.update(fresh)
            moves.append((call, fresh))
    return _with_last_uses(moves, needs, {call: tuple(wiring.given(plans[call[0]], call[1])) for call in calls})


def _needs(wiring: Wiring, plan: StepPlan, at: Coordinates) -> list[Value]:
    links = [link for links in plan.special_inputs.values() for link in links]
    return [*wiring.images(plan, at), *(value for link in links for value in wiring.linked(plan, link, at))]


def _with_what_it_needs(
    call: tuple[int, Coordinates],
    needs: Mapping[tuple[int, Coordinates], list[Value]],
    makers: Mapping[Value, tuple[int, Coordinates]],
    done: set[Call],
) -> Iterator[tuple[int, Coordinates]]:
    """Yield what is still to be done for a call, and the call itself. As deep as a pipeline is long."""
    if call in done:
        return
    for value in needs[call]:
        if value in makers:
            yield from _with_what_it_needs(makers[value], needs, makers, done)
    done.add(call)
    yield call


def _with_last_uses(
    moves: list[tuple[Call, tuple[Value, ...]]],
    needs: Mapping[Any, list[Value]],
    gives: Mapping[Any, tuple[Value, ...]],
) -> tuple[Task, ...]:
    later: set[Value] = set()
    tasks = []
    for call, reads in reversed(moves):
        touched = {*reads, *needs.get(call, ()), *gives.get(call, ())}
        tasks.append(Task(*call, reads, frozenset(touched - later)))
        later |= touched
    return tuple(reversed(tasks))


def _places(context: FrozenContext, calls: list[Call]) -> Any:
    """Return the key by which calls are sorted: by site, time, channel, z; what has merged an axis follows."""
    rank: dict[str, dict[Any, int]] = {}
    for axis in AXES:
        names = context.metadata.channel_names if axis == "channel" else ()
        values = {getattr(at, axis) for _, at in calls} - {None}
        ordered = [name for name in names if name in values]
        rank[axis] = {value: number for number, value in enumerate([*ordered, *sorted(values - {*ordered})])}

    def place(at: Coordinates) -> tuple[int, ...]:
        return tuple(rank[axis].get(getattr(at, axis), len(rank[axis])) for axis in ("site", "t", "channel", "z"))

    return place
