"""The crate of a real run before the community's validator: rocrate-validator (roc-validator), offline.

It lives in an environment of its own (`validator.txt`), made once and kept in pytest's cache.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hcs_lib.provenance.crate import write_crate
from hcs_lib.provenance.runs import load_run

pytestmark = pytest.mark.validator

HERE = Path(__file__).parent
PROFILES = {"ro-crate-1.1", "process-run-crate-0.5", "workflow-run-crate-0.5", "workflow-ro-crate-1.0"}
"""Those that the crate says it conforms to; the validator reads it there."""


@dataclass(frozen=True)
class Verdict:
    """What the validator said: profiles, number of REQUIRED checks done and not done, checks that failed."""

    profiles: set[str]
    done: int
    skipped: int
    failed: dict[str, str]


@pytest.fixture(scope="session")
def environment(pytestconfig: pytest.Config) -> Path:
    """Make the validator's environment, with the contexts in its cache."""
    files = [HERE / name for name in ("validator.txt", "validator_cache.py", "workflow-run.jsonld")]
    key = hashlib.sha256(b"".join([sys.version.encode(), *(file.read_bytes() for file in files)])).hexdigest()[:16]
    folder = pytestconfig.cache.mkdir(f"validator-{key}")
    if not (folder / "done").exists():
        python = folder / "bin/python"
        for command in (
            [sys.executable, "-m", "venv", "--clear", folder],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "validator.txt"],
            [python, HERE / "validator_cache.py", folder / "cache"],
        ):
            run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
            if run.returncode:
                reason = (run.stderr or run.stdout).strip().splitlines()[-1:]
                pytest.skip(f"the validator's environment cannot be made: {' '.join(reason)}")
        (folder / "done").touch()
    return folder


@pytest.fixture
def validate(environment: Path, tmp_path: Path) -> Callable[[Path], Verdict]:
    def run(crate: Path) -> Verdict:
        report = tmp_path / "validator.json"
        program = [environment / "bin/rocrate-validator", "-y", "validate", crate, "--verbose", "--no-paging"]
        offline = ["--offline", "--cache-path", environment / "cache"]
        done = subprocess.run(
            list(map(str, [*program, *offline, "--output-format", "json", "--output-file", report])),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert report.exists(), done.stdout + done.stderr
        found = json.loads(report.read_text())
        failed = {issue["check"]["identifier"]: str(issue["message"]) for issue in found["issues"]}
        assert (done.returncode, found["passed"]) == (int(bool(failed)), not failed)
        counts = found["statistics"]
        return Verdict(set(counts["profiles"]), counts["total_checks"], counts["total_skipped_checks"], failed)

    return run


@pytest.fixture
def write(repository: Path, analysis: Path) -> Callable[[Sequence[Path]], Path]:
    """Write the crate of plates of one folder; return that folder."""

    def make(plates: Sequence[Path]) -> Path:
        inputs = [analysis / "pipeline.yaml", analysis / "plates.tsv", analysis / "demo/platemap.csv"]
        runs = [load_run(plate) for plate in plates]
        return write_crate(plates[0].parent, runs, repository / "Snakefile", inputs, "9.27.0").parent

    return make


def test_every_required_check_is_done_and_passes(write: Callable, validate: Callable, results: Path) -> None:
    verdict = validate(write([results]))
    assert verdict.failed == {}
    assert verdict.profiles == PROFILES
    assert (verdict.done, verdict.skipped) == (57, 0)


def test_a_run_with_a_failed_well_is_as_valid(write: Callable, validate: Callable, rerun: Callable) -> None:
    def truncate(folder: Path) -> None:
        file = next(path for path in sorted((folder / "demo/plate").rglob("*.tif*")) if "B03" in path.name)
        file.write_bytes(file.read_bytes()[:400])

    verdict = validate(write([rerun(truncate)]))
    assert (verdict.failed, verdict.skipped) == ({}, 0)


@pytest.mark.parametrize(
    ("entity", "key", "check"),
    [
        ("./", "license", "ro-crate-1.1_8.3"),
        ("./", "mainEntity", "workflow-ro-crate-1.0_3.1"),
        ("workflow/Snakefile", "programmingLanguage", "workflow-ro-crate-1.0_2.2"),
        ("#run-demo", "instrument", "process-run-crate-0.5_1.1"),
        ("#input-raw-plate", "additionalType", "workflow-run-crate-0.5_"),
    ],
)
def test_a_crate_without_a_required_property_fails(
    write: Callable, validate: Callable, results: Path, entity: str, key: str, check: str
) -> None:
    path = write([results]) / "ro-crate-metadata.json"
    metadata: dict[str, Any] = json.loads(path.read_text())
    (found,) = (item for item in metadata["@graph"] if item["@id"] == entity)
    del found[key]
    path.write_text(json.dumps(metadata))
    assert [name for name in validate(path.parent).failed if name.startswith(check)]


def test_a_crate_that_names_what_is_not_there_fails(write: Callable, validate: Callable, results: Path) -> None:
    folder = write([results])
    (folder / "demo/tables/wells.csv").unlink()
    (failed,) = validate(folder).failed.values()
    assert "demo/tables/wells.csv" in failed
