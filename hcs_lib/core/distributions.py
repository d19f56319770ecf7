"""Versions of installed distributions, without the 30 ms that importing `importlib.metadata` costs."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import cache


def installed_version(name: str) -> str | None:
    """Return the version of an installed distribution, as its `NAME-VERSION.dist-info` says; None where there is none.

    Where several folders of `sys.path` hold one, the first counts, as it does for imports.
    """
    normalised = _normalise(name)
    found = next((versions[normalised] for versions in map(_versions, sys.path) if normalised in versions), None)
    return found or _version_of_other_kinds(name)


@cache
def _versions(folder: str) -> dict[str, str]:
    found = {}
    with suppress(OSError):
        for entry in os.listdir(folder or "."):
            if entry.endswith(".dist-info"):
                name, _, version = entry.removesuffix(".dist-info").rpartition("-")
                found[_normalise(name)] = version
    return found


def _version_of_other_kinds(name: str) -> str | None:
    """Look for what has no such folder: eggs, zip files."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
