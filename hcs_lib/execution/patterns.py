"""From a step's function pattern to what is called on which images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hcs_lib.contexts.plans import Chain, StepPlan
from hcs_lib.core.domains import Coordinates


class PatternGroup(NamedTuple):
    """Calls that share a chain of functions. `component` is their value on the routing axis; None without one."""

    component: Any
    calls: tuple[Coordinates, ...]
    chain: Chain


def prepare_patterns_and_functions(plan: StepPlan, calls: Sequence[Coordinates]) -> list[PatternGroup]:
    """Group the calls of a step by the component that it routes by, each group with its chain.

    Parameters
    ----------
    plan
        The step.
    calls
        Where it is called, from its domain without the stacked axis.

    Returns
    -------
        Groups in the order in which their components first appear; calls keep theirs.
    """
    if plan.group_by is None:
        return [PatternGroup(None, tuple(calls), plan.func.chain)]
    grouped: dict[Any, list[Coordinates]] = {}
    for call in calls:
        grouped.setdefault(getattr(call, plan.group_by), []).append(call)
    return [PatternGroup(value, tuple(at), plan.func.chain_for(value)) for value, at in grouped.items()]
