"""The plan of a plate (stages, batches) and the manifest of each batch: what Snakemake sees of contexts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from hcs_lib.contexts.context import Scope
from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, update_atomic
from hcs_lib.core.frozen import Frozen, FrozenDict
from hcs_lib.core.refusals import read_accepted
from hcs_lib.storage.spec import OmeZarr

GATE = "gate.json"
"""In a plate's results: what its gate found, and whether the plate goes on."""

APPROVALS = "approvals.json"
"""In a plate's results: who let it through its gate all the same, when and why."""


class Manifest(Frozen):
    """One batch of one stage: well → context digest.

    `wells` has the one key `plate` in the plate's scope. `after` are the stages before, with their scope: a well that
    failed in one of them is not done here, and none is where one of the plate failed. `gated` says that a gate stands
    before, which must have let the plate through.
    """

    schema_version: Literal[1] = 1
    plate: str
    stage: str
    batch: str
    wells: FrozenDict
    after: FrozenDict = Field(default_factory=dict)
    gated: bool = False

    def save(self, path: Path) -> None:
        """Write the manifest as canonical JSON, atomically, and only where the file differs."""
        update_atomic(path, canonical_json(self.model_dump(mode="json")))

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read a manifest."""
        try:
            return cls.model_validate(read_json(path, "Manifest (`hcs compile` writes it)"))
        except ValidationError as error:
            raise UserError(Problem(str(path), f"This is no manifest: {str(error).splitlines()[0]}.")) from None


class Stage(Frozen):
    """Consecutive steps that run in one process.

    `gpu` is the number of GPUs that a job of it needs, `mem_mb` the memory, `gpu_mb` that on a GPU (0 where it needs
    none), `minutes` what it may take, all estimated when compiling. In the plate's scope, its one batch has `plate` for
    a well.
    """

    name: str
    scope: Scope = "well"
    gpu: int
    steps: tuple[str, ...]
    batches: FrozenDict
    mem_mb: int
    gpu_mb: int = 0
    minutes: int = 0


class ObjectTable(Frozen):
    """The table with one row per object: its name, the primary object, and the columns it will have."""

    name: str
    primary: str
    objects: tuple[str, ...]
    columns: tuple[str, ...]


class SiteTable(Frozen):
    """The table with one row per site: its name, and the columns it will have."""

    name: str
    columns: tuple[str, ...]


class Gate(Frozen):
    """Where too many sites are flagged, nothing goes on after `stage`.

    `max_flagged` is the share of sites that may carry one of `flags`.
    """

    stage: str
    max_flagged: float
    flags: tuple[str, ...]


class PlatePlan(Frozen):
    """Everything about a plate that is known after compilation, for scheduling, collecting and people.

    `raw_folder` is where the raw plate lay when compiled, absolute; contexts do not hold it. `wells` go through steps;
    `other_wells` were imaged too, and no step concerns them: nothing is made of them, and they are not missing.
    `ome_zarr` is the version of OME-Zarr that `store` is of.
    `stages[…].batches` maps batch → wells. `qc_flags` maps flag → threshold (`hcs_lib.screening.flags`).
    `well_minutes` is how long a job may work on one well of a stage.
    """

    schema_version: Literal[1] = 1
    plate: str
    pipeline: str
    raw_folder: str
    wells: tuple[str, ...]
    stages: tuple[Stage, ...]
    labels: tuple[str, ...]
    table: ObjectTable | None
    derived: FrozenDict
    channel_names: tuple[str, ...]
    platemap: str | None
    allowed_failures: int
    store: str | None
    ome_zarr: OmeZarr = "0.5"
    site_table: SiteTable | None = None
    qc_flags: FrozenDict = Field(default_factory=dict)
    gate: Gate | None = None
    well_minutes: float | None = None
    other_wells: tuple[str, ...] = ()

    @property
    def imaged(self) -> tuple[str, ...]:
        """All wells of the plate index, those first that go through steps."""
        return (*self.wells, *self.other_wells)

    def save(self, path: Path) -> None:
        """Write the plan as canonical JSON, atomically, and only where the file differs."""
        update_atomic(path, canonical_json(self.model_dump(mode="json")))

    @classmethod
    def load(cls, path: Path) -> PlatePlan:
        """Read a plan; a UserError says what to do where it is missing, and why where the plate was refused."""
        try:
            return cls.model_validate(read_accepted(path, "Plan (`hcs compile` writes it)"))
        except ValidationError as error:
            raise UserError(Problem(str(path), f"This is no plan: {str(error).splitlines()[0]}.")) from None
