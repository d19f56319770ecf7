"""Libraries have the threads that the context says, whatever the machine has."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hcs_lib.execution.threads import VARIABLES

# Prints how many threads of its own each library says, or is seen, to use.
LIBRARIES = """
import importlib.util, json, os, sys
from hcs_lib.execution.threads import limit_threads

limit_threads(int(sys.argv[1]))
found = {}

def running():
    return len(os.listdir("/proc/self/task"))

import numpy as np
before = running()
np.ones((900, 900)) @ np.ones((900, 900))
found["numpy (BLAS)"] = 1 + running() - before
before = running()
import scipy.linalg
scipy.linalg.svd(np.ones((300, 300)))
found["scipy (LAPACK)"] = 1 + running() - before
before = running()
from skimage.restoration import rolling_ball
rolling_ball(np.ones((64, 64)), radius=5)
found["scikit-image (OpenMP)"] = 1 + running() - before
import numexpr, pyarrow, zarr
found["numexpr"] = numexpr.nthreads
found["pyarrow"] = pyarrow.cpu_count()
found["zarr"] = zarr.config.get("threading.max_workers")
if importlib.util.find_spec("torch"):
    import torch
    found["torch"] = torch.get_num_threads()
if importlib.util.find_spec("pyclesperanto"):
    before = running()
    import pyclesperanto as cle
    names = cle.list_available_devices() if hasattr(cle, "list_available_devices") else []
    if names and all(name.startswith(("cpu", "pthread")) for name in names):
        cle.push(np.ones((8, 8), np.float32))
        found["pocl"] = running() - before
print(json.dumps(found))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_libraries_have_the_threads_of_the_context(threads: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIBRARIES, str(threads)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    assert {name for name, count in found.items() if count > threads} == set(), found
    declared = ("numexpr", "pyarrow", "zarr", "torch")
    assert {name: found[name] for name in declared if name in found} == {
        name: threads for name in declared if name in found
    }


# Says which of the libraries were imported when the number of threads was set.
EARLY = """
import sys
from pathlib import Path
from hcs_lib.execution import job

real = job.limit_threads

def limit(threads):
    heavy = {"numpy", "scipy", "skimage", "torch", "pyarrow", "zarr", "numcodecs", "tifffile"}
    print(sorted(sys.modules.keys() & heavy))
    real(threads)

job.limit_threads = limit
from hcs_lib.execution.execute import execute_manifest
execute_manifest(Path(sys.argv[1]))
"""


def test_no_library_is_imported_before_its_threads_are_set(bench: Any) -> None:
    done = subprocess.run([sys.executable, "-c", EARLY, str(Path(bench.manifest))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "[]"
