"""Arguments of calls as functions take them; those that are files are loaded once for each process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hcs_lib.contexts.lazy import LazyFile, load_file
from hcs_lib.core.canonical import digest_file
from hcs_lib.core.errors import MachineError


def plain_arguments(args: Mapping[str, Any], results: Path) -> dict[str, Any]:
    """Return frozen arguments as what functions expect: dicts for mappings, contents for files; tuples stay.

    Raises
    ------
    MachineError
        Where a file is not in the plate's results, or is another one than was compiled.
    """
    found = {}
    for name, value in args.items():
        reference = LazyFile.of(value)
        if reference is None:
            found[name] = _plain(value)
        else:
            found[name] = _load(results / reference.path, reference.sha256, reference.name)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


@cache
def _load(path: Path, sha256: str, name: str) -> Any:
    try:
        if digest_file(path) != sha256:
            raise MachineError(f"{path}: {name} is not the file that was compiled. Run `hcs compile` again.")
        return load_file(path)
    except (OSError, ValueError) as error:
        raise MachineError(f"{path}: {name} cannot be read ({error}). Run `hcs compile` again.") from None
