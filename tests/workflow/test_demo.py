"""The demo, in a folder of its own that is laid out as the clone: what `make demo` runs."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def demo(program: Callable, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(repository / "config", folder / "config")
    assert program("hcs", "demo", "demo", cwd=folder).status == 0
    run = program("snakemake", "--snakefile", repository / "Snakefile", "--cores", "2", cwd=folder)
    assert run.status == 0, run.text
    return folder


def test_results_compare_with_the_truth(program: Callable, demo: Path) -> None:
    compared = program("hcs", "demo", "demo", "--compare", "results/demo", cwd=demo)
    assert compared.status == 0, compared.text
    assert len(compared.text.splitlines()) <= 20


def test_dose_response_is_that_of_the_truth(demo: Path) -> None:
    truth = json.loads((demo / "demo/truth.json").read_text())["response"]
    with (demo / "results/demo/tables/dose_response.csv").open(newline="") as file:
        (curve,) = csv.DictReader(file)
    assert (curve["feature"], curve["flag"]) == ("nuclear_fraction", "")
    assert float(curve["ec50"]) == pytest.approx(truth["ec50_nm"], rel=0.1)
    assert float(curve["hill"]) == pytest.approx(truth["hill"], rel=0.1)


def test_writing_the_plate_again_and_a_second_run_do_nothing(program: Callable, repository: Path, demo: Path) -> None:
    assert program("hcs", "demo", "demo", cwd=demo).status == 0
    run = program("snakemake", "--snakefile", repository / "Snakefile", "--cores", "2", cwd=demo)
    assert run.status == 0
    assert "Nothing to be done" in run.text


def test_configuration_that_is_named_is_not_mixed_with_the_demos(
    program: Callable, repository: Path, demo: Path
) -> None:
    own = demo / "own.yaml"
    own.write_text("plates: config/plates.tsv\n")
    run = program(
        "snakemake", "--snakefile", repository / "Snakefile", "--configfile", own, "--cores", "2", "--dry-run", cwd=demo
    )
    assert run.status == 2
    assert "has no pipeline" in run.text, "the demo's pipeline leaked into another configuration"


def test_replicate_plates_have_statistics_together(program: Callable, repository: Path, demo: Path) -> None:
    """The plate of the demo twice: each by itself as before, and the two as replicates."""
    plates = (demo / "config/plates.tsv").read_text()
    (demo / "config/two.tsv").write_text(plates + plates.splitlines()[1].replace("demo\t", "again\t", 1) + "\n")
    config = (demo / "config/config.yaml").read_text().replace("plates.tsv", "two.tsv")
    (demo / "config/two.yaml").write_text(config.replace("direction: up", "direction: up, min_replicates: 2"))
    run = program(
        "snakemake", "--snakefile", repository / "Snakefile", "--configfile", "config/two.yaml", "--cores", "2",
        cwd=demo,
    )  # fmt: skip
    assert run.status == 0, run.text
    quality, hits = ((demo / f"results/screen/{name}.csv").read_text() for name in ("assay_quality", "hits"))
    assert quality.splitlines()[1].startswith("nuclear_fraction,")
    assert [line.split(",")[-4:] for line in hits.splitlines() if ",30," in line] == [["2", "2", "2", "yes"]] * 2
    alone = (demo / "results/again/tables/hits.csv").read_text()
    assert [line.split(",")[-4:] for line in alone.splitlines() if ",30," in line] == [["1", "1", "1", ""]]


def test_workflow_folder_includes_the_workflow(program: Callable, repository: Path, demo: Path) -> None:
    """The path that the workflow catalogue and `module` expect."""
    run = program("snakemake", "--snakefile", repository / "workflow/Snakefile", "--cores", "2", cwd=demo)
    assert run.status == 0
    assert "Nothing to be done" in run.text
