"""Memory of jobs: it follows what a step stacks and the dtypes, not how many wells and sites there are."""

from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.cli.showing import print_context
from hcs_lib.compiler.replay import Replay, peak_bytes
from hcs_lib.compiler.resources import DEVICE_MB, resources_of
from hcs_lib.compiler.working import working_bytes
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.engine import SOURCES

MB = 2**20
PIXELS = 2048 * 2048
PLANE = PIXELS * 2 // MB
"""A plane of uint16, in MB."""

WORK = 32 * PIXELS // MB
"""What a function works with that nobody measured."""

READER = 2 * PLANE
"""What the thread takes that reads planes of uint16."""

HEAP = 1.1


def context_of(fake: SimpleNamespace, text: str, axis_id: str = "B02", **index: Any) -> FrozenContext:
    context: FrozenContext = fake.compile(text, fake.index(shape=(2048, 2048), **index))[axis_id]
    return context


def peak(fake: SimpleNamespace, text: str, axis_id: str = "B02", **index: Any) -> float:
    """Megabytes of arrays at the peak."""
    return peak_bytes(context_of(fake, text, axis_id, **index))["host"] / MB


def steps(*lines: str) -> str:
    return "name: demo\nsteps:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


SHAPES = "name: a, channels: [DNA], func: fake.shapes, outputs: {table: t}"


def test_a_call_of_a_plane(fake: SimpleNamespace) -> None:
    """The plane, the next one that is read ahead, and what the function works with; a table is nothing."""
    assert peak(fake, steps(SHAPES), sites=3) == pytest.approx(HEAP * (2 * PLANE + WORK + READER))
    assert peak(fake, steps(SHAPES), sites=3, dtype="uint8") == pytest.approx(HEAP * (PLANE + WORK + READER / 2))


def test_a_chain_holds_one_image_and_one_result(fake: SimpleNamespace) -> None:
    chain = "[fake.to_float, fake.gamma, fake.shapes]"
    # float64 goes in and comes out of the second, while the next plane lies ready.
    assert peak(fake, steps(SHAPES.replace("fake.shapes", chain))) == pytest.approx(
        HEAP * (PLANE + 8 * PLANE + WORK + READER)
    )


def test_what_a_later_step_needs_is_held_and_copied(fake: SimpleNamespace) -> None:
    both = steps("name: first, channels: [DNA], func: fake.gamma", "name: a, func: fake.shapes, outputs: {table: t}",
                 "name: q, input: first, func: fake.focus, outputs: {table: q}")  # fmt: skip
    # Of the step in between: the image, its copy, which the function may write into, and the plane ahead.
    assert peak(fake, both) == pytest.approx(HEAP * (3 * PLANE + WORK + READER))


def test_one_site_at_a_time(fake: SimpleNamespace) -> None:
    few, many = (resources_of(context_of(fake, fake.nuclei, sites=sites)) for sites in (2, 36))
    assert few.memory_mb == many.memory_mb
    assert many.read == 36 * 2 * PIXELS * 2
    # Labels, and the raw image of two channels below them, with two resolution levels.
    assert many.written == pytest.approx(36 * (PIXELS * 4 + 2 * PIXELS * 2) * 4 / 3)


def test_planes_that_nobody_stacks_are_not_held(fake: SimpleNamespace) -> None:
    text = steps("name: a, func: fake.blur", "name: b, func: fake.shapes, outputs: {table: t}")
    one, many = (peak(fake, text, z=z) for z in (1, 20))
    assert one == many


def test_a_stack_of_sites_holds_them_all(fake: SimpleNamespace) -> None:
    text = steps("name: one, channels: [DNA], stack: site, func: fake.mean, keep: true")
    four, nine = (peak(fake, text, sites=sites) for sites in (4, 9))
    # Of each site: its part of the stack, the plane of the next well, and what the function works with.
    assert nine - four == pytest.approx(HEAP * 5 * (2 * PLANE + WORK))


def test_a_stage_of_the_plate_holds_the_sites_that_it_looks_at(fake: SimpleNamespace) -> None:
    text = steps(
        "name: light, scope: plate, channels: [DNA], stack: site, sample: SAMPLE, func: fake.mean, outputs: {image: f}",
        "name: even, input: raw, channels: [DNA], func: fake.divide, inputs: {field: f}, keep: true",
    )
    ten, fifty = (peak(fake, text.replace("SAMPLE", str(sample)), "plate", sites=20) for sample in (10, 50))
    assert fifty - ten == pytest.approx(HEAP * 40 * (2 * PLANE + WORK))


