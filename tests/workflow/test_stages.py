"""Stages of a plate and of its wells: the same numbers as in one stage; what changes is done again, and no more."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hcs_lib.storage.work import read_value

pytestmark = pytest.mark.workflow

FLAT = """\
  - {name: illumination, scope: plate, stack: site, sample: 12, func: hcs.estimate_flat_field, outputs: {image: flat}}
  - {name: corrected, input: raw, func: hcs.apply_flat_field, inputs: {flat_field: flat}CHECKPOINT}
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, program: Callable) -> Path:
    """The plate of the demo and its configuration, with a flat field before the other steps."""
    folder = tmp_path_factory.mktemp("stages")
    assert program("hcs", "demo", folder / "demo", cwd=folder).status == 0
    clone = Path(__file__).parents[2]
    shutil.copytree(clone / "config", folder / "config")
    return folder


def configure(demo: Path, name: str, checkpoint: str) -> Path:
    """Write a configuration of its own, in a folder beside the plate."""
    folder = demo / name
    shutil.copytree(demo / "config", folder / "config")
    (folder / "config/plates.tsv").write_text(
        "plate\tpath\tplatemap\ndemo\t../../demo/plate\t../../demo/platemap.csv\n"
    )
    pipeline = folder / "config/pipelines/demo.yaml"
    text = pipeline.read_text().replace("steps:\n", "steps:\n" + FLAT.replace("CHECKPOINT", checkpoint))
    pipeline.write_text(text)
    return folder


def run(program: Callable, folder: Path, *arguments: str) -> None:
    done = program(
        "snakemake", "--snakefile", Path(__file__).parents[2] / "Snakefile", "--directory", folder,
        "--configfile", folder / "config/config.yaml", "--cores", "2", *arguments, cwd=folder,
    )  # fmt: skip
    assert done.status == 0, done.text


def receipts(folder: Path) -> dict[str, bytes]:
    found = (folder / "results/demo/receipts").glob("*/*.json")
    return {f"{path.parent.name}/{path.stem}": path.read_bytes() for path in found}


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "results/demo/tables").glob("*.*")}


def test_stages_give_what_one_stage_gives_and_redo_only_what_changed(demo: Path, program: Callable) -> None:
    one, two = configure(demo, "one", ""), configure(demo, "two", ", checkpoint: true")
    run(program, one)
    run(program, two)
    stages = {folder: json.loads((folder / "results/demo/plan.json").read_text())["stages"] for folder in (one, two)}
    assert [(stage["name"], stage["scope"]) for stage in stages[one]] == [("s01-cpu", "plate"), ("s02-cpu", "well")]
    assert [stage["steps"][0] for stage in stages[two]] == ["illumination", "corrected", "projection"]
    assert tables(one) == tables(two)
    flat = read_value(one / "results/demo/work/s01-cpu/plate.zarr/illumination/values/flat/0")
    assert flat.dtype == np.float32
    assert flat.mean() == pytest.approx(1, abs=1e-4)

    # An argument of the last stage runs the last stage again, from what was kept, and nothing else.
    before = receipts(two)
    pipeline = two / "config/pipelines/demo.yaml"
    pipeline.write_text(pipeline.read_text().replace("outer: 8 px", "outer: 9 px"))
    run(program, two)
    after = receipts(two)
    assert {name.partition("/")[0] for name in after if after[name] != before[name]} == {"s03-cpu"}

    # What was kept between stages is made again where it was removed, and only where a later stage needs it.
    store = two / "results/demo/work/s02-cpu"
    wells = sorted(path.stem for path in store.glob("*.zarr"))
    shutil.rmtree(store)
    run(program, two)
    assert receipts(two) == after
    pipeline.write_text(pipeline.read_text().replace("outer: 9 px", "outer: 8 px"))
    run(program, two)
    assert tables(two) == tables(one)
    assert sorted(path.stem for path in store.glob("*.zarr")) == wells
    # A forced run executes again, and gives the same.
    forced = receipts(two)
    run(program, two, "--forcerun", "execute_cpu")
    assert all(receipts(two)[name] != receipt for name, receipt in forced.items())
    assert tables(two) == tables(one)
    verified = program("hcs", "verify", two / "results", cwd=two)
    assert verified.status == 0, verified.text
    assert "estimate_flat_field" in (two / "results/demo/provenance/methods.md").read_text()


IMPORTS = """\
import sys, threading

class InTheMainThread:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "zarr" and threading.current_thread() is not threading.main_thread():
            raise AssertionError(f"{name} is imported while another thread may import it")

sys.meta_path.insert(0, InTheMainThread())
from hcs_lib.cli.main import main
main()
"""


def test_what_both_threads_of_a_job_need_is_imported_before_there_are_two(demo: Path, program: Callable) -> None:
    """Of zarr, one thread saw a half where both began with it: a job failed now and then."""
    folder = configure(demo, "imports", ", checkpoint: true")
    results = folder / "results/demo"
    for command in (
        ("index", demo / "demo/plate", "--plate", "demo", "--output", results / "index.json"),
        ("compile",),
        ("execute", results / "manifests/s01-cpu/b001.json", results / "manifests/s02-cpu/b001.json"),
    ):
        made = program("hcs", *command, cwd=folder)
        assert made.status == 0, made.text
    done = program("python", "-c", IMPORTS, "execute", results / "manifests/s03-cpu/b001.json", cwd=folder)
    assert done.status == 0, done.text
    assert "done in" in done.text
