"""The memory of temporaries stays with the process that needs it again."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from hcs_lib.execution.memory import keep_temporaries

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    keep_temporaries()
for n in range(11):
    planes = [np.empty((2048, 2048), np.float32) for _ in range(4)]
    for plane in planes:
        plane[:] = n
    del plane, planes
    if n == 0:
        before = faults()
print((faults() - before) * resource.getpagesize() // 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is kept is glibc's memory")
def test_planes_are_given_the_memory_of_earlier_ones():
    def cleared_mb(how):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert cleared_mb("kept") < 16, "of 40 planes of 16 MiB, the kernel cleared one and more"
    assert cleared_mb("left") >= 16, "glibc keeps it by itself: keep_temporaries has become superfluous"
