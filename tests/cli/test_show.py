"""`hcs show`: a context as a person reads it, of stages that take from others too."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hcs_lib.cli.compile import show
from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.context import FrozenContext
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


def shown_of(results: Path, *steps: str) -> str:
    """What is shown of another pipeline on the same plate."""
    folder = results.parents[1]
    (folder / "pipeline.yaml").write_text("name: shown\nsteps:\n" + "".join(f"  - {step}\n" for step in steps))
    settings = load_settings({"plates": "plates.tsv", "pipeline": "pipeline.yaml"}, folder, "config.yaml")
    compile_plate(settings.plates[0], settings, folder / "results")
    return shown(results, "s01-cpu", "B02")


def test_what_comes_from_a_route_and_the_version_of_each_function(results: Path) -> None:
    text = shown_of(
        results,
        "{name: even, func: {call: hcs.subtract_background, args: {radius: 9}}}",
        "{name: where, group_by: channel, stack: site, func: {DNA: hcs.stage_tile_positions},"
        " outputs: {positions: places}}",
        "{name: whole, input: even, stack: site, func: hcs.assemble, inputs: {positions: places.DNA}, keep: true}",
    )
    assert "positions: places.DNA" in text
    versions = {one.id: one.version for one in FrozenContext.load(results / "contexts/s01-cpu/B02.json").functions}
    assert versions["hcs.assemble"] != versions["hcs.subtract_background"]
    assert all(f"{name} {version}" in text.splitlines()[-1] for name, version in versions.items())


def test_an_image_of_each_site(results: Path) -> None:
    text = shown_of(results, "{name: even, func: {call: hcs.subtract_background, args: {radius: 9}}, keep: true}")
    assert "demo.zarr: image of each of 2 sites, cyx 1 × 64 × 80 uint16" in text


def test_a_stage_that_takes_from_others(results: Path) -> None:
    assert "Takes flat of step light from stage s01-cpu" in shown(results, "s02-cpu", "B02")
    text = shown(results, "s03-cpu", "B02")
    for said in ("reads  even of stage s02-cpu, 2 of site stacked, for DNA", "positions: places",
                 "stage_positions=[[0.0, 35.0], [0.0, 70.0]]",
                 "demo.zarr: image, cyx 1 × 64 × 150 uint16",
                 "labels/nuclei, yx 64 × 150 int32",
                 "hcs.classify_pixels(model=model.json (", "Takes the images of step even from stage s02-cpu",
                 " MB of memory, 1 thread(s)"):  # fmt: skip
        assert said in text, text
