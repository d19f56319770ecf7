"""The table of objects in a plate's store: opened by ngio and AnnData, each row with its object in a label image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import write_demo
from hcs_lib.screening.collect import collect_plate
from hcs_lib.storage.plate_table import PlateTable
from hcs_lib.storage.tables import write_table

SPEC = DemoSpec(rows=("B",), columns=(2, 4), grid=(1, 2), z_planes=2)
PIPELINE = """\
name: demo
steps:
  - {name: projection, stack: z, func: {call: hcs.project, args: {method: max}}, keep: true}
  - name: nuclei
    channels: [DNA]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 8 um}}
    outputs: {labels: nuclei}
  - name: cytoplasm
    input: nuclei
    func: {call: hcs.expand_ring, args: {inner: 2 px, outer: 8 px}}
    outputs: {labels: cytoplasm}
  - name: measure
    input: projection
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: [nuclei, cytoplasm]}
    outputs: {table: objects}
"""


@pytest.fixture(scope="module", params=["0.4", "0.5"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analysis")
    write_demo(folder / "demo", SPEC)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "plates.tsv").write_text("plate\tpath\tplatemap\ndemo\tdemo/plate\tdemo/platemap.csv\n")
    config = {"plates": "plates.tsv", "pipeline": "pipeline.yaml", "ome_zarr": request.param}
    settings = load_settings(config, folder, str(folder / "config.yaml"))
    plate, found = settings.plates[0], folder / "results/demo"
    index_plate(plate.path, plate="demo").save(found / "index.json")
    for stage in compile_plate(plate, settings, found.parent).stages:
        for batch in stage.batches:
            execute_manifest(found / "manifests" / stage.name / f"{batch}.json")
    collect_plate(found)
    return found


@pytest.fixture
def quiet() -> Iterator[None]:
    """AnnData warns of what becomes of numbers of rows; the tests look at what it makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_each_row_is_an_object_of_the_label_image_that_it_names(results: Path, quiet: None) -> None:
    from ngio import open_ome_zarr_plate

    plate = open_ome_zarr_plate(results / "demo.zarr", mode="r")
    assert plate.list_tables() == ["objects"]
    table = plate.get_table("objects")
    described: Any = table.meta.model_dump()
    rows = table.dataframe
    number, region = rows[described["instance_key"]], rows[described["region_key"]]
    assert len(rows) == pq.read_metadata(results / "tables/objects.parquet").num_rows > 50
    assert sorted(set(region)) == [
        f"{image}/labels/nuclei" for well in ("B/02", "B/04") for image in (f"{well}/1", f"{well}/2")
    ]
    for path, mine in rows.groupby(region):
        row, column, image, _, name = str(path).split("/")
        container = plate.get_image(row=row, column=column, image_path=image)
        numbers, areas = np.unique(container.get_label(name, path="0").get_as_numpy(), return_counts=True)
        assert number[mine.index].tolist() == numbers[1:].tolist()
        assert mine["Nuclei_AreaShape_Area"].tolist() == areas[1:].tolist()
        # The ring around a nucleus has its number, in a label image of its own.
        rings, areas = np.unique(container.get_label("cytoplasm", path="0").get_as_numpy(), return_counts=True)
        ringed = mine[number[mine.index].isin(rings)]
        assert ringed["Cytoplasm_AreaShape_Area"].tolist() == areas[1:].tolist()


def test_anndata_has_the_features_and_what_they_are_of(results: Path, quiet: None) -> None:
    from ngio import open_ome_zarr_plate

    table = open_ome_zarr_plate(results / "demo.zarr", mode="r").get_table("objects")
    found = table.anndata
    parquet = pq.read_table(results / "tables/objects.parquet")
    assert found.n_obs == parquet.num_rows
    column = "Nuclei_Intensity_MeanIntensity_GFP"
    assert found[:, column].X.ravel() == pytest.approx(parquet.column(column).to_numpy(), nan_ok=True)
    assert list(found.obs["Metadata_Region"]) == parquet.column("Metadata_Region").to_pylist()
    assert list(found.obs["Nuclei_Number_Object_Number"]) == (parquet.column("Nuclei_Number_Object_Number").to_pylist())


def test_both_tables_are_one_file_and_collecting_again_changes_nothing(results: Path) -> None:
    tables = (results / "demo.zarr/tables/objects/table.parquet", results / "tables/objects.parquet")
    assert tables[0].samefile(tables[1])
    metadata = [path for path in results.glob("demo.zarr/tables/**/*") if path.is_file() and path != tables[0]]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in metadata}
    content = tables[0].read_bytes()
    assert collect_plate(results).objects > 50
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in metadata} == before
    assert tables[0].samefile(tables[1])
    assert tables[0].read_bytes() == content


def test_without_a_table_the_store_has_none(results: Path) -> None:
    plan = PlatePlan.load(results / "plan.json")
    plan.model_copy(update={"table": None}).save(results / "plan.json")
    try:
        collect_plate(results)
        assert not (results / "demo.zarr/tables").exists()
    finally:
        plan.save(results / "plan.json")
    collect_plate(results)
    assert (results / "demo.zarr/tables/objects/table.parquet").exists()


def test_a_file_system_without_links_has_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "objects.parquet"
    write_table(source, {"Metadata_Region": ["A/01/1/labels/a"], "label": np.array([1])})
    table = PlateTable("objects", ("Metadata_Region", "label"))
    for content in (np.array([1]), np.array([2])):
        write_table(source, {"Metadata_Region": ["A/01/1/labels/a"], "label": content})
        table.link(tmp_path / "p.zarr", source)
        copy = tmp_path / "p.zarr" / table.path
        assert not copy.samefile(source)
        assert copy.read_bytes() == source.read_bytes()
    assert b'"instance_key":"label"' in table.files()["tables/objects/zarr.json"]


def test_an_empty_table_opens(tmp_path: Path, quiet: None) -> None:
    from ngio import open_ome_zarr_plate

    from hcs_lib.storage.plate import write_plate

    source = tmp_path / "objects.parquet"
    columns = {"Metadata_Region": np.full(0, "a"), "Nuclei_Number_Object_Number": np.empty(0, np.int32)}
    write_table(source, columns | {"Nuclei_AreaShape_Area": np.empty(0)})
    write_plate(tmp_path / "p.zarr", "p", {"A01": ["1"]})
    PlateTable("objects", tuple(columns)).link(tmp_path / "p.zarr", source)
    table = open_ome_zarr_plate(tmp_path / "p.zarr", mode="r").get_table("objects")
    assert list(table.dataframe.columns) == [*columns, "Nuclei_AreaShape_Area"]
    assert len(table.dataframe) == 0
