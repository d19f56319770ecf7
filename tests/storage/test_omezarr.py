"""Plates of both versions before the community: the schemas of the specification, and the libraries that read them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from jsonschema import Draft202012Validator
from ome_zarr_models import v04, v05  # when tests are collected: imported after ngio, v04 refuses its own arrays
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from hcs_lib.storage.images import Pyramid, label_names, read_image, read_plane, write_image, write_labels
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.plate import write_plate
from hcs_lib.storage.spec import ArraySpec, OmeZarr

HERE = Path(__file__).parent
MODELS = {"0.4": v04, "0.5": v05}
VERSIONS: tuple[OmeZarr, ...] = ("0.4", "0.5")
PIXEL, DEPTH, INTERVAL = 0.325, 2.0, 600.0
TRANSLATION = (120.0, -35.5)
METADATA = {"zarr.json", ".zgroup", ".zarray", ".zattrs"}


@dataclass(frozen=True)
class Plate:
    """A plate of two wells. `flat` is the first site of both (c, y, x); `series` the second of B02 (t, c, z, y, x)."""

    version: OmeZarr
    store: Path
    flat: np.ndarray[Any, Any]
    series: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]


def whole(spec: ArraySpec, pixels: np.ndarray[Any, Any]) -> Pyramid:
    pyramid = Pyramid(spec)
    pyramid.put((), pixels)
    return pyramid


@pytest.fixture(scope="module", params=VERSIONS)
def plate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plate:
    version: OmeZarr = request.param
    random = np.random.default_rng(7)
    flat = random.integers(0, 60_000, (2, 1500, 1201), dtype=np.uint16)
    series = random.random((3, 2, 4, 40, 50), np.float32)
    labels = np.zeros((1500, 1201), np.int32)
    labels[100:140, 200:260] = 1
    labels[700:1400, 300:800] = 2
    store = tmp_path_factory.mktemp("plate") / "demo.zarr"
    write_plate(store, "demo", {"B02": ["1", "2"], "C11": ["1"], "D12": []}, version)
    known: dict[str, Any] = {"pixel_size_um": PIXEL, "ome_zarr": version}
    for well in ("B/02", "C/11"):
        spec = plan_array({"c": 2, "y": 1500, "x": 1201}, "uint16", labels=False, channels=("DNA", "GFP"), **known)
        write_image(
            store / well / "1", whole(spec, flat), name=f"demo {well} 1", translation_um=TRANSLATION,
            colours=("0000FF", "2DFF00"),
        )  # fmt: skip
        spec = plan_array({"y": 1500, "x": 1201}, "int32", labels=True, **known)
        write_labels(store / well / "1", "nuclei", whole(spec, labels), translation_um=TRANSLATION)
        write_labels(store / well / "1", "cells", whole(spec, labels * 3), translation_um=TRANSLATION)
    sizes = {"t": 3, "c": 2, "z": 4, "y": 40, "x": 50}
    spec = plan_array(
        sizes, "float32", labels=False, channels=("a", "b"), z_spacing_um=DEPTH, time_interval_s=INTERVAL, **known
    )
    write_image(store / "B/02/2", whole(spec, series), name="demo B/02 2")
    return Plate(version, store, flat, series, labels)


def attributes(group: Path) -> Any:
    """The attributes of a group, as the schemas take them."""
    if (group / "zarr.json").is_file():
        return json.loads((group / "zarr.json").read_bytes())["attributes"]
    return json.loads((group / ".zattrs").read_bytes())


def ome(group: Path) -> Any:
    found = attributes(group)
    return found.get("ome", found)


@pytest.mark.parametrize(
    ("group", "schema", "part"),
    [
        (".", "strict_plate", "plate"),
        ("B/02", "strict_well", "well"),
        ("C/11", "strict_well", "well"),
        ("B/02/1", "strict_image", "multiscales"),
        ("B/02/2", "strict_image", "multiscales"),
        ("C/11/1", "strict_image", "multiscales"),
        ("B/02/1/labels/nuclei", "strict_image", "multiscales"),
        ("B/02/1/labels/nuclei", "label", "image-label"),
        ("B/02/1/labels/cells", "label", "image-label"),
    ],
)
def test_schemas_of_the_specification_find_it_valid(plate: Plate, group: str, schema: str, part: str) -> None:
    validator = _validator(plate.version, schema)
    found = attributes(plate.store / group)
    assert [error.message for error in validator.iter_errors(found)] == []
    (found if plate.version == "0.4" else found["ome"])[part] = "nothing"
    assert any(part in error.absolute_path for error in validator.iter_errors(found))


def _validator(version: OmeZarr, schema: str) -> Draft202012Validator:
    documents = [json.loads(file.read_bytes()) for file in (HERE / "schemas" / version).glob("*.schema")]
    registry: Any = Registry().with_resources((one["$id"], DRAFT202012.create_resource(one)) for one in documents)
    url = f"https://ngff.openmicroscopy.org/{version}/schemas/{schema}.schema"
    return Draft202012Validator({"$ref": url}, registry=registry)


@pytest.mark.parametrize("version", VERSIONS)
def test_acquisitions_are_valid_too(tmp_path: Path, version: OmeZarr) -> None:
    wells = {"A01": ["1a1", "2a1", "1a2"], "B02": ["1a2"], "C03": []}
    write_plate(tmp_path, "p", wells, version, {"DNA": {"1a1", "2a1"}, "GFP": {"1a2", "2a2"}})
    for group, schema in ((".", "strict_plate"), ("A/01", "strict_well"), ("B/02", "strict_well")):
        assert [error.message for error in _validator(version, schema).iter_errors(attributes(tmp_path / group))] == []
    plate = ome(tmp_path)["plate"]
    assert plate["acquisitions"] == [
        {"id": 1, "name": "DNA", "maximumfieldcount": 2}, {"id": 2, "name": "GFP", "maximumfieldcount": 1},
    ]  # fmt: skip
    assert plate["field_count"] == 3
    assert ome(tmp_path / "A/01")["well"]["images"] == [
        {"path": "1a1", "acquisition": 1}, {"path": "2a1", "acquisition": 1}, {"path": "1a2", "acquisition": 2},
    ]  # fmt: skip


def test_ome_zarr_models_finds_it_valid(plate: Plate) -> None:
    models: Any = MODELS[plate.version]

    def opened(path: str) -> zarr.Group:
        return zarr.open_group(plate.store / path, mode="r")

    def of(model: Any) -> Any:
        return model.attributes if plate.version == "0.4" else model.attributes.ome

    described = of(models.HCS.from_zarr(opened("."))).plate
    assert [well.path for well in described.wells] == ["B/02", "C/11"]
    assert [row.name for row in described.rows] == list("ABCDEFGH")
    assert [column.name for column in described.columns] == [f"{number:02d}" for number in range(1, 13)]
    assert described.field_count == 2
    assert [image.path for image in of(models.Well.from_zarr(opened("B/02"))).well.images] == ["1", "2"]
    for site, levels in (("B/02/1", 2), ("B/02/2", 1), ("C/11/1", 2)):
        assert len(of(models.Image.from_zarr(opened(site))).multiscales[0].datasets) == levels
    for site in ("B/02/1", "C/11/1"):
        assert of(models.Labels.from_zarr(opened(f"{site}/labels"))).labels == ["nuclei", "cells"]
        label = of(models.ImageLabel.from_zarr(opened(f"{site}/labels/cells")))
        assert len(label.multiscales[0].datasets) == 2
        assert label.image_label.source.image == "../../"


def test_the_versions_say_the_same(tmp_path: Path) -> None:
    """Version by version, from the same calls: what differs is where the version itself stands."""

    def without_version(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_version(entry) for key, entry in value.items() if key != "version"}
        return [without_version(entry) for entry in value] if isinstance(value, list) else value

    pixels = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    found = []
    for version in VERSIONS:
        store = tmp_path / version
        write_plate(store, "p", {"A01": ["1"]}, version)
        spec = plan_array({"c": 2, "y": 8, "x": 8}, "uint8", labels=False, channels=("a", "b"), ome_zarr=version)
        write_image(store / "A/01/1", whole(spec, pixels), name="one", translation_um=(3.0, 4.0))
        spec = plan_array({"y": 8, "x": 8}, "int32", labels=True, ome_zarr=version)
        write_labels(store / "A/01/1", "cells", whole(spec, pixels[0].astype(np.int32)))
        groups = (".", "A", "A/01", "A/01/1", "A/01/1/labels", "A/01/1/labels/cells")
        found.append({group: without_version(ome(store / group)) for group in groups})
    assert found[0] == found[1]
    window = found[0]["A/01/1"]["omero"]["channels"][1]["window"]
    assert window == pytest.approx({"min": 64, "max": 127, "start": 64.063, "end": 126.937})


def test_zarr_reads_the_pixels(plate: Plate) -> None:
    group = zarr.open_group(plate.store, mode="r")
    assert group.metadata.zarr_format == {"0.4": 2, "0.5": 3}[plate.version]

    def pixels(path: str) -> np.ndarray[Any, Any]:
        return np.asarray(group[path][...])  # type: ignore[index]

    np.testing.assert_array_equal(pixels("B/02/1/0"), plate.flat)
    np.testing.assert_array_equal(pixels("B/02/2/0"), plate.series)
    np.testing.assert_array_equal(pixels("B/02/1/labels/nuclei/0"), plate.labels)
    np.testing.assert_array_equal(pixels("B/02/1/labels/nuclei/1"), plate.labels[::2, ::2])
    half = pixels("B/02/1/1")
    assert half.shape == (2, 750, 601)
    assert half[1, 10, 20] == int(plate.flat[1, 20:22, 40:42].astype(int).sum() + 2) // 4
    assert half[1, 10, 600] == int(2 * plate.flat[1, 20:22, 1200].astype(int).sum() + 2) // 4


def test_we_read_it_too(plate: Plate) -> None:
    site = plate.store / "B/02/1"
    np.testing.assert_array_equal(read_image(site), plate.flat)
    np.testing.assert_array_equal(read_image(site, "cells"), plate.labels * 3)
    np.testing.assert_array_equal(read_plane(plate.store / "B/02/2", (2, 1, 3)), plate.series[2, 1, 3])
    assert label_names(site) == ["nuclei", "cells"]


def test_the_index_of_what_was_written_has_its_facts(plate: Plate, tmp_path: Path) -> None:
    from hcs_lib.plates.indexing import index_plate

    store = tmp_path / "demo.zarr"
    shutil.copytree(plate.store, store)
    write_plate(store, "demo", {"B02": ["1"], "C11": ["1"]}, plate.version)  # one shape of planes is a plate's
    found = index_plate(store, plate="demo")
    assert (found.format, found.problems) == ("ome-zarr", ())
    assert (found.wells, found.pixel_size_um) == (("B02", "C11"), PIXEL)
    assert [(channel.name, channel.colour) for channel in found.channels] == [("DNA", "0000FF"), ("GFP", "2DFF00")]
    position = next(position for position in found.positions if (position.well, position.site) == ("C11", 1))
    centre = tuple(start + (size - 1) / 2 * PIXEL for start, size in zip(TRANSLATION, (1500, 1201), strict=True))
    assert (position.y_um, position.x_um) == pytest.approx(centre, abs=1e-6)


def test_pixels_have_their_places(plate: Plate) -> None:
    (multiscale,) = ome(plate.store / "B/02/1")["multiscales"]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, "micrometer", "micrometer"]
    for level, dataset in enumerate(multiscale["datasets"]):
        scale, translation = dataset["coordinateTransformations"]
        size = PIXEL * 2**level
        assert scale == {"type": "scale", "scale": [1.0, size, size]}
        # The first coarse pixel is centred between the fine pixels 0 and 1.
        shift = (0.0, PIXEL / 2)[level]
        assert translation["translation"] == [0.0, TRANSLATION[0] + shift, TRANSLATION[1] + shift]
    (labels,) = ome(plate.store / "B/02/1/labels/nuclei")["multiscales"]
    for image, label in zip(multiscale["datasets"], labels["datasets"], strict=True):
        for mine, its in zip(label["coordinateTransformations"], image["coordinateTransformations"], strict=True):
            assert mine[mine["type"]] == its[its["type"]][1:]


def test_channels_are_shown_over_what_their_pixels_hold(plate: Plate) -> None:
    channels = ome(plate.store / "B/02/1")["omero"]["channels"]
    assert [(channel["label"], channel["color"]) for channel in channels] == [("DNA", "0000FF"), ("GFP", "2DFF00")]
    for channel, pixels in zip(channels, plate.flat, strict=True):
        window = channel["window"]
        assert (window["min"], window["max"]) == (pixels.min(), pixels.max())
        assert (window["start"], window["end"]) == pytest.approx(np.percentile(pixels, (0.1, 99.9)), abs=50)


def test_ngio_reads_images_labels_and_places(plate: Plate) -> None:
    from ngio import open_ome_zarr_plate

    opened = open_ome_zarr_plate(plate.store, mode="r")
    assert sorted(opened.wells_paths()) == ["B/02", "C/11"]
    site = opened.get_image(row="B", column="02", image_path="1")
    full = site.get_image(path="0")
    assert full.channel_labels == ["DNA", "GFP"]
    assert (full.pixel_size.y, full.pixel_size.x) == (PIXEL, PIXEL)
    assert str(full.space_unit) == "micrometer"
    np.testing.assert_array_equal(full.get_as_numpy(axes_order=["c", "y", "x"]), plate.flat)
    assert site.list_labels() == ["nuclei", "cells"]
    np.testing.assert_array_equal(site.get_label("nuclei", path="0").get_as_numpy(axes_order=["y", "x"]), plate.labels)
    coarse = site.get_image(path="1")
    assert (coarse.pixel_size.y, coarse.pixel_size.x) == (2 * PIXEL, 2 * PIXEL)
    assert list(full.dataset.translation[-2:]) == list(TRANSLATION)
    assert list(coarse.dataset.translation[-2:]) == [start + PIXEL / 2 for start in TRANSLATION]

    series = opened.get_image(row="B", column="02", image_path="2").get_image()
    assert (series.pixel_size.t, series.pixel_size.z, series.pixel_size.x) == (INTERVAL, DEPTH, PIXEL)
    assert (str(series.time_unit), str(series.space_unit)) == ("second", "micrometer")
    np.testing.assert_array_equal(series.get_as_numpy(axes_order=["t", "c", "z", "y", "x"]), plate.series)


READ = """
import json, sys
import numpy as np
from ome_zarr.format import format_from_version
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
found = []
for node in Reader(parse_url(sys.argv[1], fmt=format_from_version(sys.argv[2])))():
    if not node.data:
        continue
    first = np.asarray(node.data[0])
    found.append({
        "path": str(node.zarr).rpartition("demo.zarr")[2].strip("/"), "levels": len(node.data), "shape": first.shape,
        "sum": int(first.astype("int64").sum()), "axes": [axis["name"] for axis in node.metadata["axes"]],
        "names": node.metadata.get("channel_names"), "limits": node.metadata.get("contrast_limits"),
        "transformations": node.metadata.get("coordinateTransformations"),
    })
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def readers(pytestconfig: pytest.Config) -> Path:
    """The packages of `readers.txt`, in pytest's cache: they see those that the tests run with."""
    key = hashlib.sha256(sys.version.encode() + (HERE / "readers.txt").read_bytes()).hexdigest()[:16]
    folder = pytestconfig.cache.mkdir(f"readers-{key}")
    if not (folder / "done").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--upgrade", "--target", str(folder), "--requirement", str(HERE / "readers.txt")]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if run.returncode:
            pytest.skip(f"ome-zarr-py cannot be installed: {' '.join(run.stderr.strip().splitlines()[-1:])}")
        (folder / "done").touch()
    return folder


