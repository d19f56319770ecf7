"""Receipts: the last act of a well's stage, and the only proof that it is finished."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from hcs_lib.core.canonical import digest_tree, measure_tree
from hcs_lib.core.domains import Site
from hcs_lib.core.files import write_json
from hcs_lib.core.frozen import Frozen, FrozenDict


class Output(Frozen):
    """A file or folder that was written, relative to the plate's results.

    Label images lie in the folder `labels` of their image, and do not count as part of it: a later stage may add some.
    What is of kind `work` is there for later stages, and need not outlive them.
    """

    path: str
    kind: Literal["image", "labels", "table", "work"]
    name: str
    digest: str
    files: int
    bytes: int

    @property
    def without(self) -> str:
        """The folder below `path` that is not part of the output."""
        return "labels" if self.kind == "image" else ""


class SiteRecord(Frozen):
    """What became of one site: planes read, objects by label name, or why it was left out."""

    site: Site
    status: Literal["done", "skipped", "failed"]
    planes: int
    counts: FrozenDict
    reason: str = ""


class Failure(Frozen):
    """Why a well failed. `kind`: bad_plane, function, output, skipped (the user's policy left it out)."""

    kind: str
    message: str
    site: Site | None = None
    step: str = ""


class Receipt(Frozen):
    """What was done for one well in one stage.

    `planes` maps `file#page` of every plane that was read to the SHA-256 of the bytes of its pixels.
    `counts` maps label names to objects in the whole well, those of merged sites too; a name whose step did not
    run is absent.
    `device` says what it ran on: type, machine, threads; of a GPU its id, and what else the driver tells.
    `seconds` maps step names to wall seconds, `(reading)`, `(writing)` and `(tables)` apart. `bytes_read` are those of
    the files of its planes, `peak_memory_mb` is the process's. Receipts carry times and are not byte-identical between
    runs.
    """

    schema_version: Literal[1] = 1
    plate: str
    well: str
    stage: str
    context_digest: str
    status: Literal["done", "failed"]
    reason: str
    failure: Failure | None
    outputs: tuple[Output, ...]
    sites: tuple[SiteRecord, ...]
    counts: FrozenDict = Field(default_factory=dict)
    planes: FrozenDict
    device: FrozenDict
    versions: FrozenDict
    seconds: FrozenDict
    bytes_read: int = 0
    peak_memory_mb: int = 0
    warnings: tuple[str, ...]
    started: str
    finished: str

    def missing(self, results: Path) -> str | None:
        """Return the first output that is not there with its files and bytes, below the plate's results.

        Nothing is read: names and sizes are compared. What is there for later stages only is not missed: they ask for
        it when they need it.
        """
        for output in self.outputs:
            if output.kind != "work" and measure_tree(results / output.path, output.without) != (
                output.files,
                output.bytes,
            ):
                return output.path
        return None

    def damaged(self, results: Path, paths: Container[str]) -> str | None:
        """Return the first output among `paths` that does not hold the bytes that were written. They are read."""
        for output in self.outputs:
            if output.path in paths and digest_tree(results / output.path, output.without).digest != output.digest:
                return output.path
        return None

    def save(self, path: Path) -> None:
        """Write the receipt, atomically."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> Receipt | None:
        """Read a receipt; None where there is none that can be trusted (absent, truncated, foreign)."""
        return _load(cls, path)


class BatchReceipt(Frozen):
    """What one job did: wells with the digest and status of their own receipts. Holds no times."""

    plate: str
    stage: str
    batch: str
    wells: FrozenDict

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def load(cls, path: Path) -> BatchReceipt | None:
        """Read the receipt of a batch; None where there is none that can be trusted."""
        return _load(cls, path)


_Model = TypeVar("_Model", bound=Frozen)


def _load(model: type[_Model], path: Path) -> _Model | None:
    import json

    try:
        return model.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None
