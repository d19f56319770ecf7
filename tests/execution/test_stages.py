"""Batches of a later stage: behind a gate, and without the wells that failed before."""

from typing import Any

import pytest

from hcs_lib.contexts.gates import GateFound
from hcs_lib.contexts.manifests import Manifest
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import read_json, write_json
from hcs_lib.execution.execute import execute_manifest

BEFORE = "s00-cpu"


def change(bench: Any, **facts: Any) -> None:
    manifest = Manifest.load(bench.manifest)
    write_json(bench.manifest, manifest.model_copy(update=facts).model_dump(mode="json"))


def end(bench: Any, well: str, status: str) -> None:
    """Write the receipt of a well in the stage before."""
    made = bench.results / "receipts" / "s01-cpu" / f"{well}.json"
    receipt = Receipt.model_validate(read_json(made, "receipt") | {"stage": BEFORE, "status": status})
    receipt.save(bench.results / "receipts" / BEFORE / f"{well}.json")


def test_a_gate_that_let_nothing_through(bench: Any) -> None:
    change(bench, after={BEFORE: "well"}, gated=True)
    with pytest.raises(UserError, match=r"gate\.json: The gate has not let the plate through\. Run `hcs gate "):
        execute_manifest(bench.manifest)
    assert not (bench.results / "receipts").exists()
    found = GateFound(plate=bench.results.name, sites=4, flagged=(), max_flagged=0.1, passed=False)
    found.save(bench.results)
    with pytest.raises(UserError, match="The gate has not let the plate through"):
        execute_manifest(bench.manifest)
    found.model_copy(update={"passed": True}).save(bench.results)
    assert {well["status"] for well in execute_manifest(bench.manifest).wells.values()} == {"done"}


def test_a_well_that_failed_before_is_not_executed(bench: Any) -> None:
    first, *others = bench.wells
    plain = execute_manifest(bench.manifest)
    change(bench, after={BEFORE: "well"})
    end(bench, first, "failed")
    for well in others:
        end(bench, well, "done")
        (bench.results / f"receipts/s01-cpu/{well}.json").unlink()
    (bench.results / f"receipts/s01-cpu/{first}.json").unlink()
    told = []
    batch = execute_manifest(bench.manifest, report=lambda receipt, kept: told.append((receipt.well, kept)))
    assert told == [(well, False) for well in others]
    assert batch.wells[first] == {"context_digest": plain.wells[first]["context_digest"], "status": "failed"}
    assert {batch.wells[well]["status"] for well in others} == {"done"}
    assert not (bench.results / f"receipts/s01-cpu/{first}.json").exists()


def test_a_well_that_was_not_in_the_stage_before_is_executed(bench: Any) -> None:
    change(bench, after={BEFORE: "well"})
    assert {well["status"] for well in execute_manifest(bench.manifest).wells.values()} == {"done"}
