"""Reading ahead: what the next task reads is read while this one computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.order import Task
from hcs_lib.contexts.values import Value
from hcs_lib.execution.passing import Taken
from hcs_lib.execution.planes import Plane, Planes

Group = tuple[Value, ...]


class Reading:
    """Reads for the tasks of a well, in their order; at most one group lies ready.

    Whatever goes wrong shows when the value is asked for, as if it were read then.

    Parameters
    ----------
    context, raw, results
        The well, the raw plate, and the results of its plate, which hold what stages before passed on.
    tasks
        Of the well, in order.
    reader
        One thread.

    Attributes
    ----------
    hashes
        `file#page` of every plane that a task got → SHA-256 of its pixels.
    """

    def __init__(
        self, context: FrozenContext, raw: Path, results: Path, tasks: Sequence[Task], reader: Executor
    ) -> None:
        if context.takes:
            # Not first in the thread that reads: of a package that two threads import at once, one may see a half.
            import zarr  # noqa: F401
        self._planes = Planes(context, raw)
        self._taken = Taken(context.takes, results)
        self._groups = deque(task.reads for task in tasks if task.reads)
        self._reader = reader
        self._ahead: tuple[Group, Future[list[Any]]] | None = None
        self.hashes: dict[str, str] = {}

    def start(self) -> None:
        """Begin with the next group, unless one is on its way."""
        if self._ahead is None and self._groups:
            group = self._groups.popleft()
            self._ahead = group, self._reader.submit(self._load, group)

    def start_from_raw(self) -> None:
        """Begin with the first group where all of it is raw: what stages before pass on may still have to be made."""
        if self._groups and all(value.step is None for value in self._groups[0]):
            self.start()

    def take(self, group: Group, then: Callable[[], None] | None = None) -> Iterator[tuple[Value, Any]]:
        """Yield each value of a group with what it is, and begin to read the next group.

        Groups of tasks that were left out are passed over. After the last one, `then` is called.
        """
        if self._ahead is not None and self._ahead[0] != group:
            self._drop()
        while self._ahead is None and self._groups[0] != group:
            self._groups.popleft()
        self.start()
        assert self._ahead is not None
        found = self._ahead[1].result()
        self._ahead = None
        self.start()
        if self._ahead is None and then is not None:
            then()
        for value, content in zip(group, found, strict=False):
            if isinstance(content, Exception):
                raise content
            if isinstance(content, Plane):
                self.hashes[self._planes.name(value.at)] = content.sha256
                content = content.pixels
            yield value, content

    def close(self) -> None:
        """Read nothing more."""
        self._groups.clear()
        self._drop()

    def _drop(self) -> None:
        if self._ahead is not None:
            self._ahead[1].cancel()
            self._ahead = None

    def _load(self, group: Group) -> list[Any]:
        """Read values up to the first that cannot be read; in its place stands the error."""
        found: list[Any] = []
        for value in group:
            try:
                found.append(self._planes.read(value.at) if value.step is None else self._taken.read(value))
            except Exception as error:
                found.append(error)
                break
        return found
