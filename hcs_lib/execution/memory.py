"""Memory of the process: what large arrays leave goes back to the system, and how much there was at most."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

LARGE = 32 * 2**20
"""What glibc never takes from the heap where it puts what is smaller."""


def give_back_for(size: int) -> None:
    """Before so many bytes are needed beside the heap, return to the system what in it is free.

    glibc keeps planes that were freed; with a stack of them, their memory would be held twice. The temporaries of
    functions, which are freed and needed again at once, are better left to it.
    """
    if size >= LARGE:
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def reset_peak() -> None:
    """Count the peak from now on. Where the kernel does not, it is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> int:
    """Return the most memory that the process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
