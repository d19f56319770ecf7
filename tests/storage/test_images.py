import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numcodecs import Blosc

from hcs_lib.core.errors import DataError
from hcs_lib.storage.arrays import ArrayWriter, read_array
from hcs_lib.storage.images import (
    Pyramid,
    halve_image,
    halve_labels,
    read_image,
    write_image,
)
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.plate import write_plate
from hcs_lib.storage.spec import ArraySpec, OmeZarr


def whole(spec: ArraySpec, pixels: np.ndarray[Any, Any]) -> Pyramid:
    pyramid = Pyramid(spec)
    pyramid.put((), pixels)
    return pyramid


def test_writing_plate_metadata_again_changes_nothing(tmp_path: Path) -> None:
    store = tmp_path / "p.zarr"
    write_plate(store, "p", {"A01": ["1"], "AF48": ["1", "2"]})
    before = {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    write_plate(store, "p", {"AF48": ["1", "2"], "A01": ["1"]})
    assert {file: file.stat().st_mtime_ns for file in store.rglob("*")} == before
    write_plate(store, "p", {"A01": ["1", "2"], "H12": []})
    # A well without images keeps the plate's size, and stands nowhere else.
    plate = json.loads((store / "zarr.json").read_text())["attributes"]["ome"]["plate"]
    assert (len(plate["rows"]), len(plate["columns"])) == (8, 12)
    assert [well["path"] for well in plate["wells"]] == ["A/01"]
    assert not (store / "H").exists()
    well = json.loads((store / "A/01/zarr.json").read_text())
    assert [image["path"] for image in well["attributes"]["ome"]["well"]["images"]] == ["1", "2"]


def test_unknown_pixel_size_has_no_unit_and_no_stage_position(tmp_path: Path) -> None:
    spec = plan_array({"c": 1, "y": 8, "x": 8}, "uint8", labels=False, channels=("a",))
    write_image(tmp_path / "i", whole(spec, np.zeros((1, 8, 8), np.uint8)), name="i", translation_um=(5.0, 5.0))
    ome = json.loads((tmp_path / "i/zarr.json").read_text())["attributes"]["ome"]
    assert all("unit" not in axis for axis in ome["multiscales"][0]["axes"])
    assert ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][1]["translation"] == [0.0, 0.0, 0.0]


def test_image_of_zeros_is_written_and_a_deleted_one_is_noticed(tmp_path: Path) -> None:
    spec = plan_array({"c": 1, "y": 8, "x": 8}, "uint8", labels=False, channels=("a",))
    write_image(tmp_path / "i", whole(spec, np.zeros((1, 8, 8), np.uint8)), name="i")
    assert read_image(tmp_path / "i").sum() == 0
    shutil.rmtree(tmp_path / "i/0/c")
    with pytest.raises(DataError, match="0 of 1 files"):
        read_image(tmp_path / "i")


def test_array_other_than_planned_is_refused(tmp_path: Path) -> None:
    spec = plan_array({"c": 1, "y": 8, "x": 8}, "uint8", labels=False, channels=("a",))
    with pytest.raises(ValueError, match="planned as"):
        write_image(tmp_path / "i", whole(spec, np.zeros((1, 8, 8), np.uint16)), name="i")


