"""Outputs of wells against their receipts: every byte read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.receipts import Output, Receipt
from hcs_lib.core.canonical import TreeDigest
from hcs_lib.provenance.differences import Difference, Kind
from hcs_lib.provenance.trees import Tree, missing_and_extra

Owners = Mapping[str, str]
"""Digest of an output → the path where a receipt says that it lies."""

_SHOWN = 3
"""How many files a message names."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outputs of one receipt, read: how much that was, and what differs."""

    outputs: int
    files: int
    bytes: int
    differences: tuple[Difference, ...]


def check_outputs(folder: Path, receipt: Receipt, owners: Owners) -> Checked:
    """Hash the outputs that a receipt names.

    A label image lies within its image, and the digest of the image covers it. What differs is said of the label
    image then; the rest of the image can be judged by number and size of its files only.
    """
    found: list[Difference] = []
    files = size = 0
    groups: dict[str, list[Output]] = {}
    for output in receipt.outputs:
        outer = next((other.path for other in receipt.outputs if output.path.startswith(f"{other.path}/")), output.path)
        groups.setdefault(outer, []).append(output)
    for path, outputs in groups.items():
        tree = Tree.read(folder / path)
        files += len(tree.hashes)
        size += sum(tree.sizes.values())
        found += _check_tree(folder, receipt, path, outputs, tree, owners)
    return Checked(len(receipt.outputs), files, size, tuple(found))


def _check_tree(
    folder: Path, receipt: Receipt, path: str, outputs: list[Output], tree: Tree, owners: Owners
) -> Iterator[Difference]:
    outer, *inner = sorted(outputs, key=lambda output: len(output.path))
    if tree.digest == _expected(outer):
        return
    gone, extra = missing_and_extra(folder / path, tree.hashes) if outer.kind != "table" else ([], [])

    def say(output: Output, part: Tree, expected: TreeDigest, missing: list[str], more: list[str]) -> Difference:
        kind, message = _how(part, expected, missing, more, owners.get(part.digest.digest))
        what = output.kind if output.name == output.kind else f"{output.kind} {output.name}"
        return Difference(receipt.plate, receipt.well, kind, output.path, f"{what}: {message}")

    if not tree.hashes or tree.digest.digest in owners:
        yield say(outer, tree, _expected(outer), [], [])
        return
    expected, judged = _expected(outer), False
    for output in inner:
        start = f"{output.path.removeprefix(f'{path}/')}/"
        part, tree = tree.split(start)
        mine = [[name.removeprefix(start) for name in names if name.startswith(start)] for names in (gone, extra)]
        gone, extra = ([name for name in names if not name.startswith(start)] for names in (gone, extra))
        expected = TreeDigest(expected.digest, expected.files - output.files, expected.bytes - output.bytes)
        if part.digest != _expected(output):
            judged = True
            yield say(output, part, _expected(output), *mine)
    if not judged or tree.digest[1:] != expected[1:]:
        yield say(outer, tree, expected, gone, extra)


def _how(found: Tree, expected: TreeDigest, gone: list[str], extra: list[str], owner: str | None) -> tuple[Kind, str]:
    """Say how what is there differs from what was written."""
    _, files, size = found.digest
    if not files:
        return "missing", "not there."
    if owner is not None:
        return "changed", f"here is what belongs at {owner}."
    if gone and not extra:
        return "missing", f"without {_list(gone)}."
    if extra and not gone:
        return "extra", f"{_list(extra)} does not belong there."
    if (files, size) != (expected.files, expected.bytes):
        return "changed", f"{files} files of {size} bytes, written were {expected.files} of {expected.bytes}."
    return "changed", f"other bytes than were written, in {files} files of {size} bytes."


def _list(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _expected(output: Output) -> TreeDigest:
    return TreeDigest(output.digest, output.files, output.bytes)
