"""A process whose well takes too long is ended, also by a function that never lets go of the interpreter."""

import signal
import subprocess
import sys

import pytest

from hcs_lib.execution.watchdog import limited

HANGS = """
import ctypes, sys, time
from hcs_lib.execution import watchdog
watchdog.GRACE_SECONDS = 0.5
with watchdog.limited(0.2 / 60, "plate p, A01, stage s01-cpu", lambda: "blur"):
    {}
"""


def hang(how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HANGS.format(how)], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_function_that_hangs_is_named() -> None:
    ended = hang("time.sleep(3600)")
    assert ended.returncode == 3
    assert ended.stderr.startswith("hcs: plate p, A01, stage s01-cpu: not done after 0.00333333 minutes")
    assert "it was at blur" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_one_that_holds_the_interpreter_is_ended_by_the_kernel() -> None:
    assert hang("ctypes.PyDLL(None).pause()").returncode == -signal.SIGALRM


def test_what_ends_in_time_is_left_alone() -> None:
    assert hang("pass\ntime.sleep(1.5)").returncode == 0


@pytest.mark.parametrize("minutes", [None, 60])
def test_errors_pass(minutes: float | None) -> None:
    with pytest.raises(KeyError), limited(minutes, "", str):
        raise KeyError
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
