"""The example BBBC013 from raw images to tables, and what further runs do."""

import csv
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.workflow


class Executed(NamedTuple):
    analysis: Any
    raw_before: dict
    raw_after: dict


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.resolve().rglob("*"))
    }


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def executed(bbbc013: Callable) -> Executed:
    """Run the whole plate once."""
    analysis = bbbc013()
    images = (analysis.config.parent / "images").resolve()
    before = state_of(images)
    run = analysis.run()
    assert run.status == 0, run.text
    return Executed(analysis, before, state_of(images))


def test_nuclei_of_the_plate_are_those_of_the_reference(executed: Executed) -> None:
    wells = read_csv(executed.analysis.results / "tables/wells.csv")
    assert len(wells) == 32
    assert {well["status"] for well in wells} == {"done"}
    assert sum(int(well["count_nuclei"]) for well in wells) == pytest.approx(6201, rel=0.08)


def test_wells_rank_as_the_peers(executed: Executed, shared_data: Path) -> None:
    from scipy.stats import spearmanr

    truth = shared_data / "bbbc013-wortmannin/truth/peer_openhcs_nuc_cyto_ratio.csv"
    peer = {row["well"]: float(row["nuclear_to_cytoplasmic_gfp_ratio_well_mean"]) for row in read_csv(truth)}
    fraction = {
        row["well"]: float(row["nuclear_fraction"])
        for row in read_csv(executed.analysis.results / "tables/wells.csv")
        if row["well"] in peer
    }
    # The ratio N/C is a monotonic function of the fraction N/(N+C): their ranks, and those of medians, are the same.
    assert len(fraction) == len(peer)
    assert spearmanr(list(fraction.values()), [peer[well] for well in fraction]).statistic >= 0.98


def test_platemap_stands_beside_the_medians(executed: Executed) -> None:
    wells = {row["well"]: row for row in read_csv(executed.analysis.results / "tables/wells.csv")}
    assert (wells["A03"]["compound"], wells["A03"]["dose"], wells["A12"]["control"]) == ("wortmannin", "0.98", "pos")
    negative = [float(row["nuclear_fraction"]) for row in wells.values() if row["control"] == "neg"]
    positive = [float(row["nuclear_fraction"]) for row in wells.values() if row["control"] == "pos"]
    assert max(negative) < 0.55 < 0.65 < min(positive)


def test_assay_quality_and_ec50_are_those_published(executed: Executed) -> None:
    tables = executed.analysis.results / "tables"
    best = read_csv(tables / "assay_quality.csv")[0]
    assert (best["feature"], best["n_pos"], best["n_neg"]) == ("nuclear_fraction", "4", "8")
    assert 0.88 <= float(best["z_prime"]) <= 0.95
    (curve,) = read_csv(tables / "dose_response.csv")
    assert (curve["compound"], curve["n_wells"], curve["unit"], curve["flag"]) == ("wortmannin", "32", "nM", "")
    assert 5 <= float(curve["ec50_low"]) <= float(curve["ec50"]) <= float(curve["ec50_high"]) <= 15


def test_hits_are_the_wells_whose_dose_acts(executed: Executed) -> None:
    hits = read_csv(executed.analysis.results / "tables/hits.csv")
    called = {row["dose"]: row["hit"] for row in hits if not row["control"]}
    assert called == {"0.98": "no", "3.91": "yes", "7.81": "yes", "15.63": "yes", "31.25": "yes"}
    assert {(row["replicates"], row["wells"]) for row in hits if not row["control"]} == {("4", "4")}


def test_raw_plate_is_as_before(executed: Executed) -> None:
    assert len(executed.raw_before) == 64
    assert executed.raw_after == executed.raw_before


def test_second_run_does_nothing(executed: Executed) -> None:
    before = executed.analysis.receipts()
    run = executed.analysis.run()
    assert run.status == 0
    assert "Nothing to be done" in run.text
    assert not executed.analysis.executed_since(before)


def test_deleted_table_is_made_again(executed: Executed) -> None:
    table = executed.analysis.results / "tables/wells.csv"
    before, content = executed.analysis.receipts(), table.read_bytes()
    table.unlink()
    run = executed.analysis.run()
    assert run.status == 0, run.text
    assert table.read_bytes() == content
    assert "bbbc013: 32 of 32 wells done, 0 failed (0 allowed)" in run.text
    assert not executed.analysis.executed_since(before)


def test_comment_executes_no_well(executed: Executed) -> None:
    before = executed.analysis.receipts()
    executed.analysis.edit("pipeline.yaml", "steps:\n", "# Nuclei, then a ring around each.\nsteps:\n")
    run = executed.analysis.run()
    assert run.status == 0
    assert "Nothing to be done" in run.text
    assert not executed.analysis.executed_since(before)


def test_another_rule_for_hits_calls_hits_and_nothing_else(executed: Executed) -> None:
    before = executed.analysis.receipts()
    plan = (executed.analysis.results / "plan.json").stat().st_mtime_ns
    executed.analysis.edit("config.yaml", "threshold: 3,", "threshold: 30,")
    run = executed.analysis.run()
    assert run.status == 0, run.text
    assert not executed.analysis.executed_since(before)
    assert (executed.analysis.results / "plan.json").stat().st_mtime_ns == plan
    hits = read_csv(executed.analysis.results / "tables/hits.csv")
    assert {row["dose"] for row in hits if row["hit"] == "yes"} == {"15.63", "31.25"}


def test_another_size_of_batches_executes_no_well(executed: Executed) -> None:
    before = executed.analysis.receipts()
    config = executed.analysis.config
    config.write_text(config.read_text() + "wells_per_batch: 24\n")
    run = executed.analysis.run()
    assert run.status == 0, run.text
    assert sorted(path.stem for path in executed.analysis.results.glob("manifests/s01-cpu/*")) == ["b001", "b002"]
    assert not executed.analysis.executed_since(before)


def test_override_of_one_well_executes_that_well(executed: Executed) -> None:
    before = executed.analysis.receipts()
    pipeline = executed.analysis.config.parent / "pipeline.yaml"
    override = "{wells: [B03], step: cytoplasm, args: {hcs.expand_ring: {outer: 6 px}}}"
    pipeline.write_text(f"{pipeline.read_text()}overrides:\n  - {override}\n")
    run = executed.analysis.run()
    assert run.status == 0, run.text
    assert executed.analysis.executed_since(before) == {"B03"}


@pytest.fixture
def read_only(bbbc013: Callable) -> Iterator[Any]:
    """Two wells, their images mounted read-only."""
    analysis = bbbc013(wells=("A01", "A12"))
    images = analysis.config.parent / "images"
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "--bind", "-o", "ro", images, images], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a folder read-only here")
    yield analysis
    subprocess.run(["umount", images], check=True)


def test_read_only_plate(read_only: Any) -> None:
    with pytest.raises(OSError, match="Read-only"):
        (read_only.config.parent / "images/x").touch()
    run = read_only.run()
    assert run.status == 0, run.text
    assert {row["status"] for row in read_csv(read_only.results / "tables/wells.csv")} == {"done"}
