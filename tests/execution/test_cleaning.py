"""What was forgotten is done again, and gives the same."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hcs_lib.cli.clean import clean
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import UserError
from hcs_lib.execution.cleaning import forget, remove_work
from hcs_lib.execution.execute import execute_manifest


def done_again(bench: Any) -> set[str]:
    told = set()
    execute_manifest(bench.manifest, report=lambda receipt, kept: None if kept else told.add(receipt.well))
    return told


def test_a_stage_that_was_forgotten_is_done_again(bench: Any) -> None:
    execute_manifest(bench.manifest)
    before = bench.outputs()
    assert done_again(bench) == set()
    assert forget(bench.results, stages=["s02-cpu"]) == []
    assert forget(bench.results, stages=["s01-cpu"]) == [f"s01-cpu/{well}" for well in sorted(bench.wells)]
    assert not list((bench.results / "receipts").glob("*/*.json"))
    assert not (bench.results / "receipts/s01-cpu/batches").exists()
    assert done_again(bench) == set(bench.wells)
    assert bench.outputs() == before


def test_only_what_failed_is_tried_again(bench: Any) -> None:
    execute_manifest(bench.manifest)
    path = bench.receipt_path("B02")
    receipt = Receipt.load(path)
    assert receipt is not None
    receipt.model_copy(update={"status": "failed"}).save(path)
    assert forget(bench.results, only_failed=True) == ["s01-cpu/B02"]
    assert done_again(bench) == {"B02"}


def test_stores_of_wells_go_and_those_of_the_plate_stay(tmp_path: Path) -> None:
    for name in ("B02", "plate"):
        (tmp_path / f"work/s01-cpu/{name}.zarr").mkdir(parents=True)
        (tmp_path / f"work/s01-cpu/{name}.zarr/zarr.json").write_text("1234567")
    assert remove_work(tmp_path) == 7
    assert [path.name for path in (tmp_path / "work/s01-cpu").iterdir()] == ["plate.zarr"]


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "Say what to clean"), (["--stage", "s07-cpu"], "There is no stage 's07-cpu'")]
)
def test_the_command_says_what_it_needs(bench: Any, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(clean, [str(bench.results), *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_command_says_what_it_did(bench: Any) -> None:
    execute_manifest(bench.manifest)
    found = CliRunner().invoke(clean, [str(bench.results), "--stage", "s01-cpu", "--work"])
    assert found.output == "demo: 3 receipts removed\ndemo: 0.0 MB between stages removed\n"
