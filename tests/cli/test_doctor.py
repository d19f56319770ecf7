"""`hcs doctor` in this environment: real libraries, real devices."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest

from hcs_lib.cli.doctor import _PURPOSE


@pytest.fixture(scope="module")
def findings():
    answer = subprocess.run(
        [sys.executable, "-m", "hcs_lib.cli.main", "doctor", "--json"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)["findings"]


def _one(findings, name):
    return next(finding for finding in findings if finding["name"] == name)


def test_every_requirement_of_the_base_is_there_with_its_version(findings):
    for name in ("numpy", "scikit-image", "snakemake", "zarr"):
        assert _one(findings, name) == {
            "group": "library", "name": name, "status": "ok", "version": metadata.version(name),
            "purpose": "the workflow on the CPU", "hint": "",
        }  # fmt: skip


def test_what_is_missing_says_for_what_and_how_to_get_it(findings):
    try:
        metadata.version("cupy-cuda12x")
    except metadata.PackageNotFoundError:
        finding = _one(findings, "cupy-cuda12x")
        assert finding["status"] == "missing"
        assert "NVIDIA" in finding["purpose"]
        assert finding["hint"] == "Run `make setup EXTRAS=cuda12`."
    else:
        assert _one(findings, "cupy-cuda12x")["status"] == "ok"


def test_every_extra_is_for_something(repository):
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert _PURPOSE.keys() == extras.keys() - {"dev"} | {""}


def test_requirements_of_development_are_not_a_users_concern(findings):
    assert not [finding for finding in findings if finding["name"] in ("mypy", "ruff", "pytest")]


@pytest.mark.opencl
def test_an_opencl_device_is_seen_by_name(findings):
    cle = pytest.importorskip("pyclesperanto", reason="pyclesperanto is not installed")
    devices = getattr(cle, "list_available_devices", list)()
    if not devices:
        pytest.skip("there is no OpenCL device")
    assert [f["version"] for f in findings if f["name"] == "OpenCL" and f["status"] == "ok"] == list(devices)


@pytest.mark.torch
def test_torch_is_seen_with_its_version(findings):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert _one(findings, "torch")["version"] == metadata.version("torch")
    seen = [f for f in findings if f["name"] == "CUDA (torch)" and f["status"] == "ok"]
    assert len(seen) == torch.cuda.device_count()