@pytest.mark.parametrize(
    ("sizes", "shard_bytes"),
    [
        ({"c": 2, "y": 100, "x": 90}, None),
        ({"c": 2, "z": 5, "y": 1501, "x": 1203}, None),
        # Many shards, and rows and columns beyond the edge.
        ({"t": 3, "c": 2, "z": 2, "y": 1501, "x": 1203}, 16e6),
        ({"c": 2, "y": 1501, "x": 1203}, 3e6),
    ],
)
@pytest.mark.parametrize(("dtype", "version"), [("uint16", "0.5"), ("float32", "0.5"), ("uint16", "0.4")])
def test_planes_in_any_order_give_the_chunks_of_zarr_for_the_whole_array(
    sizes: dict[str, int],
    shard_bytes: float | None,
    dtype: str,
    version: OmeZarr,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shard_bytes:
        monkeypatch.setattr("hcs_lib.storage.planning._SHARD_BYTES", shard_bytes)
    spec = plan_array(sizes, dtype, labels=False, channels=("a", "b"), ome_zarr=version)
    options: dict[str, Any] = {
        "0.5": {
            "shards": spec.shards,
            "dimension_names": list(spec.axes),
            "compressors": zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", blocksize=2**19),
        },
        "0.4": {
            "zarr_format": 2,
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
            "compressors": Blosc(cname="zstd", clevel=1, shuffle=Blosc.BITSHUFFLE, blocksize=2**19),
        },
    }[version]
    random = np.random.default_rng(3)
    array = random.poisson(200, spec.shape).astype(dtype)
    array[:1] = 0
    zarr.create_array(
        zarr.storage.LocalStore(tmp_path / "zarr"),
        shape=spec.shape,
        dtype=spec.dtype,
        chunks=spec.chunks,
        filters=None,
        fill_value=0,
        config={"write_empty_chunks": True},
        **options,
    )[...] = array
    writer = ArrayWriter(spec)
    for place in random.permutation(list(np.ndindex(spec.shape[:-2]))).tolist():
        writer.put(tuple(place), array[tuple(place)])
    writer.write(tmp_path / "ours")
    assert contents(tmp_path / "ours", spec) == contents(tmp_path / "zarr", spec)
    np.testing.assert_array_equal(read_array(tmp_path / "ours"), array)


def contents(folder: Path, spec: ArraySpec) -> dict[str, Any]:
    """Return what each file of an array holds: its bytes, or its chunks by place, in whatever order they lie."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if spec.ome_zarr == "0.4":
        return files
    inner = math.prod(shard // chunk for shard, chunk in zip(spec.shards, spec.chunks, strict=True))
    found: dict[str, Any] = {"zarr.json": files.pop("zarr.json")}
    for name, content in files.items():
        index = np.frombuffer(content[-16 * inner - 4 : -4], "<u8").reshape(-1, 2)
        found[name] = [content[start : start + size] for start, size in index.tolist() if start != 2**64 - 1]
        assert sum(map(len, found[name])) + 16 * inner + 4 == len(content)
    return found


def test_image_without_all_its_planes_is_not_written(tmp_path: Path) -> None:
    spec = plan_array({"c": 2, "y": 8, "x": 8}, "uint8", labels=False, channels=("a", "b"))
    writer = ArrayWriter(spec)
    writer.put((1,), np.ones((8, 8), np.uint8))
    with pytest.raises(ValueError, match="1 of 2 chunks"):
        writer.write(tmp_path / "i")
    assert not (tmp_path / "i").exists()


@settings(max_examples=60, deadline=None)
@given(
    array=st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.int64]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)))
    )
)
def test_halving_is_the_exact_mean_rounded_half_up(array: np.ndarray[Any, Any]) -> None:
    found = halve_image(array)
    assert found.dtype == array.dtype
    padded = np.pad(array, ((0, 0), (0, array.shape[1] % 2), (0, array.shape[2] % 2)), mode="edge").astype(object)
    total = padded[:, ::2, ::2] + padded[:, 1::2, ::2] + padded[:, ::2, 1::2] + padded[:, 1::2, 1::2]
    np.testing.assert_array_equal(found.astype(object), (total + 2) // 4)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "bool"])
@pytest.mark.parametrize("fill", [None, 0, 1])
def test_windows_hold_what_is_there_in_whatever_order_it_came(dtype: str, fill: int | None) -> None:
    spec = plan_array({"c": 2, "z": 3, "y": 300, "x": 520}, dtype, labels=False, channels=("a", "b"))
    random = np.random.default_rng(5)
    pixels = random.poisson(100, spec.shape).astype(dtype) if fill is None else np.full(spec.shape, fill, dtype)
    if dtype == "float32":
        pixels[:, 0, 0, :2] = np.nan, np.inf
    windows = []
    for places in (np.ndindex(2, 3), reversed(list(np.ndindex(2, 3)))):
        pyramid = Pyramid(spec)
        for place in places:
            pyramid.put(place, pixels[place])
        windows.append(pyramid.windows())
    assert windows[0] == windows[1]
    for channel, (low, high, start, end) in zip(pixels.astype(np.float64), windows[0], strict=True):
        finite = channel[np.isfinite(channel)]
        assert low == finite.min()
        assert high == max(finite.max(), finite.min() + 1)
        assert low <= start < end <= high
        assert (start, end) == pytest.approx(np.percentile(finite, (0.1, 99.9)), abs=6 if fill is None else 1)


def test_an_image_without_a_number_has_a_window() -> None:
    spec = plan_array({"c": 1, "y": 4, "x": 4}, "float32", labels=False, channels=("a",))
    assert whole(spec, np.full((1, 4, 4), np.nan, np.float32)).windows() == [(0.0, 1.0, 0.0, 1.0)]


def test_halving_labels_invents_none() -> None:
    labels = np.arange(35, dtype=np.int32).reshape(5, 7)
    np.testing.assert_array_equal(halve_labels(labels), labels[::2, ::2])
    np.testing.assert_array_equal(halve_image(labels > 3), labels[::2, ::2] > 3)


def tree(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
