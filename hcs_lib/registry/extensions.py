"""Libraries of others: entry points of installed distributions, and modules that the configuration names.

An entry point of the group `hcs_lib.libraries` has the library's name, and stands for a subclass of
`LibraryRegistryBase` (`toy = "toy.registry:ToyRegistry"`), whose functions are probed; or for a module
(`toy = "toy"`) whose functions are declared with `image_function`. A module that the configuration names is of the
second kind, and its name is the library's.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.core.distributions import entry_points
from hcs_lib.core.errors import MachineError, Problem, UserError

if TYPE_CHECKING:
    from hcs_lib.registry.base import LibraryRegistryBase

GROUP = "hcs_lib.libraries"

MODULES = "HCS_MODULES"
"""The environment variable with the modules that the configuration names, separated by spaces.

It lets functions be found, and changes none: a context names each function with the digest of its source.
"""


def allow(modules: Sequence[str], folder: Path) -> None:
    """Let this process, and those it starts, load modules of declared functions: of `folder`, or installed."""
    if modules:
        os.environ[MODULES] = " ".join(dict.fromkeys((*os.environ.get(MODULES, "").split(), *modules)))
        paths = filter(None, (*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(folder)))
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def names() -> frozenset[str]:
    """Return the names of all libraries of others, without loading them."""
    return frozenset((*entry_points(GROUP), *os.environ.get(MODULES, "").split()))


def origin(name: str) -> str:
    """Return what brings a library: an entry point or a module of the configuration, in words."""
    targets = entry_points(GROUP).get(name)
    return f"the entry point {name} = {' and '.join(targets)}" if targets else f"module {name} of the configuration"


@cache
def load(name: str) -> LibraryRegistryBase:
    """Return the registry of one of `names`.

    Raises
    ------
    MachineError
        Where the entry point cannot be loaded, or two have this name: what was installed is broken.
    UserError
        Where the configuration names a module as an entry point is named that stands for something else.
    """
    from hcs_lib.registry.base import LibraryRegistryBase
    from hcs_lib.registry.declared import DeclaredLibrary

    target, *others = entry_points(GROUP).get(name, (name,))
    if others:
        raise MachineError(f"Library {name} is there twice: {origin(name)}. Remove one of them.")
    if target != name and name in os.environ.get(MODULES, "").split():
        raise UserError(Problem(f"module {name}", f"This name is taken by an installed library ({origin(name)}).",
                                "Give the module another, in `registry: modules` too."))  # fmt: skip
    module, _, attribute = target.partition(":")
    if not attribute:
        return DeclaredLibrary(module, name)
    try:
        kind = getattr(importlib.import_module(module), attribute)
        library = kind()
    except (Exception, SystemExit) as error:
        # Whatever a third party's code raises must not take the other libraries with it.
        raise MachineError(f"Library {name} ({origin(name)}) cannot be loaded: {type(error).__name__}: {error}. "
                           "Install it again, or remove it.") from error  # fmt: skip
    if not isinstance(library, LibraryRegistryBase) or library.library_name != name:
        raise MachineError(f"Library {name} ({origin(name)}) is no LibraryRegistryBase of that name. "
                           "Install another version, or remove it.")  # fmt: skip
    return library
