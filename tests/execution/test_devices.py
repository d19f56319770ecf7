"""The lease of a GPU, with a driver that is a script, and with the word of a scheduler alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import MachineError
from hcs_lib.execution import devices
from hcs_lib.execution.devices import VISIBLE, Gpu, describe, leased_gpu
from hcs_lib.execution.execute import execute_manifest, execute_well

UUIDS = ("GPU-11111111-aaaa", "GPU-22222222-bbbb")
SMI = f"""#!/bin/sh
echo "0, {UUIDS[0]}, NVIDIA H100 80GB HBM3, 81559, 550.54.15"
echo "1, {UUIDS[1]}, NVIDIA H100 80GB HBM3, [N/A], 550.54.15"
"""

# Holds a GPU until it is killed; says which.
HOLDER = """
import sys, time
from pathlib import Path
from hcs_lib.execution.devices import leased_gpu
with leased_gpu(Path(sys.argv[1]), wait_seconds=30) as gpu:
    print(gpu.id, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without driver and scheduler, whatever this one has."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in (VISIBLE, "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "DRIVER_FILES", tmp_path / "proc")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver with two GPUs: the second does not tell its memory."""
    program = tmp_path / "bin/nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")


def test_a_scheduler_is_taken_at_its_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "3,5")
    with leased_gpu(tmp_path / "locks") as first:
        assert first == Gpu("3")
        assert os.environ[VISIBLE] == "3"
        monkeypatch.setenv(VISIBLE, "3,5")
        with leased_gpu(tmp_path / "locks") as second:
            assert second == Gpu("5")
            assert describe(second, 1) == {"type": "gpu", "machine": os.uname().machine, "threads": 1, "id": "5"}
        assert os.environ[VISIBLE] == "3,5"
    with leased_gpu(tmp_path / "locks") as again:
        assert again == Gpu("3")


def test_a_driver_tells_what_they_are(tmp_path: Path, driver: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with leased_gpu(tmp_path / "locks") as gpu:
        assert gpu == Gpu("0", UUIDS[0], "NVIDIA H100 80GB HBM3", 81559, "550.54.15")
        assert os.environ[VISIBLE] == UUIDS[0], "not by number: CUDA may count otherwise"
        assert describe(gpu, 2) == {
            "type": "gpu", "machine": os.uname().machine, "threads": 2, "id": "0",
            "model": "NVIDIA H100 80GB HBM3", "memory_mb": 81559, "driver": "550.54.15",
        }  # fmt: skip
    assert VISIBLE not in os.environ
    monkeypatch.setenv(VISIBLE, "GPU-2222")
    with leased_gpu(tmp_path / "locks") as gpu:
        assert (gpu.id, gpu.memory_mb) == ("1", None)
    monkeypatch.setenv(VISIBLE, "MIG-7f7f, 0")
    with leased_gpu(tmp_path / "locks") as gpu:
        assert gpu == Gpu("MIG-7f7f")


def test_files_of_the_driver_serve_without_its_program(tmp_path: Path) -> None:
    for bus, uuid in (("0000:4f:00.0", UUIDS[1]), ("0000:0a:00.0", UUIDS[0])):
        folder = tmp_path / "proc/gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(
            f"Model: \t\t NVIDIA A40\nIRQ:   \t 16\nGPU UUID: \t {uuid}\nVideo BIOS: \t 9\n"
        )
    (tmp_path / "proc/version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb  8 2025\nGCC version:  gcc 12.2.0\n"
    )
    with leased_gpu(tmp_path / "locks") as gpu:
        assert gpu == Gpu("0", UUIDS[0], "NVIDIA A40", None, "535.161.08")


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        (None, "no NVIDIA driver answers here"),
        ("", "CUDA_VISIBLE_DEVICES is ''"),
        ("-1", "this job was given none"),
        ("NoDevFiles", "this job was given none"),
    ],
)
def test_without_a_gpu_the_machine_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, message: str
) -> None:
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    with pytest.raises(MachineError, match=message), leased_gpu(tmp_path / "locks"):
        pass


def test_a_gpu_that_the_driver_does_not_know(tmp_path: Path, driver: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "0,7")
    with pytest.raises(MachineError, match="names 7, which the driver does not know"), leased_gpu(tmp_path / "locks"):
        pass


def hold(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_no_two_processes_hold_one_and_a_killed_one_frees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VISIBLE, "0,1")
    folder = tmp_path / "locks"
    holders = [hold(folder), hold(folder)]
    try:
        assert sorted(gpu for _, gpu in holders) == ["0", "1"]
        with pytest.raises(MachineError, match="none became free in 1 s"), leased_gpu(folder, wait_seconds=1):
            pass
        assert [record.message for record in caplog.records] == ["Other jobs hold all GPUs (0, 1). Waiting up to 1 s."]
        killed, freed = holders[1]
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with leased_gpu(folder, wait_seconds=30) as gpu:
            assert gpu.id == freed
    finally:
        for process, _ in holders:
            process.kill()
            process.communicate()


def test_jobs_of_a_scheduler_may_count_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job calls its GPU 0, where no driver tells them apart; within one job it is the same."""
    monkeypatch.setenv(VISIBLE, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "11")
    with leased_gpu(tmp_path / "locks"):
        with pytest.raises(MachineError), leased_gpu(tmp_path / "locks", wait_seconds=0):
            pass
        monkeypatch.setenv("SLURM_JOB_ID", "12")
        with leased_gpu(tmp_path / "locks", wait_seconds=0) as other:
            assert other.id == "0"


@pytest.fixture
def on_gpu(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Compile so that labelling asks for a GPU, which its function does not use."""
    monkeypatch.setattr(devices, "LOCKS", tmp_path / "locks")

    def edit(context: Any) -> dict[str, Any]:
        steps = bench.steps(context.axis_id)
        return {"step_plans": {**steps, 0: steps[0].model_copy(update={"gpu": 1})}}

    return lambda: bench.compile(edit)


def test_receipts_name_the_gpu(bench: Any, on_gpu: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    execute_manifest(bench.manifest)
    receipt = Receipt.load(bench.receipt_path("A01"))
    assert receipt is not None
    assert receipt.device["type"] == "cpu"
    plain = bench.outputs()
    on_gpu()
    monkeypatch.setenv(VISIBLE, "1")
    execute_manifest(bench.manifest)
    for well in bench.wells:
        receipt = Receipt.load(bench.receipt_path(well))
        assert receipt is not None
        assert dict(receipt.device) == {"type": "gpu", "machine": os.uname().machine, "threads": 1, "id": "1"}
    assert bench.outputs() == plain
    # What is finished asks for none.
    monkeypatch.delenv(VISIBLE)
    assert {well["status"] for well in execute_manifest(bench.manifest).wells.values()} == {"done"}


def test_a_gpu_that_is_not_there_is_no_result(bench: Any, on_gpu: Callable[[], None]) -> None:
    on_gpu()
    with pytest.raises(MachineError, match="needs a GPU"):
        execute_well(bench.context_path("A01"))
    assert not bench.receipt_path("A01").exists()
    assert not (bench.results / "work").exists()
    done = subprocess.run(
        [Path(sys.executable).parent / "hcs", "execute", bench.manifest], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "This stage needs a GPU, and no NVIDIA driver answers here." in done.stderr
