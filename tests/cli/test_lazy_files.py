"""Arguments that are files: named in a pipeline, referred to in contexts, loaded once in each process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.lazy import LazyFile, load_file
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import MachineError, UserError
from hcs_lib.execution import arguments
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.functions.pixel_classifier import classify_pixels
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.index import Channel, Plane, PlateIndex
from hcs_lib.storage.images import read_image

MODEL = {
    "features": [["gaussian", 1.0], ["gradient", 2.0]], "mean": [50, 5], "scale": [10, 2],
    "classes": ["background", "cell"], "weights": [[0, 0], [1.0, 0.5]], "bias": [0, 0.1],
}  # fmt: skip

PIPELINE = """\
name: classified
steps:
  - name: cells
    func: {call: hcs.classify_pixels, args: {model: {file: models/cells.json}, target: cell}}
    keep: true
"""


@pytest.fixture
def analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A plate of three wells and one channel, and a pipeline with a model beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, planes = tmp_path / "analysis", []
    for number, well in enumerate(("A01", "A02", "B01")):
        file = folder / f"raw/{well}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, np.random.default_rng(number).integers(0, 100, (20, 24)).astype(np.uint8))
        planes.append(Plane(well=well, site=1, channel="1", z=1, t=0, file=file.name, page=0,
                            size=file.stat().st_size, mtime_ns=file.stat().st_mtime_ns))  # fmt: skip
    PlateIndex(
        plate="demo", format="pattern", fingerprint="stat", shape=(20, 24), dtype="uint8", pixel_size_um=None,
        z_spacing_um=None, grid=(1, 1), wells=("A01", "A02", "B01"), sites=(1,),
        channels=(Channel(id="1", name="DNA"),), z=(1,), t=(0,), positions=(), planes=tuple(planes), problems=(),
    ).save(folder / "results/demo/index.json")  # fmt: skip
    (folder / "plates.tsv").write_text("plate\tpath\ndemo\traw\n")
    (folder / "models").mkdir()
    (folder / "models/cells.json").write_text(json.dumps(MODEL))

    def compile_(pipeline: str = PIPELINE) -> dict[str, FrozenContext]:
        (folder / "pipeline.yaml").write_text(pipeline)
        settings = load_settings({"plates": "plates.tsv", "pipeline": "pipeline.yaml"}, folder, "config.yaml")
        compile_plate(settings.plates[0], settings, folder / "results")
        return {path.stem: FrozenContext.load(path) for path in (folder / "results/demo/contexts").glob("*/*.json")}

    def execute() -> dict[str, Receipt]:
        execute_manifest(folder / "results/demo/manifests/s01-cpu/b001.json", raw=folder / "raw")
        found = [Receipt.load(path) for path in (folder / "results/demo/receipts/s01-cpu").glob("*.json")]
        return {receipt.well: receipt for receipt in found if receipt}

    return SimpleNamespace(folder=folder, compile=compile_, execute=execute, results=folder / "results/demo")


def test_a_context_holds_a_small_reference(analysis: SimpleNamespace) -> None:
    contexts = analysis.compile()
    args = contexts["A01"].step_plans[0].func.chain[0].args
    reference = LazyFile.of(args["model"])
    assert reference is not None
    assert dict(args["model"]) == {"lazy": "json", "name": "cells.json", "sha256": reference.sha256}
    assert (analysis.results / reference.path).read_bytes() == (analysis.folder / "models/cells.json").read_bytes()
    assert str(analysis.folder) not in json.dumps(contexts["A01"].to_json())


def test_a_file_is_loaded_once_for_all_wells_of_a_process(
    analysis: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    monkeypatch.setattr(arguments, "load_file", lambda path: loaded.append(path) or load_file(path))
    analysis.compile()
    assert loaded == []
    receipts = analysis.execute()
    assert {receipt.status for receipt in receipts.values()} == {"done"}
    assert len(loaded) == 1
    for well in receipts:
        pixels = read_image(analysis.results / f"demo.zarr/{well[0]}/{well[1:]}/1")[0]
        raw = tifffile.imread(analysis.folder / f"raw/{well}.tif")
        np.testing.assert_array_equal(pixels, classify_pixels(raw, model=MODEL, target="cell"))


def test_another_content_is_another_digest_and_the_same_content_is_not(analysis: SimpleNamespace) -> None:
    before = analysis.compile()
    (analysis.folder / "models/cells.json").write_text(json.dumps(MODEL))
    assert {well: context.digest for well, context in analysis.compile().items()} == {
        well: context.digest for well, context in before.items()
    }
    (analysis.folder / "models/cells.json").write_text(json.dumps(MODEL | {"bias": [0, 0.2]}))
    after = analysis.compile()
    assert all(after[well].digest != before[well].digest for well in before)
    # What no context names any more is gone.
    assert len(list((analysis.results / "models").iterdir())) == 1


def test_results_moved_elsewhere_have_their_files_with_them(analysis: SimpleNamespace, tmp_path: Path) -> None:
    analysis.compile()
    moved = shutil.copytree(analysis.results, tmp_path / "elsewhere/demo")
    shutil.rmtree(analysis.folder / "models")
    execute_manifest(moved / "manifests/s01-cpu/b001.json", raw=analysis.folder / "raw")
    assert {path.stem for path in (moved / "receipts/s01-cpu").glob("*.json")} == {"A01", "A02", "B01"}


def test_a_file_that_is_gone_or_changed_is_a_failure_of_the_machine(analysis: SimpleNamespace) -> None:
    analysis.compile()
    (stored,) = (analysis.results / "models").iterdir()
    stored.write_text(json.dumps(MODEL | {"bias": [0, 9]}))
    with pytest.raises(MachineError, match=r"cells\.json is not the file that was compiled\. Run `hcs compile` again"):
        analysis.execute()
    stored.unlink()
    with pytest.raises(MachineError, match=r"cells\.json cannot be read \(.*No such file"):
        analysis.execute()
    assert not list((analysis.results / "receipts/s01-cpu").glob("*.json"))


def test_arrays_come_as_arrays_and_cannot_be_changed(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", weights=np.eye(3), bias=np.zeros(3))
    loaded = load_file(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded["weights"], np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        loaded["bias"][0] = 1
    with pytest.raises(TypeError):
        loaded["bias"] = None


def test_a_file_of_objects_is_refused_without_running_them(tmp_path: Path, analysis: SimpleNamespace) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    np.savez(analysis.folder / "models/bad.npz", bad=np.array([Bad()], object))
    with pytest.raises(UserError, match=r"'model': models/bad\.npz cannot be read: Object arrays cannot be loaded"):
        analysis.compile(PIPELINE.replace("cells.json", "bad.npz"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{file: models/none.json}", "there is no file models/none.json in the folder of the pipeline"),
        ("{file: ../models/cells.json}", "does not lie in the folder of the pipeline"),
        ("{file: /etc/passwd}", "does not lie in the folder of the pipeline"),
        ("{file: models/cells.pkl}", "models/cells.pkl is neither .json nor .npz"),
        ("{file: models/cut.json}", "models/cut.json cannot be read"),
        ("{file: models/cut.npz}", "models/cut.npz cannot be read"),
        ("{file: 3}", "a file is named by {file: NAME}, and nothing else"),
        ("{file: models/cells.json, more: 1}", "a file is named by {file: NAME}, and nothing else"),
        ("{lazy: json, sha256: abc}", "references to files are made when compiling; write {file: NAME}"),
    ],
)
def test_files_that_cannot_be_taken(analysis: SimpleNamespace, written: str, message: str) -> None:
    (analysis.folder / "models/cut.json").write_text(json.dumps(MODEL)[:50])
    (analysis.folder / "models/cut.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError) as caught:
        analysis.compile(PIPELINE.replace("{file: models/cells.json}", written))
    assert any(f"'model': {message}" in str(problem) or message in str(problem) for problem in caught.value.problems)
    assert all("pipeline.yaml:4" in problem.where for problem in caught.value.problems)


def test_a_file_where_a_number_is_wanted(analysis: SimpleNamespace) -> None:
    text = PIPELINE.replace("hcs.classify_pixels", "hcs.segment_nuclei").replace("model:", "min_diameter:")
    with pytest.raises(UserError, match=r"'min_diameter' should be a length above 0, .*, found a file"):
        analysis.compile(text.replace(", target: cell", ""))
