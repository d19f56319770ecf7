"""Memory of the process: what arrays leave goes back to the system, and how much there was at most."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

_M_MMAP_THRESHOLD = -3
_LARGE = 2**20


def give_back_large_arrays() -> None:
    """Have the C library return arrays of a megabyte and more to the system once they are freed.

    glibc raises that limit to 32 MB by itself, and keeps planes that were freed in a heap with holes: a stack of them
    then takes their memory a second time.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def reset_peak() -> None:
    """Count the peak from now on. Where the kernel does not, it is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> int:
    """Return the most memory that the process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