@pytest.mark.validator
def test_ome_zarr_py_reads_image_and_labels(plate: Plate, readers: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", READ, str(plate.store / "B/02/1"), plate.version]
    path = os.pathsep.join([str(readers), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"PYTHONPATH": path}
    )
    assert run.returncode == 0, run.stderr
    image, *labels = json.loads(run.stdout)
    assert (image["levels"], image["shape"], image["axes"]) == (2, [2, 1500, 1201], ["c", "y", "x"])
    assert image["sum"] == int(plate.flat.sum(dtype=np.int64))
    assert image["names"] == ["DNA", "GFP"]
    window = ome(plate.store / "B/02/1")["omero"]["channels"][0]["window"]
    assert image["limits"][0] == [window["start"], window["end"]]
    assert [step["type"] for step in image["transformations"][1]] == ["scale", "translation"]
    assert image["transformations"][1][1]["translation"] == [0.0, *(start + PIXEL / 2 for start in TRANSLATION)]
    assert {label["sum"] for label in labels} == {int(plate.labels.sum()), 3 * int(plate.labels.sum())}
    assert all(label["levels"] == 2 for label in labels)


def test_files_are_those_of_the_version(plate: Plate) -> None:
    """One file of pixels for each image, label image and level in 0.5; one for each chunk in 0.4."""
    files = [file for file in plate.store.rglob("*") if file.is_file()]
    pixels = [file for file in files if file.name not in METADATA]
    names = {file.name for file in files} & METADATA
    if plate.version == "0.5":
        assert names == {"zarr.json"}
        assert len(pixels) == 2 * 3 * 2 + 1
    else:
        assert names == {".zgroup", ".zarray", ".zattrs"}
        levels = 2 * 2 + 1  # chunks of a plane of 1500 × 1201, and of half its resolution
        assert len(pixels) == 2 * 2 * levels + 2 * 2 * levels + 3 * 2 * 4
    assert not (plate.store / "D").exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plate_without_a_field_is_none(tmp_path: Path, version: OmeZarr) -> None:
    """The schemas want one well at least."""
    write_plate(tmp_path, "p", {"A01": ["1"], "H12": []}, version)
    shutil.rmtree(tmp_path / "A")
    write_plate(tmp_path, "p", {"A01": [], "H12": []}, version)
    assert list(tmp_path.iterdir()) == []


def test_a_plate_changes_its_version(tmp_path: Path) -> None:
    wells = {"A01": ["1"], "H12": ["1"]}
    for version in ("0.5", "0.4", "0.5"):
        write_plate(tmp_path, "p", wells, version)
        names = {file.name for file in tmp_path.rglob("*") if file.is_file()}
        assert names == ({"zarr.json"} if version == "0.5" else {".zgroup", ".zattrs"})
