"""One module per library, named as the library with `_` for `.`; found by walking this package."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.registry.base import LibraryRegistryBase


@cache
def library_names() -> tuple[str, ...]:
    """Return the names of all libraries, without importing their modules."""
    return tuple(sorted(module.name.replace("_", ".") for module in pkgutil.iter_modules(__path__)))


@cache
def get_library(name: str) -> LibraryRegistryBase:
    """Return the registry of a library; imports no image library.

    Raises
    ------
    UserError
        For a name that is no library, with the nearest names.
    """
    if name not in library_names():
        known = ", ".join(library_names())
        raise UserError(Problem(f"library {name!r}", f"There is no such library; there are {known}.",
                                nearest(name, library_names())))  # fmt: skip
    module = importlib.import_module(f"{__name__}.{name.replace('.', '_')}")
    return next(
        member()
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, LibraryRegistryBase) and member.__module__ == module.__name__
    )
