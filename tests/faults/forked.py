"""The program `hcs`, run in forks of one process that has imported everything: a command costs its own work only.

Takes requests as lines of JSON, one after another, and answers with the exit status of each; a negative one is the
signal that ended it. What a request asks for is done to the fork before it runs the command.
"""

import ctypes
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from typing import Any

# Once, for all that are forked.
# ruff: noqa: F401
import imagecodecs
import numexpr
import pandas as pd
import pyarrow.parquet
import rich.console
import scipy.ndimage
import scipy.sparse.csgraph
import tifffile
import zarr.codecs
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from hcs_lib.cli.main import main
from hcs_lib.compiler.compile import compile_plate
from hcs_lib.core.units import parse_quantity, to_pixels
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.plates.indexing import index_plate
from hcs_lib.provenance.verify import verify_plate
from hcs_lib.screening.collect import collect_plate

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


def run(request: dict[str, Any]) -> int:
    """Run one request in a fork."""
    child = os.fork()
    if not child:
        status = 70
        try:
            changes = _prepare(request)
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
            if request["die_at"] == 0:
                print(f"changes {changes.count}")
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _prepare(request: dict[str, Any]) -> Any:
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(output, stream)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.chdir(request["folder"])
    sys.path.append(f"{request['folder']}/config")
    os.environ["FAULT"] = request["fault"]
    sys.argv = ["hcs", *request["arguments"]]
    if request["address_space"]:
        resource.setrlimit(resource.RLIMIT_AS, (request["address_space"],) * 2)
    if request["obey"]:
        _obey_permissions()
    if request["latency"]:
        _slow_down(request["latency"])
    return Changes(request["folder"], request["die_at"]) if request["die_at"] is not None else None


def _obey_permissions() -> None:
    """Root may do everything; without its capabilities it is bound by permissions as any owner of files is."""
    version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None, use_errno=True).capset(version_3, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


class Changes:
    """Counts changes to files below a folder, and kills the process at one of them (0: at none)."""

    def __init__(self, folder: str, die_at: int) -> None:
        self.count = 0
        self._folder = folder
        self._die_at = die_at
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or not os.path.abspath(str(arguments[0])).startswith(self._folder):  # noqa: PTH100
            return
        if event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR):
            self.count += 1
            if self.count == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _slow_down(seconds: float) -> None:
    """Let everything that asks the file system wait, a random time up to so long: order must not be luck."""
    waits = random.Random(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or event == "os.scandir":
            time.sleep(waits.uniform(0, seconds))

    sys.addaudithook(hook)


if __name__ == "__main__":
    quantity = parse_quantity("1 um")  # reads what units there are
    assert quantity
    to_pixels(quantity, 1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        print(run(json.loads(line)), file=answers)
