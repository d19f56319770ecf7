"""The functions of the registry, each looked up once."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from hcs_lib.contexts.plans import FunctionRef
from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.registry.cuda import cupy_version
from hcs_lib.registry.entry import FunctionEntry


class Registry(Protocol):
    """What the compiler needs of a `RegistryService`."""

    def entry(self, id: str, /) -> FunctionEntry:  # noqa: A002
        """Return the entry of a function; UserError with the nearest names, or why it is excluded."""
        ...

    def twin(self, id: str, /) -> FunctionEntry | None:  # noqa: A002
        """Return the entry of its twin on the other device; None where none can be used."""
        ...


class FunctionTable:
    """Looks functions up and remembers them, with what was wrong with those that are not there."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._entries: dict[str, FunctionEntry | None] = {}
        self._twins: dict[str, FunctionEntry | None] = {}
        self._references: dict[tuple[str, bool], FunctionRef] = {}
        self.problems: dict[str, Problem] = {}

    def entry(self, function: str) -> FunctionEntry | None:
        """Return the entry of a function; None where there is none that can be used (see `problems`)."""
        if function not in self._entries:
            try:
                self._entries[function] = self._registry.entry(function)
            except UserError as error:
                self._entries[function] = None
                self.problems[function] = error.problems[0]
        return self._entries[function]

    def twin(self, function: str) -> FunctionEntry | None:
        """Return the entry of a function's twin on the other device; None where none can be used."""
        if function not in self._twins:
            self._twins[function] = self._registry.twin(function)
        return self._twins[function]

    def reference(self, function: str, *, on_gpu: bool = False) -> FunctionRef:
        """Return what a context holds of a function: enough to find the same again, and to know that it is.

        On a GPU, a generic function stands on CuPy too.
        """
        if (function, on_gpu) not in self._references:
            entry = self.entry(function)
            assert entry is not None, function
            cupy = {"cupy": cupy_version()} if on_gpu and entry.generic else {}
            self._references[function, on_gpu] = FunctionRef(
                id=entry.id,
                library=entry.library,
                version=entry.version,
                target=entry.target,
                entry_digest=digest(entry.to_json()),
                source_digest=entry.source_digest,
                dependencies=dict(entry.dependencies) | cupy,
            )
        return self._references[function, on_gpu]


def import_hook(entry: FunctionEntry, target: str) -> Callable[..., Any]:
    """Import what tells the compiler more of a function: it must stand in the package of the function itself.

    Raises
    ------
    ValueError
        Where it does not.
    """
    module, _, name = target.partition(":")
    if module.split(".")[0] != entry.target.partition(":")[0].split(".")[0]:
        raise ValueError(f"{entry.id} names {target}, outside of its own package")
    hook: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return hook
