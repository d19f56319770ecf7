"""Our own functions, `hcs_lib.functions`: declared, not probed."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from hcs_lib import functions
from hcs_lib.core.canonical import digest, digest_file
from hcs_lib.core.declare import DECLARATION, Declaration, MemoryType
from hcs_lib.core.errors import MachineError
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.sources import dependencies, source_digest

_PACKAGE = functions.__name__
_DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64",
)  # fmt: skip


class HcsRegistry(LibraryRegistryBase):
    """Functions that carry a `Declaration`. The version of a function is the digest of its sources."""

    library_name = "hcs"
    MODULES_TO_SCAN = tuple(f"{_PACKAGE}.{module.name}" for module in pkgutil.iter_modules(functions.__path__))
    MEMORY_TYPE: ClassVar[MemoryType] = "numpy"
    FLOAT_DTYPE = "float32"
    IMAGE_PARAMETERS = frozenset({"image", "labels", "stack", "tiles"})

    def get_library_version(self) -> str:
        """Return a digest of all sources: one that changes whenever any of our functions may have changed."""
        return _digest_of_sources()

    def identify(self, module: str, name: str) -> str:
        """Return `hcs.` and the name: which module a function lives in is ours to change."""
        return f"{self.library_name}.{name}"

    def public_functions(self, module: str, only: str | None = None) -> dict[str, Callable[..., Any]]:
        """Return the functions of a module that are declared there."""
        found = super().public_functions(module, only)
        return {
            name: function
            for name, function in found.items()
            if hasattr(function, DECLARATION) and function.__module__ == module
        }

    def check(self, target: str, version: str, source_digest_: str | None) -> None:
        """Refuse a function whose sources are not those that it was compiled with."""
        module = target.partition(":")[0]
        installed = source_digest(module, _PACKAGE)
        if source_digest_ != installed:
            compiled = (source_digest_ or "none")[:12]
            raise MachineError(
                f"{target}: its source differs from what was compiled for (digest {compiled}, here {installed[:12]}). "
                "Run `hcs compile` again."
            )

    def build(self) -> list[FunctionEntry]:
        """Read the declarations; nothing is called."""
        from hcs_lib.registry.discover import candidates

        return [self._entry(*found) for found in candidates(self)]

    def _entry(self, function_id: str, target: str) -> FunctionEntry:
        from hcs_lib.registry.discover import first_line, parameters_of

        module, _, _ = target.partition(":")
        function = self.function(target)
        declared: Declaration = getattr(function, DECLARATION)
        digest_ = source_digest(module, _PACKAGE)
        return FunctionEntry(
            id=function_id,
            library=self.library_name,
            version=digest_[:12],
            memory_type=declared.memory_type,
            target=target,
            parameters=parameters_of(function),
            doc=first_line(function),
            tags=tuple(sorted(declared.tags)),
            accepts=declared.accepts,
            coupling=declared.coupling,
            uncouple=dict(declared.uncouple),
            returns=declared.returns,
            dtypes=_expand(declared.dtypes),
            keeps_scale=declared.keeps_scale,
            axis=declared.axis,
            special_inputs=declared.special_inputs,
            special_outputs=declared.special_outputs,
            columns=declared.columns,
            rows=declared.rows,
            shape=declared.shape,
            origin="declared",
            source_digest=digest_,
            dependencies=dependencies(module, _PACKAGE),
        )


def _expand(dtypes: Mapping[str, str] | str) -> dict[str, str]:
    if isinstance(dtypes, str):
        return {dtype: dtype if dtypes == "same" else dtypes for dtype in _DTYPES}
    return dict(dtypes)


@cache
def _digest_of_sources() -> str:
    root = Path(inspect.getfile(functions)).parent
    return digest({file.relative_to(root).as_posix(): digest_file(file) for file in sorted(root.rglob("*.py"))})
