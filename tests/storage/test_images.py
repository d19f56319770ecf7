import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hcs_lib.core.errors import DataError
from hcs_lib.storage import metadata
from hcs_lib.storage.arrays import ArrayWriter, read_array
from hcs_lib.storage.images import (
    Pyramid,
    halve_image,
    halve_labels,
    label_names,
    read_image,
    write_image,
    write_labels,
)
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.plate import write_plate
from hcs_lib.storage.spec import ArraySpec

PIXEL = 0.325
TRANSLATION = (120.0, -35.5)


def whole(spec: ArraySpec, pixels: np.ndarray[Any, Any]) -> Pyramid:
    pyramid = Pyramid(spec)
    pyramid.put((), pixels)
    return pyramid


def make_plate(folder: Path) -> tuple[Path, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two wells, one of which holds one site of 2 channels at 1500 × 1201 with a label image."""
    random = np.random.default_rng(7)
    image = random.integers(0, 60_000, (2, 1500, 1201), dtype=np.uint16)
    labels = np.zeros((1500, 1201), np.int32)
    labels[100:140, 200:260] = 1
    labels[700:1400, 300:800] = 2
    store = folder / "demo.zarr"
    write_plate(store, "demo", {"B02": ["1"], "C11": ["1"]})
    for well in ("B/02", "C/11"):
        group = store / well / "1"
        sizes = {"c": 2, "y": 1500, "x": 1201}
        spec = plan_array(sizes, "uint16", labels=False, channels=("DNA", "GFP"), pixel_size_um=PIXEL)
        write_image(
            group, whole(spec, image), name=f"demo {well}", translation_um=TRANSLATION, wavelengths_nm=(461.0, 525.0)
        )
        spec = plan_array({"y": 1500, "x": 1201}, "int32", labels=True, pixel_size_um=PIXEL)
        write_labels(group, "nuclei", whole(spec, labels), translation_um=TRANSLATION)
        write_labels(group, "cells", whole(spec, labels * 3), translation_um=TRANSLATION)
    return store, image, labels


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return make_plate(tmp_path_factory.mktemp("plate"))


Plate = tuple[Path, np.ndarray[Any, Any], np.ndarray[Any, Any]]


def test_pixels_come_back(plate: Plate) -> None:
    store, image, labels = plate
    group = store / "B/02/1"
    np.testing.assert_array_equal(read_image(group), image)
    np.testing.assert_array_equal(read_image(group, "nuclei"), labels)
    np.testing.assert_array_equal(read_image(group, "cells"), labels * 3)
    assert label_names(group) == ["nuclei", "cells"]


def test_zarr_reads_pixels_and_levels(plate: Plate) -> None:
    store, image, labels = plate
    group = zarr.open_group(store / "B/02/1", mode="r")
    full, half = group["0"], group["1"]
    assert isinstance(full, zarr.Array)
    assert isinstance(half, zarr.Array)
    np.testing.assert_array_equal(np.asarray(full[...]), image)
    assert half.shape == (2, 750, 601)
    assert np.asarray(half[...])[1, 10, 20] == int(image[1, 20:22, 40:42].astype(int).sum() + 2) // 4
    assert np.asarray(half[...])[1, 10, 600] == int(2 * image[1, 20:22, 1200].astype(int).sum() + 2) // 4
    coarse = group["labels/nuclei/1"]
    assert isinstance(coarse, zarr.Array)
    np.testing.assert_array_equal(np.asarray(coarse[...]), labels[::2, ::2])


def test_metadata_place_the_pixels(plate: Plate) -> None:
    group = zarr.open_group(plate[0] / "B/02/1", mode="r")
    ome: Any = group.attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, "micrometer", "micrometer"]
    for level, dataset in enumerate(multiscale["datasets"]):
        scale, translation = dataset["coordinateTransformations"]
        size = PIXEL * 2**level
        assert scale == {"type": "scale", "scale": [1.0, size, size]}
        # The first coarse pixel is centred between the fine pixels 0 and 1.
        shift = (0.0, PIXEL / 2)[level]
        assert translation["translation"] == [0.0, TRANSLATION[0] + shift, TRANSLATION[1] + shift]
    channels = ome["omero"]["channels"]
    assert [(channel["label"], channel["color"]) for channel in channels] == [("DNA", "0000FF"), ("GFP", "00FF00")]
    assert channels[0]["window"]["max"] == 65535
    assert 0 <= channels[0]["window"]["start"] < 200
    assert 59_800 < channels[0]["window"]["end"] < 60_000


@pytest.mark.parametrize(
    ("names", "wavelengths", "colours"),
    [
        (["GFP", "DNA"], [], ["00FF00", "0000FF"]),
        (["1", "2"], [], ["0000FF", "00FF00"]),
        (["Actin", "DAPI", "Tubulin"], [], ["00FF00", "0000FF", "FF0000"]),
        (["w1", "w2"], [520.0, 700.0], ["00FF00", "FF0000"]),
        (["phase"], [], ["FFFFFF"]),
        ([str(number) for number in range(8)], [], None),
    ],
)
def test_channels_have_the_colours_that_people_expect(
    names: list[str], wavelengths: list[float | None], colours: list[str] | None
) -> None:
    found = [
        channel["color"] for channel in metadata.channels(names, wavelengths, [(0, 1, 0, 1)] * len(names))["channels"]
    ]
    if colours is None:
        assert len(found) == 8
        assert len(set(found)) == 6
    else:
        assert found == colours


def test_ome_zarr_models_finds_the_plate_valid(plate: Plate) -> None:
    from ome_zarr_models.v05.hcs import HCS
    from ome_zarr_models.v05.image import Image
    from ome_zarr_models.v05.image_label import ImageLabel
    from ome_zarr_models.v05.labels import Labels

    store = plate[0]
    hcs = HCS.from_zarr(zarr.open_group(store, mode="r"))
    described = hcs.attributes.ome.plate
    assert [well.path for well in described.wells] == ["B/02", "C/11"]
    assert (len(described.rows), len(described.columns)) == (8, 12)
    for well in ("B/02", "C/11"):
        image = Image.from_zarr(zarr.open_group(store / well / "1", mode="r"))
        assert len(image.attributes.ome.multiscales[0].datasets) == 2
        labels = Labels.from_zarr(zarr.open_group(store / well / "1/labels", mode="r"))
        assert labels.attributes.ome.labels == ["nuclei", "cells"]
        ImageLabel.from_zarr(zarr.open_group(store / well / "1/labels/nuclei", mode="r"))


def test_ngio_reads_the_plate(plate: Plate) -> None:
    from ngio import open_ome_zarr_plate

    store, image, labels = plate
    opened = open_ome_zarr_plate(store, mode="r")
    assert sorted(opened.wells_paths()) == ["B/02", "C/11"]
    site = opened.get_image(row="B", column="02", image_path="1")
    full = site.get_image(path="0")
    assert full.channel_labels == ["DNA", "GFP"]
    assert (full.pixel_size.y, full.pixel_size.x) == (PIXEL, PIXEL)
    assert str(full.space_unit) == "micrometer"
    np.testing.assert_array_equal(full.get_as_numpy(axes_order=["c", "y", "x"]), image)
    assert site.list_labels() == ["nuclei", "cells"]
    np.testing.assert_array_equal(site.get_label("nuclei", path="0").get_as_numpy(axes_order=["y", "x"]), labels)


def test_bytes_are_the_same_each_time(plate: Plate, tmp_path: Path) -> None:
    again, _, _ = make_plate(tmp_path)
    assert tree(again) == tree(plate[0])


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


def test_all_axes(tmp_path: Path) -> None:
    sizes = {"t": 2, "c": 2, "z": 3, "y": 20, "x": 30}
    image = np.random.default_rng(0).random((2, 2, 3, 20, 30)).astype(np.float32)
    spec = plan_array(sizes, "float32", labels=False, channels=("a", "b"), pixel_size_um=0.5, z_spacing_um=2.0)
    write_image(tmp_path / "i", whole(spec, image), name="i")
    np.testing.assert_array_equal(read_image(tmp_path / "i"), image)
    from ngio import open_ome_zarr_container

    opened = open_ome_zarr_container(tmp_path / "i", mode="r").get_image()
    assert (opened.pixel_size.z, opened.pixel_size.x) == (2.0, 0.5)
    np.testing.assert_array_equal(opened.get_as_numpy(axes_order=["t", "c", "z", "y", "x"]), image)


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
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_planes_in_any_order_give_the_files_of_zarr_for_the_whole_array(
    sizes: dict[str, int], shard_bytes: float | None, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shard_bytes:
        monkeypatch.setattr("hcs_lib.storage.planning._SHARD_BYTES", shard_bytes)
    spec = plan_array(sizes, dtype, labels=False, channels=("a", "b"))
    random = np.random.default_rng(3)
    array = random.poisson(200, spec.shape).astype(dtype)
    array[:1] = 0
    zarr.create_array(
        zarr.storage.LocalStore(tmp_path / "zarr"),
        shape=spec.shape,
        dtype=spec.dtype,
        chunks=spec.chunks,
        shards=spec.shards,
        filters=None,
        compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
        fill_value=0,
        dimension_names=list(spec.axes),
        config={"write_empty_chunks": True},
    )[...] = array
    writer = ArrayWriter(spec)
    for place in random.permutation(list(np.ndindex(spec.shape[:-2]))).tolist():
        writer.put(tuple(place), array[tuple(place)])
    writer.write(tmp_path / "ours")
    assert tree(tmp_path / "ours") == tree(tmp_path / "zarr")
    np.testing.assert_array_equal(read_array(tmp_path / "ours"), array)


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
