"""`hcs show`: a context as a person reads it, of stages that take from others too."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hcs_lib.cli.compile import show
from hcs_lib.compiler.compile import compile_plate
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.index import Channel, Plane, PlateIndex, StagePosition

PIPELINE = """\
name: shown
steps:
  - {name: light, scope: plate, stack: site, sample: 2, func: hcs.estimate_flat_field, outputs: {image: flat}}
  - {name: even, input: raw, func: hcs.apply_flat_field, inputs: {flat_field: flat}, checkpoint: true}
  - {name: where, stack: site, func: hcs.stage_tile_positions, outputs: {positions: places}}
  - {name: whole, stack: site, func: hcs.assemble, inputs: {positions: places}, keep: true}
  - name: chance
    func: {call: hcs.classify_pixels, args: {model: {file: model.json}, target: cell}}
    outputs: {image: unused}
  - {name: look, func: {call: hcs.segment_nuclei, args: {min_diameter: 8}}, outputs: {labels: nuclei}}
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    sites = (1, 2)
    index = PlateIndex(
        plate="demo", format="pattern", fingerprint="stat", shape=(64, 80), dtype="uint16", pixel_size_um=0.5,
        z_spacing_um=None, grid=(1, 2), wells=("B02",), sites=sites, channels=(Channel(id="1", name="DNA"),), z=(1,),
        t=(0,), positions=tuple(StagePosition(well="B02", site=site, x_um=35.0 * site, y_um=0) for site in sites),
        planes=tuple(
            Plane(well="B02", site=site, channel="1", z=1, t=0, file=f"s{site}.tif", page=0, size=1, mtime_ns=1)
            for site in sites
        ),
        problems=(),
    )  # fmt: skip
    (tmp_path / "raw").mkdir()
    (tmp_path / "plates.tsv").write_text("plate\tpath\ndemo\traw\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "model.json").write_text(json.dumps({"classes": ["cell"]}))
    index.save(tmp_path / "results/demo/index.json")
    settings = load_settings({"plates": "plates.tsv", "pipeline": "pipeline.yaml"}, tmp_path, "config.yaml")
    compile_plate(settings.plates[0], settings, tmp_path / "results")
    return tmp_path / "results/demo"


def shown(results: Path, stage: str, axis_id: str) -> str:
    done = CliRunner().invoke(show, [str(results / f"contexts/{stage}/{axis_id}.json")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_stage_of_the_plate(results: Path) -> None:
    text = shown(results, "s01-cpu", "plate")
    for said in ("demo plate, stage s01-cpu", "raw, 2 of site stacked, for DNA", "hcs.estimate_flat_field()",
                 "Passes flat of step light on to later stages", "Reads 20.5 kB of pixels"):  # fmt: skip
        assert said in text


def test_a_stage_that_takes_from_others(results: Path) -> None:
    assert "Takes flat of step light from stage s01-cpu" in shown(results, "s02-cpu", "B02")
    text = shown(results, "s03-cpu", "B02")
    for said in ("reads  even of stage s02-cpu, 2 of site stacked, for DNA", "positions: places",
                 "stage_positions=[[0.0, 35.0], [0.0, 70.0]]",
                 "demo.zarr: image, cyx 1 × 64 × 150 uint16",
                 "labels/nuclei, yx 64 × 150 int32",
                 "hcs.classify_pixels(model=model.json (", "Takes the images of step even from stage s02-cpu",
                 "Needs about 30"):  # fmt: skip
        assert said in text, text
