"""`snakemake --report`: after a run, and after one in which a well failed."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow


def test_report_comes_out_although_a_well_failed(
    program: Callable, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(repository / "config", folder / "config")
    assert program("hcs", "demo", "demo", cwd=folder).status == 0
    plane = next((folder / "demo/plate").rglob("demo_C03_s3_w2.tif"))
    plane.write_bytes(plane.read_bytes()[:300])
    snakemake = ("snakemake", "--snakefile", repository / "Snakefile", "--cores", "2")
    run = program(*snakemake, cwd=folder)
    assert run.status == 1, run.text

    for name in ("report.html", "report.zip"):
        run = program(*snakemake, "--report", name, cwd=folder)
        assert run.status == 0, run.text
    page = (folder / "report.html").read_text()
    assert "11 of 12" in page, "the first page begins with the wells of each plate"
    assert "1 Summary" in page
    assert "2 Plates" in page
    with zipfile.ZipFile(folder / "report.zip") as packed:
        names = {Path(name).name for name in packed.namelist()}
        summary = next(packed.read(name).decode() for name in packed.namelist() if name.endswith("summary.html"))
    assert names == {
        "report.html", "summary.html", "plates.png", "plate.html", "heatmaps.png", "controls.svg", "dose_response.svg",
        "quality.svg", "montage.png", "fields.png",
    }  # fmt: skip
    assert "demo_C03_s3_w2.tif" in summary, "the failure stands with its reason"
