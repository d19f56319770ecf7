"""A plate that stops at the gate, is looked at, and goes on."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.workflow

WELLS = ("A01", "B01", "C01", "D01", "A02", "B02")
GATE = "qc_flags: {dim: null, background: null, uneven: null}\nqc_gate: {max_flagged: 0.1}\n"


def blur(path: Path) -> None:
    """Put one image of a plate out of focus."""
    import numpy as np
    import tifffile
    from scipy.ndimage import gaussian_filter

    plane = tifffile.imread(path)
    tifffile.imwrite(path, np.rint(gaussian_filter(plane.astype(float), 4)).astype(plane.dtype))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def receipts(analysis: Any, stage: str) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in analysis.results.glob(f"receipts/{stage}/*.json")}


def crate(analysis: Any) -> dict[str, dict[str, Any]]:
    """Return the entities of the crate by their id."""
    graph = json.loads((analysis.work / "results/ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_a_plate_with_a_blurred_site_waits_for_a_person_and_others_do_not(bbbc013: Callable, program: Callable) -> None:
    analysis = bbbc013(wells=WELLS)
    images = analysis.config.parent / "images"
    shutil.copytree(images, images.parent / "sharp")
    header, plate = (analysis.config.parent / "plates.tsv").read_text().splitlines()
    sharp = plate.replace("bbbc013\timages", "sharp\tsharp")
    (analysis.config.parent / "plates.tsv").write_text(f"{header}\n{plate}\n{sharp}\n")
    (image,) = images.glob("Channel2-*-C-01.tif")
    blur(image)
    analysis.config.write_text(analysis.config.read_text() + GATE)

    stopped = analysis.run()
    assert stopped.status == 1
    told = " ".join(stopped.text.split())  # Snakemake breaks the lines of logs.
    assert "bbbc013: well C01, site 1: blurred DNA" in told
    assert "1 of 6 sites flagged (17%), 10% allowed." in told
    assert 'hcs gate results/bbbc013 --approve "REASON"' in told
    measured = receipts(analysis, "s01-cpu")
    assert set(measured) == set(WELLS)
    assert not receipts(analysis, "s02-cpu")
    assert json.loads((analysis.results / "gate.json").read_text())["passed"] is False
    assert not (analysis.results / "tables/wells.csv").exists()
    assert not (analysis.results / "verdict.txt").exists()

    other = analysis.work / "results/sharp"
    assert "6 of 6 wells done, 0 failed" in (other / "verdict.txt").read_text()
    assert (other / "figures/plate.html").exists()
    summary = (analysis.work / "results/report/summary.html").read_text()
    assert "Plates that are held up (1 of 2)" in summary
    assert "stopped at the gate: 1 of 6 sites flagged (17%), 10% allowed (C01 site 1: blurred DNA)" in summary
    assert "hcs gate results/bbbc013 --approve &#34;REASON&#34;" in summary
    assert {"#run-sharp"} == {name for name in crate(analysis) if name.startswith("#run-")}
    report = analysis.run("--report", "report.html")
    assert report.status == 0, report.text
    still = analysis.run()
    assert still.status == 1, "it waits until somebody approves, or mends the image"
    assert receipts(analysis, "s01-cpu") == measured

    manifest = analysis.results / "manifests/s02-cpu/b001.json"
    by_hand = program("hcs", "execute", manifest, cwd=analysis.work)
    assert by_hand.status == 2
    assert "The gate has not let the plate through." in by_hand.text

    approved = program("hcs", "gate", "results/bbbc013", "--approve", "nuclei can be told apart", cwd=analysis.work)
    assert approved.status == 0, approved.text
    went_on = analysis.run()
    assert went_on.status == 0, went_on.text
    assert receipts(analysis, "s01-cpu") == measured
    assert set(receipts(analysis, "s02-cpu")) == set(WELLS)
    wells = {row["well"]: row for row in read_csv(analysis.results / "tables/wells.csv")}
    assert {well: row["sites_blurred"] for well, row in wells.items() if row["sites_flagged"] != "0"} == {"C01": "1"}
    assert all(int(row["count_nuclei"]) > 50 for row in wells.values())
    assert "approve" not in (analysis.results / "gate.json").read_text()
    (approval,) = json.loads((analysis.results / "approvals.json").read_text())
    assert approval["reason"] == "nuclei can be told apart"

    methods = (analysis.results / "provenance/methods.md").read_text()
    assert "sites were flagged (C01 site 1: blurred DNA" in methods
    assert f"approved by {approval['by']} on {approval['at'][:10]}: nuclei can be told apart" in methods
    entities = crate(analysis)
    assert {"bbbc013/tables/assay_quality.csv", "bbbc013/tables/hits.csv", "#run-bbbc013", "#run-sharp"} <= set(
        entities
    )
    assert "held up" not in (analysis.work / "results/report/summary.html").read_text()

    again = analysis.run()
    assert again.status == 0
    assert "Nothing to be done" in again.text

    # Another threshold, the same flagged sites: nothing is measured again, and the approval holds.
    done = receipts(analysis, "s02-cpu")
    analysis.edit("config.yaml", "max_flagged: 0.1", "max_flagged: 0.05")
    stricter = analysis.run()
    assert stricter.status == 0, stricter.text
    assert (receipts(analysis, "s01-cpu"), receipts(analysis, "s02-cpu")) == (measured, done)
