"""A limit to the time that one well may take: a function that hangs would hold a job, and all its wells, for ever."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hcs_lib.core.errors import MachineError

GRACE_SECONDS = 30.0
"""How much later the kernel ends a process that could not end itself."""


@contextmanager
def limited(minutes: float | None, where: str, doing: Callable[[], str]) -> Iterator[None]:
    """End the process, with the status of a MachineError, where the block takes longer.

    It is for the main thread. A function that lets no Python run beside it also stops the message: SIGALRM then ends
    the process a little later.

    Parameters
    ----------
    minutes
        The limit; None: there is none.
    where
        Names the well in the message.
    doing
        Tells what is being done, by name.
    """
    if minutes is None:
        yield
        return
    timer = threading.Timer(minutes * 60, _end, (minutes, where, doing))
    timer.daemon = True
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    timer.start()
    signal.setitimer(signal.ITIMER_REAL, minutes * 60 + GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        timer.cancel()


def _end(minutes: float, where: str, doing: Callable[[], str]) -> None:
    print(
        f"hcs: {where}: not done after {minutes:g} minutes, which is the limit (well_minutes); it was at {doing()}. "
        "Run it again: ended twice, the well is recorded as failed, and the others go on.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(MachineError.exit_code)
