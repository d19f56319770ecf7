"""The example BBBC013 on Slurm, with `make slurm` only: tables and arrays are those of a local run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

TARGETS = ("results/bbbc013/verdict.txt", "results/bbbc013/tables/hits.csv")


def test_bbbc013_on_slurm(
    cluster: Any, at: Callable[..., Any], repository: Path, shared_data: Path, tmp_path: Path
) -> None:
    """From a folder of one's own, with the clone's profile."""
    found = []
    for name in ("slurm", "local"):
        folder = tmp_path / name / "analysis"
        shutil.copytree(repository / "config/examples/bbbc013", folder)
        (folder / "images").symlink_to(shared_data / "bbbc013-wortmannin/images")
        (folder / "slurm").symlink_to(repository / "profiles/slurm")
        analysis = at(folder, "bbbc013")
        arguments = ("--snakefile", str(repository / "Snakefile"), "--configfile", "config.yaml")
        analysis.run(*TARGETS, *arguments, slurm=name == "slurm")
        found.append(analysis)
    mine, theirs = found
    assert "32 of 32 wells done" in (mine.results / "verdict.txt").read_text()
    mine.assert_same(theirs)
    executed = [jobs for comment, jobs in cluster.jobs().items() if "execute_cpu_wildcards_bbbc013" in comment]
    assert [[job.state for job in jobs] for jobs in executed] == [["COMPLETED"]] * 2
