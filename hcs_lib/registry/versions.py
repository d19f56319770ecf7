"""What the file of a library is valid for: rule `params` of the workflow. The standard library only, milliseconds."""

from __future__ import annotations

from collections.abc import Iterable

from hcs_lib.registry.libraries import get_library, library_names


def libraries_of(functions: Iterable[str]) -> list[str]:
    """Return the libraries that the ids of functions belong to; each has a file `results/registry/{library}.json`.

    Our own is always among them. What belongs to none is left out.
    """
    found = {
        max((name for name in library_names() if function.startswith(f"{name}.")), key=len, default="hcs")
        for function in functions
    }
    return sorted(found | {"hcs"})


def library_versions(library: str) -> dict[str, str]:
    """Return the versions that the registry file of a library depends on.

    For `hcs`, our own functions, the version is a digest of their sources.
    """
    return get_library(library).versions()


def gpus_to_probe(library: str) -> int:
    """Return how many GPUs `hcs registry build` needs for a library: none where a file on this machine serves."""
    from hcs_lib.registry.service import RegistryService

    return int(get_library(library).DEVICE == "cuda" and RegistryService().look_up(library) is None)
