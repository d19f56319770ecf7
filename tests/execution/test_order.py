"""The order of calls: what is asked for pulls what it needs, and nothing is held longer than that."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.order import Task, tasks_of
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.contexts.values import Value, Wiring, calls_of
from hcs_lib.core.domains import Coordinates, Domain

DOMAIN = Domain((1, 2), ("DNA", "GFP"), (1, 2, 3), (1,))


def order(bench: Any, plans: dict[int, StepPlan], written: frozenset[Value] = frozenset()) -> tuple[Task, ...]:
    context: FrozenContext = bench.contexts["A01"].model_copy(update={"step_plans": plans})
    return tasks_of(context, Wiring(plans), written)


def most_held(tasks: tuple[Task, ...], plans: dict[int, StepPlan]) -> int:
    """Go through tasks as execution does; return how many values there were at most, beside what a call gave."""
    wiring = Wiring(plans)
    held: set[Value] = set()
    most = 0
    for task in tasks:
        assert not held & set(task.reads), "read twice"
        held |= set(task.reads)
        most = max(most, len(held))
        given_now: set[Value] = set()
        if task.step is not None:
            plan = plans[task.step]
            assert set(wiring.images(plan, task.at)) <= held
            for links in plan.special_inputs.values():
                for one in links:
                    assert set(wiring.linked(plan, one, task.at)) <= held
            given_now = set(wiring.given(plan, task.at))
        held = (held | given_now) - task.last
    assert not held, "nothing is left at the end"
    return most


def calls(tasks: tuple[Task, ...]) -> list[tuple[int | None, Coordinates]]:
    return [(task.step, task.at) for task in tasks]


def test_a_stack_is_read_and_left_before_the_next(bench: Any, plan_step: Any, plan_call: Any) -> None:
    chain = (plan_call("test:any"),)
    project = plan_step(0, "project", chain, DOMAIN, stack="z")
    smooth = plan_step(1, "smooth", chain, DOMAIN.without("z"), input=0)
    plans = {0: project, 1: smooth}
    tasks = order(bench, plans)
    expected = [
        (step, Coordinates(site, channel, None, 1)) for site in (1, 2) for channel in ("DNA", "GFP") for step in (0, 1)
    ]
    assert calls(tasks) == expected
    assert [[value.at.z for value in task.reads] for task in tasks] == [[1, 2, 3], []] * 4
    assert most_held(tasks, plans) == 3


def test_sites_are_stacked_one_channel_and_z_at_a_time(bench: Any, plan_step: Any, plan_call: Any) -> None:
    """Each plane is corrected when its stack is made, and not site by site, which would hold all of them."""
    chain = (plan_call("test:any"),)
    correct = plan_step(0, "correct", chain, DOMAIN)
    mosaic = plan_step(1, "mosaic", chain, DOMAIN, input=0, stack="site")
    plans = {0: correct, 1: mosaic}
    tasks = order(bench, plans)
    assert calls(tasks)[:3] == [
        (0, Coordinates(1, "DNA", 1, 1)),
        (0, Coordinates(2, "DNA", 1, 1)),
        (1, Coordinates(None, "DNA", 1, 1)),
    ]
    assert [step for step, _ in calls(tasks)] == [0, 0, 1] * 6
    assert most_held(tasks, plans) == 2


def test_channels_are_stacked_one_z_at_a_time(bench: Any, plan_step: Any, plan_call: Any) -> None:
    chain = (plan_call("test:any"),)
    correct = plan_step(0, "correct", chain, DOMAIN)
    unmix = plan_step(1, "unmix", chain, DOMAIN, input=0, stack="channel", output_domain=DOMAIN)
    count = plan_step(2, "count", chain, DOMAIN, input=1)
    plans = {0: correct, 1: unmix, 2: count}
    tasks = order(bench, plans)
    assert [step for step, _ in calls(tasks)] == [0, 0, 1, 2, 2] * 6
    assert most_held(tasks, plans) == 2


def test_raw_planes_that_are_only_written_are_read_where_they_stand(bench: Any, plan_step: Any, plan_call: Any) -> None:
    chain = (plan_call("test:any"),)
    domain = DOMAIN.replace(z=(1,))
    plans = {0: plan_step(0, "smooth", chain, domain.replace(channel=("GFP",)))}
    written = frozenset(Value(None, None, at) for at in domain)
    tasks = order(bench, plans, written)
    assert calls(tasks) == [
        (None, Coordinates(1, "DNA", 1, 1)),
        (0, Coordinates(1, "GFP", 1, 1)),
        (None, Coordinates(2, "DNA", 1, 1)),
        (0, Coordinates(2, "GFP", 1, 1)),
    ]
    assert most_held(tasks, plans) == 1


@st.composite
def pipelines(draw: Any) -> list[dict[str, Any]]:
    """Steps that each take images of any step before, stacking any axis that is still there, which they may keep."""
    steps: list[dict[str, Any]] = []
    domains = [DOMAIN]
    for index in range(draw(st.integers(1, 6))):
        source = draw(st.integers(-1, index - 1))
        domain = DOMAIN if source < 0 else domains[source + 1]
        there = [axis for axis in ("site", "channel", "z") if domain.values(axis) != (None,)]
        stack = draw(st.sampled_from([None, *there]))
        keeps = stack is not None and draw(st.booleans())
        out = domain if keeps else domain.without(stack)
        steps.append({"input": source if source >= 0 else None, "domain": domain, "stack": stack, "output_domain": out})
        domains.append(out)
    return steps


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=pipelines())
def test_every_call_once_after_what_it_needs_and_nothing_stays(
    bench: Any, plan_step: Any, plan_call: Any, steps: list[dict[str, Any]]
) -> None:
    plans = {
        index: plan_step(index, f"s{index}", (plan_call("test:any"),), **facts) for index, facts in enumerate(steps)
    }
    tasks = order(bench, plans)
    assert sorted(calls(tasks), key=str) == sorted(
        ((index, at) for index, plan in plans.items() for at in calls_of(plan)), key=str
    )
    most_held(tasks, plans)
    assert tasks == order(bench, plans)
