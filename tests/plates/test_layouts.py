"""The same plate in every layout: the same facts and pixels; and what is damaged is told, never a traceback."""

import importlib.util
import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.canonical import canonical_json, digest
from hcs_lib.core.errors import DataError, UserError
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.reading import read_plane
from hcs_lib.screening.collect import collect_plate
from hcs_lib.storage.images import read_image
from hcs_lib.storage.tables import read_table

spec = importlib.util.spec_from_file_location("layouts", Path(__file__).with_name("layouts.py"))
layouts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(layouts)
LAYOUTS = layouts.LAYOUTS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folders by layout. To be read only."""
    folders = {}
    for name, write in LAYOUTS.items():
        folders[name] = tmp_path_factory.mktemp("layout") / "plate"
        write(folders[name])
    return folders


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


@pytest.fixture
def plate(layout, written, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(written[layout], tmp_path / "plate")


def index(folder, **options):
    return index_plate(folder, plate="p", **options)


def test_every_layout_holds_the_same_plate(written, layout):
    found = index(written[layout])
    assert (found.format, found.problems) == (layout.split()[0], ())
    assert (found.wells, found.shape, found.dtype) == (layouts.WELLS, layouts.SHAPE, "uint16")
    assert (found.pixel_size_um, found.z_spacing_um, found.grid) == (layouts.PIXEL, layouts.STEP, (1, 2))
    assert [channel.name for channel in found.channels] == [name for name, _ in layouts.CHANNELS]
    if not layout.startswith("ome-zarr"):  # which has no place for it
        assert [channel.wavelength_nm for channel in found.channels] == [nm for _, nm in layouts.CHANNELS]
    if layout != "imagexpress" and not layout.startswith("ome-zarr"):
        assert [channel.excitation_nm for channel in found.channels] == list(layouts.EXCITATION)
    first = 0 if layout == "imagexpress-hcsai" else 1  # it counts from 0
    at = {(p.well, p.site - first + 1): (p.x_um, p.y_um) for p in found.positions}
    assert at == {
        (well, site): pytest.approx((layouts.X[site], layouts.Y)) for well in layouts.WELLS for site in (1, 2)
    }
    expected = {
        (well, site + first - 1, str(channel + first - 1), z + first - 1, first): pixels
        for well, site, channel, z, pixels in layouts.planes()
    }
    assert {plane.address for plane in found.planes} == expected.keys()
    for plane in found.planes:
        np.testing.assert_array_equal(
            read_plane(written[layout], plane.file, plane.page), expected[tuple(plane.address)]
        )


WELL_BY_WELL = ("nd2", "czi")
"""Formats of which a file is all that is known of a well; test_containers.py damages them."""


def test_an_absent_file_is_told_by_name(plate, layout):
    if layout in WELL_BY_WELL:
        pytest.skip("a file of these is all that is known of a well")
    whole = index(plate)
    gone = next(plane for plane in whole.planes if plane.well == "C03")
    path = plate / gone.file
    if path.is_dir():
        path = max(file for file in path.rglob("*") if file.name[0] != "." and file.suffix != ".json")
    path.unlink()
    found = index(plate)
    assert {problem.kind for problem in found.problems} == {"missing"}
    assert {problem.well for problem in found.problems} == {"C03"}
    assert len(found.planes) + len(found.problems) == len(whole.planes)
    lost = {plane.address for plane in whole.planes} - {plane.address for plane in found.planes}
    assert lost == {(p.well, p.site, p.channel, p.z, p.t) for p in found.problems}
    if (plate / gone.file).is_dir():
        assert path.relative_to(plate / gone.file).as_posix() in found.problems[0].message
        plane = next(plane for plane in whole.planes if plane.address in lost)
        with pytest.raises(DataError, match="is not there, and would read as black"):
            read_plane(plate, plane.file, plane.page)


@pytest.mark.parametrize("how", ["truncated", "empty", "unreadable"])
def test_a_damaged_file_is_told_and_what_is_recorded_holds(plate, layout, how):
    if layout in WELL_BY_WELL:
        pytest.skip("a file of these is all that is known of a well")
    whole = index(plate)
    gone = next(plane for plane in whole.planes if plane.well == "C03").file
    if (plate / gone).is_dir():
        pytest.skip("test_zarr_arrays.py damages chunks")
    data = (plate / gone).read_bytes()
    (plate / gone).write_bytes({"truncated": data[:-1], "empty": b"", "unreadable": b"no image"}[how])
    found = index(plate)
    lost = {plane.address for plane in whole.planes if plane.file == gone}
    assert {(p.kind, p.file, p.well, p.site, p.channel, p.z, p.t) for p in found.problems} == {
        (how, gone, *address) for address in lost
    }
    assert {plane.address for plane in found.planes} == {plane.address for plane in whole.planes} - lost
    assert (found.positions, found.grid, found.z_spacing_um) == (whole.positions, whole.grid, whole.z_spacing_um)


PIPELINE = """
name: layouts
steps:
  - name: projection
    stack: z
    func: {call: hcs.project, args: {method: max}}
    keep: true
  - name: nuclei
    channels: [DAPI]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 2 um}}
    outputs: {labels: nuclei}
  - name: measure
    input: projection
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: nuclei}
    outputs: {table: objects}
