"""What lies below an output, file by file: hashed once, and what a Zarr store should hold there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hcs_lib.core.canonical import TreeDigest, digest, digest_file, files_of
from hcs_lib.storage.metadata import NAMES


@dataclass(frozen=True, slots=True)
class Tree:
    """The files below a path: SHA-256 and size by relative name. A single file has the name `.`."""

    hashes: dict[str, str]
    sizes: dict[str, int]

    @classmethod
    def read(cls, path: Path, without: str = "") -> Tree:
        """Hash every file below a path, but for those in its folder `without`; empty where nothing is there."""
        names = {file.relative_to(path).as_posix(): file for file in files_of(path, without)}
        return cls(
            {name: digest_file(file) for name, file in names.items()},
            {name: file.stat().st_size for name, file in names.items()},
        )

    @property
    def digest(self) -> TreeDigest:
        """What `core.canonical.digest_tree` returns for the same files."""
        return TreeDigest(digest(self.hashes), len(self.hashes), sum(self.sizes.values()))


def missing_and_extra(path: Path, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Say which files a Zarr group should have and has not, and which do not belong there.

    Metadata say which chunks an array has. What they do not say, because they are missing themselves, is not
    guessed.

    Parameters
    ----------
    path
        The group.
    names
        The files below it.
    """
    there = set(names)
    if any(Path(name).name in (".zgroup", ".zarray") for name in there):
        expected = set(_zarr2(path, there))
        return sorted(expected - there), sorted(there - expected)
    folders = {parent.as_posix() for name in there for parent in Path(name).parents}
    arrays = {name.rpartition("/")[0] for name in there if Path(name).name == "zarr.json" and _is_array(path / name)}
    within_arrays = {folder for folder in folders for array in arrays if f"{folder}/".startswith(f"{array}/c/")}
    metadata = {
        f"{folder}/zarr.json".removeprefix("./") for folder in folders - within_arrays if Path(folder).name != "c"
    }
    expected = metadata | {f"{array}/{chunk}" for array in arrays for chunk in _chunks(path / array)}
    # Below an array whose metadata are missing, nothing can be called extra.
    unknown = {name.rpartition("/")[0] for name in metadata - there}
    extra = {name for name in there - expected if not any(name.startswith(f"{folder}/c/") for folder in unknown)}
    return sorted(expected - there), sorted(extra)


def _zarr2(path: Path, there: set[str]) -> Iterator[str]:
    """Yield the names of the files that a group of Zarr 2 should have. Folders without metadata hold chunks."""
    nodes = {name.rpartition("/")[0] for name in there if Path(name).name in NAMES}
    for node in nodes:
        prefix = f"{node}/" if node else ""
        is_group = any(other != node and other.startswith(prefix) for other in nodes)
        yield f"{prefix}.zattrs"
        yield f"{prefix}{'.zgroup' if is_group else '.zarray'}"
        if f"{prefix}.zarray" in there:
            document = json.loads((path / node / ".zarray").read_bytes())
            counts = [-(-length // size) for length, size in zip(document["shape"], document["chunks"], strict=True)]
            yield from (prefix + "/".join(map(str, place)) for place in product(*map(range, counts)))
        elif not is_group:
            yield from (name for name in there if name.startswith(prefix))


def _is_array(file: Path) -> bool:
    try:
        return bool(json.loads(file.read_bytes())["node_type"] == "array")
    except (ValueError, TypeError, KeyError):
        return False


def _chunks(array: Path) -> Iterator[str]:
    """Yield the names of the files of an array: `c/0/0`. Those of arrays that are not ours are not known."""
    document = json.loads((array / "zarr.json").read_bytes())
    try:
        sizes = document["chunk_grid"]["configuration"]["chunk_shape"]
        counts = [-(-length // size) for length, size in zip(document["shape"], sizes, strict=True)]
    except (KeyError, TypeError, ZeroDivisionError):
        return
    for index in product(*(range(count) for count in counts)):
        yield "/".join(("c", *map(str, index)))
