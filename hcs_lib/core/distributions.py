"""Versions and entry points of installed distributions, without the 30 ms that importing `importlib.metadata` costs."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import cache


def installed_version(name: str) -> str | None:
    """Return the version of an installed distribution, as its folder `NAME-VERSION.dist-info` says; None: not there.

    Where several folders of `sys.path` hold one, the first counts, as it does for imports.
    """
    normalised = _normalise(name)
    return next((versions[normalised] for versions in map(_versions, sys.path) if normalised in versions), None)


@cache
def _versions(folder: str) -> dict[str, str]:
    named = (_NAMED.fullmatch(info) for info in _infos(folder))
    return {_normalise(found["name"]): found["version"] for found in named if found}


_NAMED = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py[\d.]+)?\.(dist|egg)-info")


@cache
def _infos(folder: str) -> tuple[str, ...]:
    try:
        entries = os.scandir(folder or ".")
    except OSError:
        return ()
    return tuple(sorted(entry.name for entry in entries if entry.name.endswith(("dist-info", "egg-info"))))


@cache
def entry_points(group: str) -> dict[str, tuple[str, ...]]:
    """Return name → target of the entry points of a group: several where distributions use one name for others."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in dict.fromkeys(sys.path):
        for info in _infos(folder):
            path = os.path.join(folder, info, "entry_points.txt")  # noqa: PTH118 — at every start, for every distribution
            with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123
                content = file.read()
                if f"[{group}]".encode() in content:
                    from configparser import ConfigParser

                    parser = ConfigParser(delimiters="=", interpolation=None)
                    parser.optionxform = str  # type: ignore[method-assign,assignment]
                    parser.read_string(content.decode())
                    for name, target in parser[group].items():
                        found[name] = tuple(dict.fromkeys((*found.get(name, ()), target)))
    return found


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
