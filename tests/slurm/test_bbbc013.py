"""The example BBBC013 on Slurm, in full (`make slurm`): tables and arrays are those of a local run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

TARGETS = ("results/bbbc013/verdict.txt", "results/bbbc013/tables/hits.csv")
WELLS = ("",) if os.environ.get("HCS_SLURM") == "full" else ("A-01", "A-02", "A-12")
"""Parts of file names: all wells, or three."""


def test_bbbc013_on_slurm(
    cluster: Any, at: Callable[..., Any], repository: Path, shared_data: Path, tmp_path: Path
) -> None:
    """From a folder of one's own, with the clone's profile."""
    found = []
    for name in ("slurm", "local"):
        folder = tmp_path / name / "analysis"
        shutil.copytree(repository / "config/examples/bbbc013", folder)
        (folder / "images").mkdir()
        for image in (shared_data / "bbbc013-wortmannin/images").glob("*.tif"):
            if any(well in image.name for well in WELLS):
                shutil.copy2(image, folder / "images")
        (folder / "slurm").symlink_to(repository / "profiles/slurm")
        analysis = at(folder, "bbbc013")
        arguments = ("--snakefile", str(repository / "Snakefile"), "--configfile", "config.yaml")
        analysis.run(*arguments, *TARGETS, slurm=name == "slurm")
        found.append(analysis)
    mine, theirs = found
    wells = len(list((theirs.folder / "images").iterdir())) // 2
    assert f"{wells} of {wells} wells done" in (mine.results / "verdict.txt").read_text()
    mine.assert_same(theirs)
    executed = [jobs for comment, jobs in cluster.jobs().items() if "execute_cpu_wildcards_bbbc013" in comment]
    assert [[job.state for job in jobs] for jobs in executed] == [["COMPLETED"]] * len(executed)
    assert executed
