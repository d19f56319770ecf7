"""What a job computes on, and the lease of a GPU: one job at a time on each of a machine."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcs_lib.core.errors import MachineError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Set by schedulers to what a job may use; and by us, before any library of CUDA is imported, to what it has."""

LOCKS = Path("/tmp/hcs-gpu")
"""One for all users of a machine, and not below `TMPDIR`, which may be a job's own."""

DRIVER_FILES = Path("/proc/driver/nvidia")
"""What the driver tells where its program is not installed."""

WAIT_SECONDS = 600.0
"""How long a job waits for a GPU that others have."""

_POLL_SECONDS = 0.2
_NO_DEVICES = ("", "-1", "NoDevFiles")
_JOB_IDS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
_QUERY = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total,driver_version", "--format=csv,noheader,nounits")

_log = logging.getLogger("hcs.execution")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU. Where no driver answers, the id alone is known, by the word of a scheduler."""

    id: str
    uuid: str | None = None
    model: str | None = None
    memory_mb: int | None = None
    driver: str | None = None

    @property
    def lock(self) -> str:
        """Name that no other GPU of this machine has: ids may be counted anew in each job of a scheduler."""
        job = next((os.environ[name] for name in _JOB_IDS if name in os.environ), "")
        return self.uuid or (self.id if self.id.startswith(("GPU-", "MIG-")) else f"{job}-{self.id}")


def describe(gpu: Gpu | None, threads: int) -> dict[str, Any]:
    """Return what a receipt says of the device of a job; None: the CPU."""
    facts: dict[str, Any] = {"type": "gpu" if gpu else "cpu", "machine": platform.machine(), "threads": threads}
    if gpu:
        known = {"id": gpu.id, "model": gpu.model, "memory_mb": gpu.memory_mb, "driver": gpu.driver}
        facts |= {name: value for name, value in known.items() if value is not None}
    return facts


@contextmanager
def leased_gpu(folder: Path | None = None, wait_seconds: float = WAIT_SECONDS) -> Iterator[Gpu]:
    """Hold a GPU that no other job holds: of those that a scheduler gave, or else of all that the driver names.

    `CUDA_VISIBLE_DEVICES` of this process is set to it meanwhile. The lease ends with the process, whatever ends it.

    Parameters
    ----------
    folder
        Of the locks, by default `LOCKS`.
    wait_seconds
        How long to wait where others hold all of them.

    Raises
    ------
    MachineError
        Where there is no GPU, or none became free.
    """
    with ExitStack() as stack:
        gpu = _lock_any(_usable(), folder or LOCKS, wait_seconds, stack)
        before = os.environ.get(VISIBLE)
        stack.callback(_set_visible, before)
        _set_visible(gpu.uuid or gpu.id)
        yield gpu


def _set_visible(value: str | None) -> None:
    if value is None:
        os.environ.pop(VISIBLE, None)
    else:
        os.environ[VISIBLE] = value


def _usable() -> list[Gpu]:
    known = _gpus_of_driver()
    given = os.environ.get(VISIBLE)
    if given is None:
        if not known:
            raise MachineError(_without("no NVIDIA driver answers here"))
        return known
    usable = []
    for name in (part.strip() for part in given.split(",")):
        if name in _NO_DEVICES:
            break  # As CUDA reads it: what stands behind is not visible either.
        found = [gpu for gpu in known if name == gpu.id or (gpu.uuid or "").startswith(name)]
        if known and not found and not name.startswith("MIG-"):
            raise MachineError(_without(f"{VISIBLE} names {name}, which the driver does not know"))
        usable.append(found[0] if found else Gpu(name))
    if not usable:
        raise MachineError(_without(f"{VISIBLE} is {given!r}: this job was given none"))
    return usable


def _without(reason: str) -> str:
    return f"This stage needs a GPU, and {reason}. Run it where there is one; or compile with `device: cpu`."


def _lock_any(gpus: Sequence[Gpu], folder: Path, wait_seconds: float, stack: ExitStack) -> Gpu:
    until = time.monotonic() + wait_seconds
    told = False
    while True:
        for gpu in gpus:
            if _try_lock(folder, gpu.lock, stack):
                return gpu
        ids = ", ".join(gpu.id for gpu in gpus)
        if time.monotonic() >= until:
            raise MachineError(
                f"Other jobs hold all GPUs ({ids}); none became free in {wait_seconds:.0f} s. Run it again."
            )
        if not told:
            _log.warning("Other jobs hold all GPUs (%s). Waiting up to %.0f s.", ids, wait_seconds)
            told = True
        time.sleep(_POLL_SECONDS)


def _try_lock(folder: Path, name: str, stack: ExitStack) -> bool:
    """Lock a file, which stays: one that were removed could be locked twice, under its name and without."""
    try:
        # Anyone's job may be the first, and anyone's the next.
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o1777)
        path = folder / name.replace("/", "_")
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            os.fchmod(file, 0o666)
    except OSError as error:
        raise MachineError(f"The lock of a GPU cannot be opened: {error}.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    stack.callback(os.close, file)
    return True


def _gpus_of_driver() -> list[Gpu]:
    """Return what the NVIDIA driver tells, by its program or its files; nothing where there is none."""
    if shutil.which(_QUERY[0]):
        try:
            done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            return []
        rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]
        return [
            Gpu(row[0], row[1], row[2], int(row[3]) if row[3].isdecimal() else None, row[4])
            for row in rows
            if len(row) == 5
        ]
    return _gpus_in(DRIVER_FILES)


def _gpus_in(folder: Path) -> list[Gpu]:
    """Read the files of the driver: one folder for each GPU by its place on the bus, which is how they are counted."""
    found = []
    try:
        words = (folder / "version").read_text().split()
        driver = next((word for word in words if word[:1].isdigit() and "." in word), None)
        for number, path in enumerate(sorted((folder / "gpus").glob("*/information"))):
            lines = (line.partition(":") for line in path.read_text().splitlines())
            facts = {name.strip(): value.strip() for name, _, value in lines}
            found.append(Gpu(str(number), facts.get("GPU UUID"), facts.get("Model"), None, driver))
    except OSError:
        return []
    return found
