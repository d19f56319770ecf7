"""Memory of the process: what is kept of freed arrays, what goes back to the system, and how much there was at most."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

LARGE = 32 * 2**20
"""After `keep_temporaries`, arrays of this size and more lie beside the heap of glibc, where it has no room free."""

KEPT = 8 * LARGE
"""What may be free at the end of the heap, before glibc returns it to the system."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_temporaries() -> None:
    """Have glibc keep the memory of planes that functions free and need again at once.

    By default it returns it each time, and the kernel clears every page anew: 4 % of the CPU time of a job.
    """
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, KEPT)


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
