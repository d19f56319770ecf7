"""Memory of jobs: it follows what a step stacks and the dtypes, not how many wells and sites there are."""

from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.contexts.resources import BASE_MB, itemsize, resources_of

MB = 2**20
PLANE = 2048 * 2048
WORK = 6 * PLANE * 8 // MB
"""What a function of planes works with, in MB."""


def needs(fake: SimpleNamespace, text: str, axis_id: str = "B02", **index: Any) -> Any:
    contexts = fake.compile(text, fake.index(shape=(2048, 2048), **index))
    return resources_of(contexts[axis_id])


def test_one_site_at_a_time(fake: SimpleNamespace) -> None:
    few, many = (needs(fake, fake.nuclei, sites=sites) for sites in (2, 36))
    assert few.memory_mb == many.memory_mb
    assert many.read == 36 * 2 * PLANE * 2
    # Labels, and the raw image of two channels below them, with two resolution levels.
    assert many.written == pytest.approx(36 * (PLANE * 4 + 2 * PLANE * 2) * 4 / 3)
    # The last step: the two planes of a site and those of the next, their stack twice, and the labels; and what is
    # written of a site, labels and raw image, with two resolution levels.
    assert many.memory_mb == pytest.approx(BASE_MB + 8 * (2 + 2 + 2 * 2) + 16 + WORK + (16 + 16) * 4 / 3, abs=1)


def test_planes_that_nobody_stacks_are_not_held(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, func: fake.blur}\n  - {name: b, func: fake.shape, outputs: {table: t}}\n"
    text = text.replace("fake.shape", "fake.shapes")
    one, many = (needs(fake, text, z=z).memory_mb for z in (1, 20))
    assert one == many


def test_a_stack_of_sites_holds_them_all(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: one, channels: [DNA], stack: site, func: fake.mean, keep: true}\n"
    four, nine = (needs(fake, text, sites=sites).memory_mb for sites in (4, 9))
    # Each site: its plane and that of the next well, and the stack twice, 8 MB each.
    assert nine - four == 5 * 4 * 8


def test_a_stage_of_the_plate_holds_the_sites_that_it_looks_at(fake: SimpleNamespace) -> None:
    text = (
        "name: demo\nsteps:\n"
        "  - {name: light, scope: plate, channels: [DNA], stack: site, sample: SAMPLE, func: fake.mean, outputs: {image: flat}}\n"  # noqa: E501
        "  - {name: even, input: raw, channels: [DNA], func: fake.divide, inputs: {field: flat}, keep: true}\n"
    )
    found = [needs(fake, text.replace("SAMPLE", str(sample)), "plate", sites=20).memory_mb for sample in (10, 50)]
    assert found[1] - found[0] == 40 * 4 * 8
    assert found[1] < BASE_MB + 50 * 4 * 8 + WORK + 40


def test_dtypes_count(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, stack: z, func: fake.project, keep: true}\n"
    narrow, wide = (needs(fake, text, z=10, dtype=dtype).memory_mb for dtype in ("uint8", "uint16"))
    assert 30 * 4 < wide - narrow < 60 * 4


def test_volumes_that_are_filtered_as_one_need_more(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, stack: z, func: fake.blur, KEY: true, keep: true}\n"
    volume, slices = (
        needs(fake, text.replace("KEY", key), z=10).memory_mb for key in ("may_rescale", "slice_by_slice")
    )
    assert volume - slices == 3 * 10 * PLANE * 8 // MB - WORK


@pytest.mark.parametrize(("dtype", "size"), [("uint8", 1), ("bool", 1), ("uint16", 2), ("float64", 8)])
def test_the_size_of_a_pixel(dtype: str, size: int) -> None:
    assert itemsize(dtype) == size
