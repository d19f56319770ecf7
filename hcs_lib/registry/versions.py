"""What the file of a library is valid for: rule `params` of the workflow. The standard library only, milliseconds."""

from __future__ import annotations

from hcs_lib.registry.libraries import get_library, library_names

LIBRARIES: tuple[str, ...] = library_names()
"""Names of all libraries; each has a file `results/registry/{library}.json`."""


def library_versions(library: str) -> dict[str, str]:
    """Return the versions that the registry file of a library depends on.

    For `hcs`, our own functions, the version is a digest of their sources.
    """
    return get_library(library).versions()
