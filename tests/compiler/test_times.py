"""Time points become an axis in seconds where the planes tell when they were taken."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.times import interval_s, time_offsets_s

KEPT = "name: demo\nsteps:\n  - {name: smooth, func: fake.blur, keep: true}\n"
START = datetime.fromisoformat("2026-03-02T12:00:00.250")


def acquired(index: Any, minutes: list[float], *, lag_s: float = 3.0) -> Any:
    """Say when each plane was taken: its time point, and so much later for each plane before it."""
    planes = tuple(
        plane.model_copy(
            update={
                "acquired": (START + timedelta(minutes=minutes[plane.t], seconds=number % 7 * lag_s)).isoformat()
                + "+02:00"
            }
        )
        for number, plane in enumerate(index.planes)
    )
    return index.model_copy(update={"planes": planes})


def test_the_interval_is_that_of_most_planes(fake: SimpleNamespace) -> None:
    index = acquired(fake.index(t=3), [0, 10, 20.2])
    offsets = time_offsets_s(index)
    assert offsets == {0: 0.0, 1: pytest.approx(600, abs=18), 2: pytest.approx(1212, abs=18)}
    assert interval_s(offsets, (0, 1, 2)) == pytest.approx(606, abs=18)
    assert interval_s(offsets, (0, 2)) == offsets[2]


@pytest.mark.parametrize(
    ("minutes", "points"),
    [([0, 10, 30], (0, 1, 2)), ([0, 10, 20], (0,)), ([0, 10, 20], (0, None)), ([0, 0, 0], (0, 1, 2))],
)
def test_uneven_or_unknown_intervals_are_none(
    fake: SimpleNamespace, minutes: list[float], points: tuple[int | None, ...]
) -> None:
    offsets = time_offsets_s(acquired(fake.index(t=3), minutes, lag_s=0))
    assert interval_s(offsets, points) is None


def test_planes_that_do_not_tell_leave_the_axis_without_a_unit(fake: SimpleNamespace) -> None:
    index = fake.index(t=2)
    assert time_offsets_s(index) == {}
    planes = tuple(plane.model_copy(update={"acquired": "yesterday"}) for plane in index.planes)
    assert time_offsets_s(index.model_copy(update={"planes": planes})) == {}
    array = fake.compile(KEPT, index)["B02"].step_plans[0].zarr_store.array
    assert (array.axes, array.scale[0], array.units[0]) == ("tcyx", 1.0, None)


def test_an_image_has_the_interval_of_its_plate(fake: SimpleNamespace) -> None:
    index = acquired(fake.index(t=3), [0, 15, 30], lag_s=0)
    array = fake.compile(KEPT, index)["B02"].step_plans[0].zarr_store.array
    assert (array.axes, array.scale[0], array.units[0]) == ("tcyx", 900.0, "second")


def test_a_context_says_version_and_colours(fake: SimpleNamespace) -> None:
    index = fake.index()
    channels = tuple(
        channel.model_copy(update={"colour": colour})
        for channel, colour in zip(index.channels, ("2DFF00", "#FF00"), strict=True)
    )
    context = fake.compile(KEPT, index.model_copy(update={"channels": channels}), ome_zarr="0.4")["B02"]
    array = context.step_plans[0].zarr_store.array
    assert (array.ome_zarr, array.shards) == ("0.4", array.chunks)
    assert dict(zip(context.metadata.channel_names, context.metadata.colours, strict=True)) == {
        "GFP": "2DFF00",
        "DNA": None,
    }
