"""One module per library, named as the library with `_` for `.`; found by walking this package.

Third parties add libraries through entry points, and users through modules that their configuration names
(`hcs_lib.registry.extensions`).
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.registry import extensions
from hcs_lib.registry.base import LibraryRegistryBase


@cache
def own_names() -> frozenset[str]:
    """Return the names of the libraries that come with this package."""
    modules = (file.stem for file in Path(__path__[0]).glob("*.py"))
    return frozenset(name.replace("_", ".") for name in modules if name != "__init__")


def library_names() -> tuple[str, ...]:
    """Return the names of all libraries, without importing their modules."""
    return tuple(sorted(own_names() | extensions.names()))


def get_library(name: str) -> LibraryRegistryBase:
    """Return the registry of a library; imports no image library.

    Raises
    ------
    UserError
        For a name that is no library, with the nearest names; for a name that stands for two.
    MachineError
        Where what a third party installed cannot be loaded.
    """
    if name in own_names():
        if name in extensions.names():
            raise UserError(Problem(f"library {name!r}", "This name is taken by a library that comes with hcs.",
                                    f"{extensions.origin(name)} must take another."))  # fmt: skip
        return _own(name)
    if name in extensions.names():
        return extensions.load(name)
    known = ", ".join(library_names())
    raise UserError(Problem(f"library {name!r}", f"There is no such library; there are {known}.",
                            nearest(name, library_names())))  # fmt: skip


@cache
def _own(name: str) -> LibraryRegistryBase:
    module = importlib.import_module(f"{__name__}.{name.replace('.', '_')}")
    return next(
        member()
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, LibraryRegistryBase) and member.__module__ == module.__name__
    )
