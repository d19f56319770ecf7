import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.storage.planning import plan_array, plan_level


def test_field_of_a_camera_is_one_shard_of_kilopixel_chunks() -> None:
    spec = plan_array({"c": 5, "y": 2048, "x": 2048}, "uint16", labels=False, channels="abcde", pixel_size_um=0.65)
    assert spec.axes == "cyx"
    assert spec.chunks == (1, 1024, 1024)
    assert spec.shards == (5, 2048, 2048)
    assert spec.codec == "blosc-zstd-1-bitshuffle-524288"
    assert spec.scale == (1.0, 0.65, 0.65)
    assert spec.units == (None, "micrometer", "micrometer")
    assert spec.levels == 2


def test_a_site_of_many_planes_is_one_shard_at_every_level() -> None:
    spec = plan_array({"c": 5, "z": 9, "y": 2048, "x": 2048}, "uint16", labels=False, channels="abcde")
    assert [plan_level(spec, level).shards for level in range(2)] == [(5, 9, 2048, 2048), (5, 9, 1024, 1024)]
    labels = plan_array({"z": 45, "y": 2048, "x": 2048}, "int32", labels=True)
    assert [plan_level(labels, level).shards for level in range(2)] == [(45, 2048, 2048), (45, 1024, 1024)]


def test_small_image_is_one_chunk_and_one_level() -> None:
    spec = plan_array({"c": 2, "y": 640, "x": 640}, "uint8", labels=False, channels=("DNA", "GFP"))
    assert (spec.chunks, spec.shards, spec.levels) == ((1, 640, 640), (2, 640, 640), 1)
    assert spec.scale == (1.0, 1.0, 1.0)
    assert spec.units == (None, None, None)


def test_labels_have_only_the_axes_they_need() -> None:
    assert plan_array({"c": 1, "y": 8, "x": 9}, "int32", labels=True).axes == "yx"
    spec = plan_array({"t": 2, "c": 1, "z": 3, "y": 8, "x": 9}, "int32", labels=True, pixel_size_um=0.5)
    assert (spec.axes, spec.shape, spec.channels) == ("tzyx", (2, 3, 8, 9), ())
    assert spec.units == (None, None, "micrometer", "micrometer")


@pytest.mark.parametrize(
    ("sizes", "dtype", "channels", "message"),
    [
        ({"y": 4}, "uint8", ("a",), "y and x"),
        ({"y": 4, "x": 0}, "uint8", ("a",), "at least 1"),
        ({"y": 4, "x": 4, "s": 2}, "uint8", ("a",), "may give"),
        ({"y": 4, "x": 4}, "object", ("a",), "no dtype"),
        ({"y": 4, "x": 4, "c": 2}, "uint8", ("a",), "1 channel names for 2"),
    ],
)
def test_what_is_no_image_is_refused(
    sizes: dict[str, int], dtype: str, channels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plan_array(sizes, dtype, labels=False, channels=channels)


@given(
    y=st.integers(1, 30_000),
    x=st.integers(1, 30_000),
    c=st.integers(1, 6),
    z=st.integers(1, 80),
    t=st.integers(1, 20),
    dtype=st.sampled_from(["uint8", "uint16", "float32", "float64"]),
)
def test_chunks_and_shards_fit_any_image(y: int, x: int, c: int, z: int, t: int, dtype: str) -> None:
    sizes = {"t": t, "c": c, "z": z, "y": y, "x": x}
    spec = plan_array(sizes, dtype, labels=False, channels=[str(i) for i in range(c)])
    assert [axis for axis in "tczyx" if axis in "cyx" or sizes[axis] > 1] == list(spec.axes)
    for level in range(spec.levels):
        at = plan_level(spec, level)
        assert at.shape[-2:] == (math.ceil(y / 2**level), math.ceil(x / 2**level))
        for size, chunk, shard in zip(at.shape, at.chunks, at.shards, strict=True):
            assert 1 <= chunk <= min(1024, size)
            assert shard % chunk == 0
            # Equal parts: the padding of a whole axis is less than the number of its parts.
            assert math.ceil(size / chunk) * chunk - size < math.ceil(size / chunk)
        assert math.prod(at.shards) * int("".join(filter(str.isdigit, dtype))) / 8 <= 2**30
    assert max(plan_level(spec, spec.levels - 1).shape[-2:]) <= 1024
    assert spec.levels == 1 or max(plan_level(spec, spec.levels - 2).shape[-2:]) > 1024
