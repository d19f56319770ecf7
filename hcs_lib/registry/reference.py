"""How many functions there are, as tables of the docs: generated from what ships with the package.

`python -m hcs_lib.registry.reference` rewrites `docs/functions.md` in a source tree; a test fails where it differs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from hcs_lib.core.declare import ProcessingContract, Returns
from hcs_lib.core.files import update_atomic
from hcs_lib.registry import cache
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.libraries import get_library, own_names

_BEGIN, _END = "<!-- generated: {} -->", "<!-- end of generated -->"


def shipped_entries() -> dict[str, list[FunctionEntry]]:
    """Return all entries by library: those of the snapshots, and those that are declared in our own sources."""
    found = {}
    for library in sorted(own_names()):
        versions = cache.snapshot_versions(library)
        if versions is not None:
            path = cache.snapshot_folder() / f"{library}.json"
            found[library] = list(cache.read_library(path, library, versions).values())
        elif not get_library(library).probed:
            found[library] = get_library(library).build()
    return found


def tables(entries: Mapping[str, Sequence[FunctionEntry]]) -> dict[str, str]:
    """Return the generated parts of the page by name."""
    usable = {library: [entry for entry in found if entry.excluded is None] for library, found in entries.items()}
    contracts = [contract.name for contract in ProcessingContract]
    returns = list(get_args(Returns))
    return {
        "libraries": _table(
            ["library", "version", "usable", "of", "found by", "on"],
            [
                [library, _version(found), str(len(usable[library])), str(len(found)),
                 _all(entry.origin for entry in found), _all(entry.device for entry in found)]
                for library, found in entries.items()
            ],
        ),
        "contracts": _counts(contracts, usable, lambda entry: entry.contract.name),
        "slices": _counts(["none", "mixes", "reduces", "channel_last"], usable, lambda entry: entry.coupling),
        "returns": _counts(returns, usable, lambda entry: entry.returns),
        "excluded": _excluded(entries),
    }  # fmt: skip


def generated_files(root: Path) -> dict[Path, str]:
    """Return the page of a source tree as it should be."""
    path = root / "docs" / "functions.md"
    text = path.read_text(encoding="utf-8")
    for name, table in tables(shipped_entries()).items():
        begin = _BEGIN.format(name)
        before, _, rest = text.partition(f"{begin}\n")
        _, _, after = rest.partition(_END)
        text = f"{before}{begin}\n{table}\n{_END}{after}"
    return {path: text}


def _counts(
    columns: Sequence[str], usable: Mapping[str, Sequence[FunctionEntry]], key: Callable[[FunctionEntry], str]
) -> str:
    rows = []
    for library, found in usable.items():
        counted = Counter(map(key, found))
        rows.append([library, *(str(counted[column] or "") for column in columns)])
    return _table(["library", *columns], rows)


def _excluded(entries: Mapping[str, Sequence[FunctionEntry]]) -> str:
    counted = {library: Counter(_reason(entry.excluded) for entry in found if entry.excluded)
               for library, found in entries.items()}  # fmt: skip
    reasons = sorted({reason for counts in counted.values() for reason in counts})
    libraries = [library for library, counts in counted.items() if counts]
    return _table(
        ["reason", *libraries],
        [[reason, *(str(counted[library][reason] or "") for library in libraries)] for reason in reasons],
    )


def _reason(excluded: str) -> str:
    """Return a reason without what it says of one function."""
    general = re.sub(r"needs argument .*", "needs an argument that cannot be guessed", excluded)
    general = re.sub(r"those of \w+(\.\w+)+", "those of its twin on the CPU", general)
    return re.split(r": | \(", general)[0]


def _version(found: Sequence[FunctionEntry]) -> str:
    versions = {entry.version for entry in found}
    return versions.pop() if len(versions) == 1 else "its sources"


def _all(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Rewrite the page of the source tree that this module lies in."""
    for path, text in generated_files(Path(__file__).parents[2]).items():
        print(f"{'written' if update_atomic(path, text.encode()) else 'unchanged'}  {path}")


if __name__ == "__main__":
    main()