"""


RESULTS = {}
"""Tables and digests of labels that the first layout gave: those of all others must equal them."""


@pytest.fixture
def executed(plate, compiled):
    """Return how to run a pipeline over the plate: folder of results, and the receipts by well."""
    return compiled(plate, PIPELINE)


def test_results_of_every_layout_are_the_same(executed, layout, plate):
    results, receipts = executed()
    assert {(well, receipt.status, len(receipt.planes)) for well, receipt in receipts.items()} == {
        ("B02", "done", 8), ("C03", "done", 8),
    }  # fmt: skip
    stacks = {}
    for well, site, channel, _, pixels in layouts.planes():
        stacks.setdefault((well, site), {}).setdefault(channel, []).append(pixels)
    first = 0 if layout == "imagexpress-hcsai" else 1
    for (well, site), stack in stacks.items():
        found = read_image(results / f"p.zarr/{well[0]}/{well[1:]}/{site + first - 1}")
        np.testing.assert_array_equal(found.squeeze(), [np.max(planes, axis=0) for planes in stack.values()])
    # The objects, their measures and their labels are those of every other layout.
    collect_plate(results)
    objects = read_table(results / "tables/objects.parquet").to_pydict()
    sites = objects["Metadata_Site"]
    assert objects.pop("Metadata_Region") == [
        f"{well[0]}/{well[1:]}/{site}/labels/nuclei" for well, site in zip(objects["Metadata_Well"], sites, strict=True)
    ]
    objects["Metadata_Site"] = [site + 1 - first for site in sites]
    labels = {
        (well, site): digest(read_image(results / f"p.zarr/{well[0]}/{well[1:]}/{site + first - 1}", "nuclei").tolist())
        for well, site in stacks
    }
    assert sorted(zip(objects["Metadata_Well"], objects["Metadata_Site"], strict=True)) == sorted(stacks)
    assert (objects, labels) == RESULTS.setdefault("first", (objects, labels))
    # What we write is a plate that we read, at the same places.
    ours = index(results / "p.zarr")
    assert (ours.format, len(ours.planes), ours.problems, ours.positions) == ("ome-zarr", 8, (), index(plate).positions)


def test_a_plane_that_changed_after_it_was_indexed_is_not_read(executed, plate):
    path = plate / next(plane for plane in index(plate).planes if plane.well == "C03").file
    if path.is_dir():
        path = max(file for file in path.rglob("*") if file.name[0] != "." and file.suffix != ".json")
    path.write_bytes(path.read_bytes() + b" ")
    _, receipts = executed()
    assert {well: receipt.status for well, receipt in receipts.items()} == {"B02": "done", "C03": "failed"}
    assert "The file changed after the plate was indexed" in receipts["C03"].reason


def test_only_what_changed_is_opened_again(plate, tmp_path, monkeypatch):
    from hcs_lib.plates import headers

    opened = []
    read = headers.read_headers
    monkeypatch.setattr(headers, "read_headers", lambda folder, file: opened.append(file) or read(folder, file))
    cache = tmp_path / "headers.json"
    whole = index(plate, cache=cache)
    assert sorted(opened) == sorted({plane.file for plane in whole.planes})
    opened.clear()
    assert index(plate, cache=cache) == whole
    assert opened == []
    changed = whole.planes[0].file
    path = plate / changed
    path = path if path.is_file() else max(file for file in path.rglob("*") if file.is_file())
    path.touch()
    again = index(plate, cache=cache)
    assert opened == [changed]
    assert [plane.address for plane in again.planes] == [plane.address for plane in whole.planes]
    opened.clear()
    cache.write_text("{damaged")
    assert index(plate, cache=cache) == again
    assert len(opened) == len({plane.file for plane in whole.planes})


METADATA = (".ome", ".htd", ".jdce", ".csv", ".xml", ".mlf", ".mrf", ".mes", ".json", ".zattrs", ".zarray")
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><a>&j;</a>"
)


NAMELESS = ("ome-zarr", "ome-tiff", "nd2", "czi")
"""Formats whose names of files tell nothing."""


def metadata_of(plate):
    found = [path for path in sorted(plate.rglob("*")) if path.name.lower().endswith(METADATA)]
    return found or sorted(plate.glob("*.ome.tif"))[:1] or sorted(plate.glob("*"))


@pytest.mark.parametrize(
    "text", ["", BOMB, "\x00\xff", "[]", "{}", "<a/>", "[" * 100_000, '{"ImageStack": 1}', '{"plate": {"wells": [1]}}']
)
def test_index_files_that_are_no_such_thing(plate, layout, text):
    """Planes are found by their names; where they tell nothing, there is no plate."""
    for path in metadata_of(plate):
        path.write_text(text, encoding="latin-1")
    if layout.startswith(NAMELESS):
        with pytest.raises(UserError, match=r"no plate of a known format|Copy it again") as error:
            index(plate)
        assert len(str(error.value).splitlines()) == 1
    else:
        assert len(index(plate).planes) == 16


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_index_files_damaged_anywhere(written, layout, tmp_path_factory, data):
    plate = shutil.copytree(written[layout], tmp_path_factory.mktemp("damaged") / "plate")
    path = data.draw(st.sampled_from(metadata_of(plate)))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(raw) - 1)))
        raw[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4) | st.just(b'-1"<{[0'))
    path.write_bytes(raw)
    with suppress(UserError, DataError):
        found = index(plate)
        for plane in found.planes[:2]:
            assert read_plane(plate, plane.file, plane.page).ndim == 2
    shutil.rmtree(plate.parent)


WORDS = ["", "x", "1", "-1", "nan", "1e400", "../..", "/etc", "a" * 300, "a/" * 3000]
ODD = [*WORDS, None, True, -1, 0, 1e308, 2**31, 10**30, "\0", "\ud800", [], {}, [[1]], {"a": 1}]


def replaced(value, data):
    """Replace something in a document of JSON by something odd."""
    if not (isinstance(value, dict | list) and value) or data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.sampled_from(ODD))
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    key = data.draw(st.sampled_from(keys))
    found = value.copy()
    found[key] = replaced(value[key], data)
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_of_index_files_replaced(written, layout, tmp_path_factory, data):
    """The files are whole and sound; what they say is not."""
    if layout in WELL_BY_WELL or layout == "ome-tiff":
        pytest.skip("it has no index file")
    plate = shutil.copytree(written[layout], tmp_path_factory.mktemp("odd") / "plate")
    path = data.draw(st.sampled_from(metadata_of(plate)))
    try:
        text = json.dumps(replaced(json.loads(path.read_bytes()), data))
    except ValueError:
        text = path.read_text(encoding="latin-1")
        values = [found.span(found.lastindex) for found in re.finditer(r'"([^"]*)"|>([^<>]+)<|,([^,\n]+)', text)]
        start, end = data.draw(st.sampled_from(values))
        text = text[:start] + data.draw(st.sampled_from(WORDS)) + text[end:]
    path.write_text(text, encoding="latin-1")
    with suppress(UserError, DataError):
        found = index(plate)
        canonical_json(found.model_dump(mode="json"))
        for plane in found.planes[:2]:
            assert read_plane(plate, plane.file, plane.page).ndim == 2
    shutil.rmtree(plate.parent)


@pytest.mark.parametrize("name", ["../../secret.tif", "/etc/passwd", "C:\\secret.tif", "a/../../secret.tif", ""])
@pytest.mark.parametrize(("layout", "index_file", "tag"), [
    ("harmony", "Images/Index.idx.xml", "URL"), ("cellvoyager", "MeasurementData.mlf", "bts:MeasurementRecord"),
])  # fmt: skip
def test_paths_that_leave_the_folder(written, tmp_path, layout, index_file, tag, name):
    plate = shutil.copytree(written[layout], tmp_path / "plate")
    path = plate / index_file
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(re.sub(rf"(<{tag}[^>]*>)[^<]*(</{tag}>)", lambda m: m[1] + name + m[2], text, count=1))
    found = index(plate)
    assert len(found.planes) == 15
    assert "inconsistent" in {problem.kind for problem in found.problems}
    assert all(".." not in plane.file and not plane.file.startswith("/") for plane in found.planes)


def change(path, old, new):
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new, 1))


def told(found):
    return [(p.kind, p.well, p.site, p.channel, p.z) for p in found.problems]


def test_records_of_errors(written, tmp_path):
    plate = shutil.copytree(written["cellvoyager"], tmp_path / "cv")
    mlf = plate / "MeasurementData.mlf"
    change(mlf, 'bts:Type="IMG"', 'bts:Type="ERR"')
    found = index(plate)
    assert told(found) == [("error_record", "B02", 1, "1", 1)]
    assert found.problems[0].message.startswith("the microscope recorded an error: p #1_B02")
    plate = shutil.copytree(written["harmony"], tmp_path / "harmony")
    change(plate / "Images" / "Index.idx.xml", "<State>Ok</State>", "<State>Failed</State>")
    assert told(index(plate)) == [("error_record", "B02", 1, "1", 1)]


def test_a_time_series_that_stopped(written, tmp_path):
    plate = shutil.copytree(written["cellvoyager"], tmp_path / "cv")
    change(plate / "MeasurementDetail.mrf", 'bts:TimePointCount="1"', 'bts:TimePointCount="5"')
    (problem,) = index(plate).problems
    assert (problem.kind, problem.message) == ("stopped", "stopped: 5 time points were asked for, 1 are recorded.")
    plate = shutil.copytree(written["imagexpress"], tmp_path / "ix")
    (plate / "p.HTD").write_bytes((plate / "p.HTD").read_bytes().replace(b'"TimePoints", 1', b'"TimePoints", 3'))
    (problem,) = index(plate).problems
    assert (problem.kind, problem.file) == ("stopped", "p.HTD")


def test_a_well_that_was_asked_for_and_is_not_there(written, tmp_path):
    plate = shutil.copytree(written["imagexpress"], tmp_path / "ix")
    htd = plate / "p.HTD"
    htd.write_bytes(htd.read_bytes().replace(b"FALSE, TRUE, FALSE, FALSE", b"FALSE, TRUE, FALSE, TRUE"))
    assert told(index(plate)) == [("missing", "B04", None, None, None)]


def test_wells_of_different_sites_lack_nothing_where_it_is_recorded(written, tmp_path):
    plate = shutil.copytree(written["harmony"], tmp_path / "harmony")
    path = plate / "Images" / "Index.idx.xml"
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(re.sub(r"<Image>(?:(?!</Image>).)*r03c03f02(?:(?!</Image>).)*</Image>", "", text))
    for file in (plate / "Images").glob("r03c03f02*"):
        file.unlink()
    found = index(plate)
    assert (len(found.planes), found.problems) == (12, ())


def test_a_plate_in_two_folders_is_one_plate(written, tmp_path):
    plate = shutil.copytree(written["imagexpress"], tmp_path / "a" / "first")
    second = tmp_path / "a" / "second" / "TimePoint_1" / "ZStep_1"
    second.mkdir(parents=True)
    for file in (plate / "TimePoint_1" / "ZStep_1").glob("*_C03_*"):
        file.rename(second / file.name)
    found = index(tmp_path / "a")
    assert (len(found.planes), found.problems) == (16, ())
    assert found.wells == layouts.WELLS
    shutil.copytree(plate, tmp_path / "a" / "copy")
    with pytest.raises(UserError, match="holds 3 plates, expected one"):
        index(tmp_path / "a")


def test_measurements_of_one_plate_in_folders_of_their_own_are_one_plate(written, tmp_path):
    """Harmony and CellVoyager name the plate; their folders are parts of it where no plane is in two of them."""
    for kind in ("harmony", "cellvoyager"):
        whole = index(written[kind])
        for well in layouts.WELLS:
            part = shutil.copytree(written[kind], tmp_path / kind / well)
            (path,) = [*part.glob("*.mlf"), *part.glob("Images/Index.idx.xml")]
            text, row = path.read_text(encoding="utf-8-sig"), layouts.row_and_column(well)[0]
            other = f"r{5 - row:02d}c" if kind == "harmony" else f'bts:Row="{5 - row}"'
            tag = "Image" if kind == "harmony" else "bts:MeasurementRecord"
            path.write_text(re.sub(rf"<{tag}[ >](?:(?!</{tag}>).)*{other}.*?</{tag}>", "", text))
            if kind == "cellvoyager":
                (part / "p.wpi").write_text('<bts:WellPlate bts:Name="p" xmlns:bts="http://www.yokogawa.co.jp"/>')
        found = index(tmp_path / kind)
        assert {plane.address for plane in found.planes} == {plane.address for plane in whole.planes}
        assert (found.positions, found.channels) == (whole.positions, whole.channels)
        for path in tmp_path.glob(f"{kind}/C03/p.wpi"):
            path.write_text(path.read_text().replace('"p"', '"q"'))
        for path in tmp_path.glob(f"{kind}/C03/Images/Index.idx.xml"):
            path.write_text(path.read_text().replace("<Name>p<", "<Name>q<"))
        with pytest.raises(UserError, match="holds 2 plates, expected one"):
            index_plate(tmp_path / kind, plate="r")