def test_volumes_that_are_filtered_as_one_need_more(fake: SimpleNamespace) -> None:
    text = steps("name: a, channels: [DNA], stack: z, func: fake.blur, KEY: true, keep: true")
    volume, slices = (peak(fake, text.replace("KEY", key), z=10) for key in ("may_rescale", "slice_by_slice"))
    # The results of slices are stacked, while a function of volumes works on all of them.
    assert volume - slices == pytest.approx(HEAP * (10 * WORK - WORK))


def test_an_image_that_is_written_is_held_compressed(fake: SimpleNamespace) -> None:
    text = "name: a, stack: z, func: fake.project, keep: true"
    two, four = (
        peak(fake, steps(text), channels={str(number): f"C{number}" for number in range(count)}, z=5)
        for count in (2, 4)
    )
    # With its resolution levels, to 0.6 of its size, and once more while it is put together.
    assert four - two == pytest.approx(HEAP * 2 * PLANE * 0.6 * 4 / 3 * 2)


@pytest.mark.parametrize(
    "text",
    [
        steps(SHAPES),
        steps("name: a, func: fake.blur", "name: b, stack: site, func: fake.mean, keep: true"),
        steps("name: a, stack: z, func: fake.blur", "name: b, func: fake.gamma, keep: true"),
        steps("name: a, stack: z, func: fake.blur", "name: b, stack: channel, func: fake.unmix",
              "name: c, stack: z, func: fake.project, keep: true"),
    ],
)  # fmt: skip
def test_what_is_allocated_is_freed(fake: SimpleNamespace, text: str) -> None:
    replay = Replay(context_of(fake, text, z=3))
    replay.peak()
    assert replay.held == []
    # What is left is read ahead for the next well.
    first = next(task for task in replay.tasks if task.reads)
    assert replay.memory.now == pytest.approx({"host": len(first.reads) * PIXELS * 2, "device": 0})


def test_memory_of_a_gpu(fake: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    text = steps("name: a, channels: [DNA], func: fake.cuda", "name: b, func: fake.shapes, outputs: {table: t}")
    index = fake.index(shape=(2048, 2048))
    context = fake.stages(text, index, device="gpu", gpus=1)["s01-gpu", "B02"]
    # There: the image, its result and what the function works with. Here: the plane, the next, and the result again.
    assert peak_bytes(context)["device"] == pytest.approx((2 * PLANE + WORK) * MB)
    assert resources_of(context).gpu_mb == DEVICE_MB + 2 * PLANE + WORK
    print_context(context)
    assert f"MB of memory, 1 GPU with about {DEVICE_MB + 2 * PLANE + WORK} MB" in capsys.readouterr().out
    assert resources_of(context_of(fake, steps(SHAPES))).gpu_mb == 0


def call_of(fake: SimpleNamespace, **changes: Any) -> Any:
    (call,) = context_of(fake, steps(SHAPES)).step_plans[0].func.chain
    return call.model_copy(update=changes)


def test_what_functions_work_with(fake: SimpleNamespace) -> None:
    tv = call_of(fake, call="skimage.restoration.denoise_tv_chambolle")
    assert working_bytes(tv, volume=True, narrow=True) > working_bytes(tv, volume=False, narrow=True) > 32
    names = ("scipy.ndimage.distance_transform_edt", "cupyx.scipy.ndimage.distance_transform_edt")
    one, twin = (working_bytes(call_of(fake, call=name), volume=False, narrow=True) for name in names)
    assert one == twin > 0
    cucim = call_of(fake, call="cucim.skimage.filters.sobel", twin_of="skimage.filters.sobel")
    assert working_bytes(cucim, volume=True, narrow=False) > 0
    assert working_bytes(call_of(fake, call="mine.unheard"), volume=True, narrow=True) == 32


def test_estimates_are_no_part_of_contexts() -> None:
    """Another estimate must not run wells again."""
    assert not [source for source in SOURCES if source.startswith("compiler")]
