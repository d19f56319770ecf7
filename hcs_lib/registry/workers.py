"""Probing in worker processes under a watchdog: a function that hangs or crashes takes nobody with it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import MachineError
from hcs_lib.registry.entry import FunctionEntry

if TYPE_CHECKING:
    from hcs_lib.registry.base import LibraryRegistryBase, Progress

_WALL = 6.0
"""Wall seconds for each CPU second, for a function that waits for something that never comes.

The watchdog counts CPU seconds, so that a busy machine finds the same.
"""

_START_SECONDS = 120.0
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class WorkerLostError(Exception):
    """The worker process ended or was ended before it answered."""


class Worker:
    """A persistent process that probes functions of one library; ended and started again where it hangs.

    Use it as a context manager.
    """

    def __init__(self, registry: LibraryRegistryBase) -> None:
        self._registry = registry
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 — closed with the worker

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._errors.close()

    def request(self, message: Any, seconds: float) -> Any:
        """Send a request and return the answer.

        Raises
        ------
        WorkerLostError
            Where the process ends, or does not answer in time and is ended. The next request starts a fresh one.
        """
        fresh = self._process is None
        process = self._process = self._process or self._start()
        assert process.stdin
        try:
            if fresh:
                self._exchange(process, "discover", _START_SECONDS)
            return self._exchange(process, message, seconds)
        except WorkerLostError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, if one runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self._process, self._buffer = None, b""

    def _start(self) -> subprocess.Popen[bytes]:
        owner = type(self._registry)
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(
            [sys.executable, "-m", "hcs_lib.registry.worker", f"{owner.__module__}:{owner.__qualname__}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **_THREADS, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        )

    def _exchange(self, process: subprocess.Popen[bytes], message: Any, seconds: float) -> Any:
        assert process.stdin
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLostError(self._end_of(process)) from None
        return json.loads(self._line(process, seconds))

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        from time import monotonic

        assert process.stdout
        deadline = monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - monotonic())):
                    raise WorkerLostError("it hangs")
                received = os.read(process.stdout.fileno(), 1 << 16)
                if not received:
                    raise WorkerLostError(self._end_of(process))
                self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _end_of(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        if code == -signal.SIGPROF:
            return "it took too long"
        if code < 0:
            return f"it crashed with {signal.Signals(-code).name}"
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"it ended its process with status {code}" + (f" ({last})" if last else "")


def probe_library(
    registry: LibraryRegistryBase,
    *,
    only: Collection[str] | None = None,
    workers: int = 2,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> list[FunctionEntry]:
    """Probe the candidates of a library, or those with an id in `only`; return entries in the order of their ids.

    Each function has `seconds` of CPU time, by default those of the library; one that hangs or crashes is tried once
    more in a fresh process.

    Raises
    ------
    MachineError
        Where the library cannot be used here at all.
    """
    limit = registry.WATCHDOG_SECONDS if seconds is None else seconds
    with Worker(registry) as scout:
        try:
            found = scout.request("discover", _START_SECONDS)
        except WorkerLostError as error:
            raise MachineError(f"{registry.library_name} cannot be probed: {error}.") from None
        if isinstance(found, dict):
            raise MachineError(found["unusable"])
        queue = deque(tuple(item) for item in found if only is None or item[0] in only)
        total = len(queue)
        entries: dict[str, FunctionEntry] = {}
        failures: list[BaseException] = []

        def serve(worker: Worker) -> None:
            try:
                with worker:
                    while not failures:
                        try:
                            function_id, target = queue.popleft()
                        except IndexError:
                            return
                        entries[function_id] = _probe(registry, worker, function_id, target, limit)
                        if progress:
                            progress(len(entries), total)
            except BaseException as error:
                failures.append(error)

        more = [Worker(registry) for _ in range(workers - 1)]
        threads = [threading.Thread(target=serve, args=(worker,)) for worker in [scout, *more]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return [entries[name] for name in sorted(entries)]


def _probe(
    registry: LibraryRegistryBase, worker: Worker, function_id: str, target: str, seconds: float
) -> FunctionEntry:
    reason = ""
    for _ in range(2):
        try:
            return FunctionEntry.from_json(worker.request([function_id, target, seconds], _WALL * seconds))
        except WorkerLostError as error:
            reason = str(error)
            worker.stop()
    return FunctionEntry(
        id=function_id,
        library=registry.library_name,
        version=registry.get_library_version(),
        memory_type=registry.MEMORY_TYPE,
        target=target,
        dependencies=registry.dependencies(),
        source_digest=registry.digest_of_source(target),
        device=registry.DEVICE,
        excluded=f"{reason} when probed",
    )
