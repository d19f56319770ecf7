"""Outputs of wells against their receipts: every byte read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.contexts.receipts import Output, Receipt
from hcs_lib.core.canonical import TreeDigest
from hcs_lib.provenance.differences import Difference, Kind
from hcs_lib.provenance.trees import Tree, missing_and_extra
from hcs_lib.storage.images import label_names
from hcs_lib.storage.metadata import NAMES

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

    A label image lies within its image and is an output of its own, of this stage or of another.
    """
    found: list[Difference] = []
    files = size = 0
    outputs = [output for output in receipt.outputs if output.kind != "work" or (folder / output.path).exists()]
    for output in outputs:
        tree = Tree.read(folder / output.path, output.without)
        files += len(tree.hashes)
        size += sum(tree.sizes.values())
        found += _check_tree(folder, receipt, output, tree, owners)
        found += _check_labels(folder, receipt, output) if output.kind == "image" else ()
    return Checked(len(outputs), files, size, tuple(found))


def _check_tree(folder: Path, receipt: Receipt, output: Output, tree: Tree, owners: Owners) -> Iterator[Difference]:
    expected = TreeDigest(output.digest, output.files, output.bytes)
    if tree.digest == expected:
        return
    gone, extra = missing_and_extra(folder / output.path, tree.hashes) if output.kind != "table" else ([], [])
    known = bool(tree.hashes) and tree.digest.digest not in owners
    kind, message = _how(tree, expected, *((gone, extra) if known else ([], [])), owners.get(tree.digest.digest))
    what = output.kind if output.name == output.kind else f"{output.kind} {output.name}"
    yield Difference(receipt.plate, receipt.well, kind, output.path, f"{what}: {message}")


def _check_labels(folder: Path, receipt: Receipt, image: Output) -> Iterator[Difference]:
    """Compare the label images that lie within an image with those that it names."""
    group = folder / image.path
    named = set(label_names(group))
    there = {path.name for path in (group / "labels").glob("*") if path.name not in NAMES}
    own = {output.name for output in receipt.outputs if output.path.startswith(f"{image.path}/labels/")}
    for name in sorted(there - named):
        yield Difference(receipt.plate, receipt.well, "extra", f"{image.path}/labels/{name}", "not named by its image.")
    for name in sorted(named - there - own):
        yield Difference(receipt.plate, receipt.well, "missing", f"{image.path}/labels/{name}", "not there.")


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
