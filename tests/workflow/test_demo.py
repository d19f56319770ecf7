"""The demo, in a folder of its own that is laid out as the clone: what `make demo` runs."""

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
    assert run.status == 1
    assert "has no pipeline" in run.text, "the demo's pipeline leaked into another configuration"


def test_workflow_folder_includes_the_workflow(program: Callable, repository: Path, demo: Path) -> None:
    """The path that the workflow catalogue and `module` expect."""
    run = program("snakemake", "--snakefile", repository / "workflow/Snakefile", "--cores", "2", cwd=demo)
    assert run.status == 0
    assert "Nothing to be done" in run.text
