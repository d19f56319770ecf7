"""`hcs execute` as Snakemake and people call it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hcs_lib.cli.main import main


class Done(NamedTuple):
    status: int
    out: str
    err: str


Hcs = Callable[..., Done]


@pytest.fixture
def hcs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hcs:
    """Run `hcs execute` in this process."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["hcs", "execute", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return Done(int(caught.value.code or 0), *capsys.readouterr())

    return run


def test_manifest_then_contexts(bench: Any, hcs: Hcs) -> None:
    done = hcs(bench.manifest)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"demo {well} s01-cpu" for well in bench.wells]
    assert all(": done in " in line and line.endswith(" nuclei") for line in lines)
    again = hcs(*(bench.context_path(well) for well in bench.wells))
    assert again.out.splitlines() == [f"demo {well} s01-cpu: kept" for well in bench.wells]


def test_wells_that_fail_on_their_data_end_well(bench: Any, hcs: Hcs) -> None:
    os.truncate(bench.raw / bench.file("B02", 1, "DNA"), 100)
    done = hcs(bench.manifest)
    assert done.status == 0
    assert "demo B02 s01-cpu: failed: B02_s1_DNA.tif" in done.out
    assert "demo C11 s01-cpu: done" in done.out


def test_status_of_bad_input_and_of_the_machine(bench: Any, hcs: Hcs) -> None:
    missing = hcs(bench.folder / "nothing.json")
    assert missing.status == 2
    assert "nothing.json" in missing.err
    shutil.move(bench.raw, bench.folder / "moved")
    machine = hcs(bench.context_path("A01"))
    assert machine.status == 3
    assert "--raw" in machine.err
    assert hcs(bench.context_path("A01"), "--raw", bench.folder / "moved").status == 0


def test_sigterm_leaves_no_half_well_and_counts_no_death(bench: Any, hcs: Hcs) -> None:
    command = [sys.executable, "-m", "hcs_lib.cli.main", "execute", str(bench.manifest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list((bench.results / "work").rglob("journal.json")) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "SIGTERM" in errors
    # A journal that was opened and not yet written counts for nothing.
    assert {journal.read_text() for journal in (bench.results / "work").rglob("journal.json")} <= {""}
    assert hcs(bench.manifest).out.count(": done in ") >= 1


# Ends its own process while a library does something, as a scheduler would, below handlers that catch every error.
ENDED = """
import importlib, os, signal, sys, time
module, *path, name = sys.argv.pop(1).split(":")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)

def end(*_args, **_kwargs):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    except Exception as error:
        raise ValueError("swallowed") from error

setattr(owner, name, end)
from hcs_lib.cli.main import main
main()
"""


@pytest.mark.parametrize("place", ["tifffile:TiffPage:asarray", "skimage.measure:label"])
def test_sigterm_in_a_library_is_no_failure_of_the_data(bench: Any, hcs: Hcs, place: str) -> None:
    command = [sys.executable, "-c", ENDED, place, "execute", str(bench.manifest)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (3, "hcs: ended by SIGTERM; run it again.\n")
    assert done.stdout == ""
    assert not list((bench.results / "receipts").rglob("*.json"))
    assert not list((bench.results / "work").rglob("*.json"))
    assert hcs(bench.manifest).out.count(": done in ") == 3
