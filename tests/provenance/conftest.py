"""A real, small run: three wells of a demo plate through index, compile, execute and collect."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.manifests import PlatePlan, Stage
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import write_demo
from hcs_lib.screening.collect import collect_plate
from hcs_lib.screening.gate import judge

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
derived:
  nuclear_fraction: "Nuclei_Intensity_MeanIntensity_GFP /
    (Nuclei_Intensity_MeanIntensity_GFP + Cytoplasm_Intensity_MeanIntensity_GFP)"
"""

SPEC = DemoSpec(rows=("B",), columns=(2, 3, 4), grid=(1, 2), z_planes=2)


def run_plate(folder: Path, *, gated: bool = False, **keys: object) -> Path:
    """Run the plate whose configuration lies in a folder, `gated`: to its gate; return its results, `results/demo`."""
    config = {"plates": "plates.tsv", "pipeline": "pipeline.yaml", **keys}
    settings = load_settings(config, folder, str(folder / "config.yaml"))
    plate = settings.plates[0]
    results = folder / "results" / plate.name
    index_plate(plate.path, plate=plate.name).save(results / "index.json")
    plan = compile_plate(plate, settings, results.parent)
    execute(results, plan.stages[:1] if gated else plan.stages)
    if not gated:
        collect_plate(results)
    return results


def execute(results: Path, stages: Sequence[Stage]) -> None:
    for stage in stages:
        for batch in stage.batches:
            execute_manifest(results / "manifests" / stage.name / f"{batch}.json")


@pytest.fixture
def pass_gate() -> Callable[[Path], None]:
    """Let a plate through its gate, and finish it."""

    def finish(results: Path) -> None:
        assert judge(results).found.passed
        execute(results, PlatePlan.load(results / "plan.json").stages[1:])
        collect_plate(results)

    return finish


@pytest.fixture(scope="session")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: images, platemap, pipeline. Not yet run."""
    folder = tmp_path_factory.mktemp("analysis")
    write_demo(folder / "demo", SPEC)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "plates.tsv").write_text("plate\tpath\tplatemap\ndemo\tdemo/plate\tdemo/platemap.csv\n")
    return folder


@pytest.fixture(scope="session")
def finished(analysis: Path) -> Path:
    """Its results, complete; not to be changed."""
    return run_plate(analysis)


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of the results, to be damaged."""
    return Path(shutil.copytree(finished.parent, tmp_path / "results")) / "demo"


@pytest.fixture
def rerun(analysis: Path, tmp_path: Path) -> Callable[..., Path]:
    """Run a copy of the analysis which was changed first."""

    def run(change: Callable[[Path], None], **settings: object) -> Path:
        folder = Path(shutil.copytree(analysis, tmp_path / "changed", ignore=shutil.ignore_patterns("results")))
        change(folder)
        return run_plate(folder, **settings)

    return run
