"""What the file of a library is valid for: rule `params` of the workflow. The standard library only, milliseconds."""

from __future__ import annotations

from collections.abc import Iterable

from hcs_lib.core.errors import MachineError
from hcs_lib.registry.libraries import get_library, library_names
from hcs_lib.registry.twins import twin_name


def libraries_of(functions: Iterable[str], *, twins: bool = False) -> list[str]:
    """Return the libraries that the ids of functions belong to; each has a file `results/registry/{library}.json`.

    Our own is always among them. What belongs to none is left out. With `twins`, those of their twins are added.
    """
    functions = list(functions)
    found = {
        max((name for name in library_names() if function.startswith(f"{name}.")), key=len, default="hcs")
        for function in functions
    }
    if twins:
        others = {name.library for name in map(twin_name, functions) if name is not None}
        found |= {library for library in others if _is_known(library)}
    return sorted(found | {"hcs"})


def _is_known(library: str) -> bool:
    try:
        library_versions(library)
    except MachineError:
        return False
    return True


def library_versions(library: str) -> dict[str, str]:
    """Return the versions that the registry file of a library depends on.

    For `hcs`, our own functions, the version is a digest of their sources.
    """
    return get_library(library).versions()


def gpus_to_probe(library: str) -> int:
    """Return how many GPUs `hcs registry build` needs for a library: none where a file on this machine serves."""
    from hcs_lib.registry.service import RegistryService

    return int(get_library(library).DEVICE == "cuda" and RegistryService().look_up(library) is None)
