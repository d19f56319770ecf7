"""What a scheduler is told of how long a job takes: by pixels, functions and wells."""

from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.durations import SECONDS_PER_MEGAPIXEL, START_MINUTES, job_minutes

SIDE = 2000
"""Of a plane: four million pixels."""


def minutes(fake: SimpleNamespace, text: str, *, sites: int = 1, wells: int = 1, **index: Any) -> float:
    contexts = fake.compile(text, fake.index(shape=(SIDE, SIDE), sites=sites, **index))
    return job_minutes(contexts["B02"], sites, wells) - START_MINUTES


def expected(plane_functions: int) -> float:
    return pytest.approx(plane_functions * 4 * SECONDS_PER_MEGAPIXEL / 60, abs=1)


def test_pixels_of_all_planes_count_for_each_function_of_a_chain(fake: SimpleNamespace) -> None:
    one = "name: d\nsteps:\n  - {name: a, func: fake.blur, keep: true}\n"
    # Two channels.
    assert minutes(fake, one, sites=9, z=5, wells=100) == expected(9 * 5 * 2 * 100)
    chain = one.replace("fake.blur", "[fake.blur, fake.gamma, fake.blur]")
    assert minutes(fake, chain, sites=9, z=5, wells=100) == expected(9 * 5 * 2 * 3 * 100)
    routes = one.replace("func: fake.blur", "group_by: channel, func: {DNA: fake.blur, GFP: [fake.blur, fake.blur]}")
    assert minutes(fake, routes, wells=300) == expected(2 * 2 * 300), "of routes, the longest"


def test_what_was_projected_is_small_and_what_was_merged_is_not(fake: SimpleNamespace) -> None:
    project = (
        "name: d\nsteps:\n  - {name: a, stack: z, func: fake.project}\n  - {name: b, func: fake.blur, keep: true}\n"
    )
    assert minutes(fake, project, z=10, wells=100) == expected((10 + 1) * 2 * 100)
    merge = "name: d\nsteps:\n  - {name: a, stack: site, func: fake.mean}\n  - {name: b, func: fake.blur, keep: true}\n"
    assert minutes(fake, merge, sites=9, wells=100) == expected((9 + 9) * 2 * 100)


def test_a_small_job_has_time_to_start(fake: SimpleNamespace) -> None:
    assert minutes(fake, "name: d\nsteps:\n  - {name: a, func: fake.blur, keep: true}\n") == 1
