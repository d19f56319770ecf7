"""Killed at a random moment (a job, Snakemake, or both), and run again: the bytes of a run that nobody disturbed.

Three moments; `make faults` tries twenty, `HCS_FAULTS=N` any number. Moments are drawn with a seed from the time that
an undisturbed run takes; which job they find then depends on the machine.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hcs_lib.contexts.receipts import Receipt

pytestmark = pytest.mark.workflow

MOMENTS = int(os.environ.get("HCS_FAULTS", "3"))
VICTIMS = ("job", "snakemake", "both")
SEED = 20261124
CLONE = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TARGET = "results/demo/verdict.txt"


class Plate(NamedTuple):
    """A folder with configuration and results; the raw plate lies beside it."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results/demo"

    def command(self, *arguments: str) -> list[str]:
        return [
            str(BIN / "snakemake"), "--snakefile", str(CLONE / "Snakefile"), "--directory", str(self.folder),
            "--configfile", str(self.folder / "config/config.yaml"), "--cores", "2", *arguments, TARGET,
        ]  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """Start Snakemake in a process group of its own."""
        with (self.folder / "killed.log").open("wb") as log:
            return subprocess.Popen(
                self.command(), cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def finish(self) -> str:
        """Run to the end; where Snakemake says that the folder is locked, unlock it first, as the README says."""
        text = ""
        for arguments in ((), ("--unlock",), ()):
            done = subprocess.run(
                self.command(*arguments), cwd=self.folder, text=True, timeout=600,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            text += done.stdout
            if done.returncode == 0 and not arguments:
                return text
            assert "--unlock" in done.stdout or arguments, done.stdout
        raise AssertionError(text)

    def outputs(self) -> dict[str, bytes]:
        """Return every file of arrays and tables."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for top in (self.results / "demo.zarr", self.results / "tables")
            for path in top.rglob("*")
            if path.is_file()
        }

    def receipts(self) -> dict[str, bytes]:
        """Return the receipts of finished wells of each stage. They carry times: one done again is another."""
        found = self.results.glob("receipts/*/*.json")
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in found
            if Receipt.load(path) is not None
        }


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Plate]:
    """Make a folder for a run of the demo's plate: two stages, in jobs of six positions."""
    top = tmp_path_factory.mktemp("kills")
    subprocess.run([BIN / "hcs", "demo", top / "demo"], check=True, stdout=subprocess.PIPE)

    def made() -> Plate:
        folder = top / f"run{len(list(top.iterdir()))}"
        shutil.copytree(CLONE / "config", folder / "config")
        (folder / "config/plates.tsv").write_text("plate\tpath\ndemo\t../../demo/plate\n")
        with (folder / "config/config.yaml").open("a") as file:
            file.write("wells_per_batch: 6\n")
        pipeline = folder / "config/pipelines/demo.yaml"
        text = pipeline.read_text()
        assert "outputs: {labels: nuclei}\n" in text
        pipeline.write_text(
            text.replace("outputs: {labels: nuclei}\n", "outputs: {labels: nuclei}\n    checkpoint: true\n")
        )
        return Plate(folder)

    return made


@pytest.fixture(scope="module")
def undisturbed(make: Callable[[], Plate]) -> tuple[Plate, float]:
    """A run to its end, and the seconds that it took."""
    plate = make()
    started = time.monotonic()
    plate.finish()
    return plate, time.monotonic() - started


def descendants(pid: int) -> Iterator[tuple[int, bytes]]:
    """Yield the processes that a process started, and their command lines."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            yield child, command
            yield from descendants(child)


def job_of(process: subprocess.Popen[bytes]) -> int | None:
    """Return a process that executes wells."""
    return next(
        (pid for pid, command in descendants(process.pid) if b"execute" in command and b"python" in command), None
    )


def kill(process: subprocess.Popen[bytes], victim: str, moment: float) -> bool:
    """Kill at a moment after now; return whether there still was anything to kill."""
    until = time.monotonic() + moment
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    if victim == "job":
        while process.poll() is None:
            try:
                job = job_of(process)
            except OSError:
                continue
            if job is not None:
                os.kill(job, signal.SIGKILL)
                return True
            time.sleep(0.02)
        return False
    if process.poll() is not None:
        return False
    if victim == "both":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    return True


@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_and_run_again(make: Callable[[], Plate], undisturbed: tuple[Plate, float], number: int) -> None:
    whole, seconds = undisturbed
    draw = random.Random(SEED + number)
    victim, moment = VICTIMS[number % len(VICTIMS)], draw.uniform(0.1, 0.9) * seconds
    plate = make()
    process = plate.start()
    try:
        while not kill(process, victim, moment):
            # It was over before: another time, earlier.
            process.wait()
            moment *= 0.7
            shutil.rmtree(plate.folder)
            plate = make()
            process = plate.start()
        if victim != "snakemake":
            process.wait()
        finished = plate.receipts()
        text = plate.finish()
    finally:
        process.kill()
        process.wait()

    assert plate.outputs() == whole.outputs(), text
    after = plate.receipts()
    print(f"{victim} killed after {moment:.1f} of {seconds:.1f} s: {len(finished)} of {len(after)} receipts were there")
    assert after.keys() == whole.receipts().keys()
    assert {name for name, receipt in finished.items() if after[name] != receipt} == set(), "finished wells were redone"
    assert not list(plate.results.glob("work/**/journal.json")), "something is still in flight"
    assert (plate.results / "verdict.txt").read_bytes() == (whole.results / "verdict.txt").read_bytes()
