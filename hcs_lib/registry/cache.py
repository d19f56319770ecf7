"""Registry files: one JSON per library, whole and valid for these versions, or not used at all.

A file is one JSON object laid out in lines: a head with the versions, one line for each function, and the digest of
all that stands before it. Reading one parses the head; the line of a function is parsed when it is first asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import MachineError
from hcs_lib.core.files import write_atomic

if TYPE_CHECKING:
    from hcs_lib.registry.entry import FunctionEntry

SCHEMA_VERSION = 3
"""Raised whenever this layout changes, or the fields of `FunctionEntry` or `Parameter` do."""

_SCHEMA = re.compile(rb'"schema_version":(\d+)')

_DAY = 86_400.0


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
        with (snapshot_folder() / f"{library}.json").open("rb") as file:
            return dict(_parse_head(file.readline())["versions"])
    except (OSError, ValueError, KeyError):
        return None


def write_library(path: Path, library: str, versions: Mapping[str, str], entries: Iterable[FunctionEntry]) -> None:
    """Write the file of a library with its digest, atomically. The same entries make the same bytes."""
    head = {"library": library, "schema_version": SCHEMA_VERSION, "versions": dict(versions)}
    functions = [{entry.id: entry.to_json()} for entry in sorted(entries, key=lambda entry: entry.id)]
    lines = b",\n".join(_open(function)[1:] for function in functions)
    body = b'%s,"functions":{\n%s\n},' % (_open(head), lines)
    write_atomic(path, body + _seal(body))


def _open(value: Mapping[str, Any]) -> bytes:
    """Return a JSON object without its closing brace, so that more can follow."""
    return canonical_json(value)[: -len(b"}\n")]


def _seal(body: bytes) -> bytes:
    """Return how a file ends: with the digest of all before."""
    return b'"digest":"%s"}\n' % hashlib.sha256(body).hexdigest().encode()


def _parse_head(line: bytes) -> Any:
    """Read the first line of a file, which opens the object and that of the functions."""
    return json.loads(line + b"}}")


class Entries(Mapping[str, "FunctionEntry"]):
    """Entries by id, each made of its line when it is first asked for: most runs need a few of a thousand.

    Raises
    ------
    MachineError
        When asked for an entry with fields that entries do not have: another version of this package wrote it, and
        did not raise `SCHEMA_VERSION`.
    """

    def __init__(self, path: Path, lines: Iterable[bytes]) -> None:
        self._path = path
        parts = (line.partition(b'":') for line in lines)
        self._lines = {name[1:].decode(): value for name, _, value in parts}
        self._made: dict[str, FunctionEntry] = {}

    def __getitem__(self, name: str) -> FunctionEntry:
        if name not in self._made:
            from hcs_lib.registry.entry import FunctionEntry

            try:
                self._made[name] = FunctionEntry.from_json(json.loads(self._lines[name].rstrip(b",")))
            except (ValueError, TypeError) as error:
                raise MachineError(f"{self._path}: what it says of {name} cannot be read ({error}). "
                                   "Delete it.") from None  # fmt: skip
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


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
        Where it is for other versions, of another layout, or too old.
    DamagedError
        Where it is anything but the whole file of this library.
    """
    try:
        content = path.read_bytes()
        # First, since other layouts are not sealed as this one is.
        if (schema := _SCHEMA.search(content)) and int(schema[1]) != SCHEMA_VERSION:
            raise StaleError(f"another version of hcs-workflow wrote it (layout {int(schema[1])}, "
                             f"here {SCHEMA_VERSION})")  # fmt: skip
        body, _, _ = content.rpartition(b'"digest":')
        if content[len(body) :] != _seal(body):
            raise DamagedError("it is not whole, or was changed by hand")
        first, *lines, _ = filter(None, body.splitlines())
        head = _parse_head(first)
        if head["library"] != library:
            raise DamagedError(f"it is the file of {head['library']}")
        differing = _differences(head["versions"], versions)
        if differing:
            raise StaleError(differing)
        age = (time.time() - path.stat().st_mtime) / _DAY
        if max_age_days is not None and age > max_age_days:
            raise StaleError(f"it is {age:.0f} days old, more than {max_age_days:g}")
        return Entries(path, lines)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"it cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"it cannot be read ({type(error).__name__}: {error})") from None


def _differences(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    return "; ".join(
        f"it is for {name} {_short(found.get(name))}, here is {_short(expected.get(name))}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    )


def _short(version: str | None) -> str:
    return "none" if version is None else version[:12]
