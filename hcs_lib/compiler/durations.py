"""How long a job may take, for a scheduler that wants to know: an upper guess, from pixels alone."""

from __future__ import annotations

import math

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import StepPlan

SECONDS_PER_MEGAPIXEL = 0.5
"""Of one function. In the demo's pipeline and that of BBBC013 it is 0.11 and 0.13; a few functions take far more.

A job that is ended for its time is not lost: its finished wells are kept, and the next attempt has more of it.
"""

START_MINUTES = 30
"""For what does not depend on pixels: starting, loading libraries, a slow file system."""


def job_minutes(context: FrozenContext, sites: int, wells: int) -> int:
    """Guess how many minutes a job may take.

    Parameters
    ----------
    context
        Of one well in a stage, or of the plate.
    sites
        Of a well.
    wells
        How many such wells the job executes, one after another.
    """
    planes = sum(_planes(plan, sites) * _functions(plan) for plan in context.step_plans.values())
    pixels = planes * math.prod(context.plane_shape)
    return START_MINUTES + math.ceil(wells * pixels / 1e6 * SECONDS_PER_MEGAPIXEL / 60)


def _planes(plan: StepPlan, sites: int) -> int:
    """Return how many planes a step takes; an image in which sites are merged has the pixels of all of them."""
    size: int = plan.domain.size
    return size * sites if plan.domain.site == (None,) else size


def _functions(plan: StepPlan) -> int:
    return max(len(chain) for chain in (plan.func.chain, *plan.func.routes.values()))
