"""`hcs doctor`: which libraries and devices are here, and what is missing for what."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata

import click

_DISTRIBUTION = "hcs-workflow"

_PURPOSE = {
    "": "the workflow on the CPU",
    "opencl": "pyclesperanto's functions",
    "torch": "torch's functions",
    "kornia": "kornia's functions",
    "cuda12": "CuPy's and cuCIM's functions on NVIDIA GPUs (CUDA 12)",
    "cuda13": "CuPy's and cuCIM's functions on NVIDIA GPUs (CUDA 13)",
    "nd2": "plates of ND2 files (Nikon)",
    "czi": "plates of CZI files (Zeiss)",
    "slurm": "snakemake --executor slurm",
}
"""What each set of requirements is for. `dev` is left out: it is for those who change the code."""

_DEVICES = {
    "OpenCL": (
        "pyclesperanto",
        "print(*getattr(pyclesperanto, 'list_available_devices', list)(), sep='\\n')",
        "No OpenCL device: install a driver, for a CPU Debian's pocl-opencl-icd.",
    ),
    "CUDA (torch)": (
        "torch",
        "print(*map(torch.cuda.get_device_name, range(torch.cuda.device_count())), sep='\\n')",
        "torch sees no CUDA device: its functions run on the CPU.",
    ),
    "CUDA (CuPy)": (
        "cupy",
        "print(*range(cupy.cuda.runtime.getDeviceCount() if cupy.cuda.is_available() else 0), sep='\\n')",
        "CuPy sees no CUDA device: a driver, or a GPU, is missing.",
    ),
}
"""Kind of device → module that sees it, code that lists it, what its absence means."""


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis. `status`: ok, missing, wrong version, or broken."""

    group: str
    name: str
    status: str
    version: str
    purpose: str
    hint: str


def _libraries() -> list[Finding]:
    from packaging.requirements import Requirement

    findings = []
    for text in metadata.requires(_DISTRIBUTION) or []:
        requirement = Requirement(text)
        extra = next((name for name in _PURPOSE if name and _needed_for(requirement.marker, name)), "")
        if not extra and requirement.marker is not None and "extra" in str(requirement.marker):
            continue
        hint = "Run `make setup`." if not extra else f"Run `make setup EXTRAS={extra}`."
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            findings.append(Finding("library", requirement.name, "missing", "", _PURPOSE[extra], hint))
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        findings.append(
            Finding(
                "library", requirement.name, "ok" if fits else "wrong version", version, _PURPOSE[extra],
                "" if fits else f"Expected {requirement.specifier}. {hint}",
            )
        )  # fmt: skip
    return findings


def _needed_for(marker: object, extra: str) -> bool:
    from packaging.markers import Marker

    return isinstance(marker, Marker) and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _devices() -> list[Finding]:
    """Ask each library in a process of its own: drivers hang and crash."""
    from importlib.util import find_spec

    findings = []
    for kind, (module, code, hint) in _DEVICES.items():
        if find_spec(module) is None:
            continue
        try:
            answer = subprocess.run(
                [sys.executable, "-c", f"import {module}; {code}"], capture_output=True, text=True, timeout=120
            )
        except subprocess.TimeoutExpired:
            findings.append(Finding("device", kind, "broken", "", module, "The driver did not answer in 120 s."))
            continue
        if answer.returncode:
            last = (answer.stderr.strip().splitlines() or [f"exit status {answer.returncode}"])[-1]
            findings.append(Finding("device", kind, "broken", "", module, last))
            continue
        names = [line for line in answer.stdout.splitlines() if line]
        findings += [Finding("device", kind, "ok", name, module, "") for name in names]
        if not names:
            findings.append(Finding("device", kind, "missing", "", module, hint))
    return findings


def _machine() -> list[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    findings = [
        Finding("machine", "python", "ok", platform.python_version(), "", ""),
        Finding("machine", _DISTRIBUTION, "ok", metadata.version(_DISTRIBUTION), "", ""),
        Finding("machine", "cores", "ok", str(len(os.sched_getaffinity(0))), "", ""),
        Finding("machine", "memory", "ok", f"{memory:.1f} GiB", "", ""),
    ]
    if sbatch := shutil.which("sbatch"):
        answer = subprocess.run([sbatch, "--version"], capture_output=True, text=True, timeout=30)
        findings.append(Finding("machine", "slurm", "ok", answer.stdout.strip(), _PURPOSE["slurm"], ""))
    else:
        findings.append(
            Finding("machine", "slurm", "missing", "", _PURPOSE["slurm"], "There is no sbatch on the PATH.")
        )
    return findings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def doctor(as_json: bool) -> None:
    """Say which libraries, devices and versions are here, and what is missing for what.

    Exit status 3 where something that the workflow needs on any machine is missing or of a wrong version;
    extras may be absent.
    """
    findings = _machine() + _libraries() + _devices()
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        _print(findings)
    if any(finding.status != "ok" and finding.purpose == _PURPOSE[""] for finding in findings):
        sys.exit(3)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "version", "needed for", "what to do"):
        table.add_column(column)
    marks = {"ok": "[green]✓[/]", "missing": "[yellow]–[/]"}
    for finding in findings:
        what = f"{finding.name} device" if finding.group == "device" else finding.name
        version = finding.version if finding.status in ("ok", "missing") else f"{finding.version} {finding.status}"
        table.add_row(marks.get(finding.status, "[red]✗[/]"), what, version.strip(), finding.purpose, finding.hint)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
