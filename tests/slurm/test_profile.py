"""profiles/slurm beside profiles/default, which Snakemake applies as well; and both in a folder of one's own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

BIN = Path(sys.executable).parent


def keys(profile: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((profile / "config.yaml").read_text())
    return found


def test_the_name_slurm_leads_to_the_profile(repository: Path) -> None:
    link = repository / "slurm"
    assert link.is_symlink(), "snakemake --profile slurm looks for this name, from the clone"
    assert link.resolve() == repository / "profiles/slurm"


@pytest.mark.parametrize("name", ["slurm", "local-gpu"])
def test_default_profile_replaces_nothing(repository: Path, name: str) -> None:
    default, profile = keys(repository / "profiles/default"), keys(repository / f"profiles/{name}")
    assert not default.keys() & profile.keys(), "keys of profiles/default replace the same keys of --profile"
    assert "slurm-array-jobs" not in profile


@pytest.fixture
def installed(repository: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Make a profile known to a person who has none, by `make profile`; then run a program in a folder of theirs."""

    def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"HOME": str(tmp_path / "home")}
        environment.pop("XDG_CONFIG_HOME", None)
        return subprocess.run(
            command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
        )

    done = run("make", "profile", cwd=repository)
    assert done.returncode == 0, done.stdout
    return run


def test_a_profile_is_copied_for_a_person_to_edit_and_not_twice(
    repository: Path, installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    copy = tmp_path / "home/.config/snakemake/slurm"
    both = keys(repository / "profiles/default") | keys(repository / "profiles/slurm")
    assert keys(copy) == both | {"snakefile": str(repository / "Snakefile")}
    (copy / "config.yaml").write_text("jobs: 7\n")
    again = installed("make", "profile", cwd=repository)
    assert again.returncode != 0
    assert "is there already" in again.stdout
    assert keys(copy) == {"jobs": 7}
    assert installed("make", "profile", "PROFILE=local-gpu", cwd=repository).returncode == 0
    assert keys(copy.with_name("local-gpu"))["resources"] == {"gpu": 1}


@pytest.mark.workflow
@pytest.mark.slurm
def test_the_command_is_known_in_a_folder_of_ones_own(
    cluster: Any, repository: Path, installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copytree(repository / "config", own / "config")
    assert installed(BIN / "hcs", "demo", "demo", cwd=own).returncode == 0
    run = installed(BIN / "snakemake", "--profile", "slurm", "--dry-run", cwd=own)
    assert run.returncode == 0, run.stdout
    assert "This was a dry-run" in run.stdout
    if os.environ.get("HCS_SLURM") != "full":
        return
    before = cluster.last_id()
    target = "results/registry/hcs.json"
    run = installed(BIN / "snakemake", "--profile", "slurm", target, cwd=own)
    assert run.returncode == 0, run.stdout
    assert (own / target).is_file()
    assert list(cluster.jobs(before)) == ["rule_registry_wildcards_hcs"]
