"""Registry files: one JSON per library, whole and valid for these versions, or not used at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hcs_lib.core.canonical import digest
from hcs_lib.core.files import write_json
from hcs_lib.registry.entry import FIELDS, PARAMETER_FIELDS, FunctionEntry

SCHEMA_VERSION = 2
_DAY = 86_400.0
_FRAME = re.compile(rb'\{"digest":"([0-9a-f]{64})","registry":(.*)\}\n', re.DOTALL)
"""What `write_library` writes around the registry: its bytes are held against the digest without writing them anew."""

_VERSIONS = re.compile(rb'"versions":(\{[^{}]*\})\}\}\n\Z')
"""How such a file ends: its keys are sorted."""


class StaleError(Exception):
    """The file is whole, but for other versions or too old: nothing is wrong, it is only not used."""


class DamagedError(Exception):
    """The file is truncated, changed by hand, or no registry file at all."""


def user_folder() -> Path:
    """Return the folder of a user's own cache, `~/.cache/hcs` or below `XDG_CACHE_HOME`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "hcs" / "registry"


def snapshot_folder() -> Path:
    """Return the folder of the snapshots that ship with the package."""
    return Path(__file__).parent / "snapshots"


def snapshot_versions(library: str) -> dict[str, str] | None:
    """Return the versions that the shipped snapshot of a library is of; None where there is none."""
    try:
        tail = _VERSIONS.search((snapshot_folder() / f"{library}.json").read_bytes())
    except OSError:
        return None
    return None if tail is None else dict(json.loads(tail[1]))


def write_library(path: Path, library: str, versions: Mapping[str, str], entries: Iterable[FunctionEntry]) -> None:
    """Write the file of a library with its digest, atomically. The same entries make the same bytes."""
    body = {
        "schema_version": SCHEMA_VERSION,
        "library": library,
        "versions": dict(versions),
        "functions": [entry.to_json() for entry in sorted(entries, key=lambda entry: entry.id)],
    }
    write_json(path, {"digest": digest(body), "registry": body})


class Entries(Mapping[str, FunctionEntry]):
    """Entries by id, each made of its JSON when it is first asked for: most runs need a few of a thousand.

    Raises
    ------
    TypeError
        For a field that entries, or their parameters, do not have.
    """

    def __init__(self, functions: Sequence[Mapping[str, Any]]) -> None:
        self._json = {function["id"]: function for function in functions}
        self._made: dict[str, FunctionEntry] = {}
        unknown = set().union(*functions) - FIELDS
        unknown |= (
            set().union(*(p for function in functions for p in function.get("parameters", ()))) - PARAMETER_FIELDS
        )
        if unknown:
            raise TypeError(f"unknown fields {', '.join(sorted(unknown))}")

    def __getitem__(self, name: str) -> FunctionEntry:
        if name not in self._made:
            self._made[name] = FunctionEntry.from_json(self._json[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._json)

    def __len__(self) -> int:
        return len(self._json)


def read_library(
    path: Path, library: str, versions: Mapping[str, str], *, max_age_days: float | None = None
) -> Mapping[str, FunctionEntry]:
    """Read the file of a library: its entries by id, each made when it is first asked for.

    Parameters
    ----------
    versions
        What is installed; the file must be for exactly these.
    max_age_days
        How old the file may be; None: any age.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    StaleError
        Where it is for other versions or too old.
    DamagedError
        Where it is anything but the whole file of this library.
    """
    try:
        frame = _FRAME.fullmatch(path.read_bytes())
        if frame is None or hashlib.sha256(frame[2] + b"\n").hexdigest() != frame[1].decode():
            raise DamagedError("it is not whole, or was changed by hand")
        body = json.loads(frame[2])
        if body["schema_version"] != SCHEMA_VERSION:
            raise StaleError(f"it has schema {body['schema_version']}, expected {SCHEMA_VERSION}")
        if body["library"] != library:
            raise DamagedError(f"it is the file of {body['library']}")
        differing = _differences(body["versions"], versions)
        if differing:
            raise StaleError(differing)
        age = (time.time() - path.stat().st_mtime) / _DAY
        if max_age_days is not None and age > max_age_days:
            raise StaleError(f"it is {age:.0f} days old, more than {max_age_days:g}")
        return Entries(body["functions"])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"it cannot be read ({type(error).__name__}: {error})") from None


def _differences(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    return "; ".join(
        f"it is for {name} {_short(found.get(name))}, here is {_short(expected.get(name))}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    )


def _short(version: str | None) -> str:
    return "none" if version is None else version[:12]
