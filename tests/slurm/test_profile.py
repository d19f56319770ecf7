"""profiles/slurm beside profiles/default, which Snakemake applies as well."""

from pathlib import Path

import yaml


def test_the_name_slurm_leads_to_the_profile(repository: Path) -> None:
    link = repository / "slurm"
    assert link.is_symlink(), "snakemake --profile slurm looks for this name, from the clone"
    assert link.resolve() == repository / "profiles/slurm"


def test_default_profile_replaces_nothing(repository: Path) -> None:
    default, slurm = (
        yaml.safe_load((repository / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert not default.keys() & slurm.keys(), "keys of profiles/default replace the same keys of --profile"
    assert "slurm-array-jobs" not in slurm
