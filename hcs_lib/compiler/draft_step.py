"""The draft of a step plan: its calls, its store, and what the five phases find out about both.

Wells for which the pipeline resolves alike share one; their names and paths come in when a context is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hcs_lib.compiler.images import LABEL_DTYPE, ImageType, Shapes
from hcs_lib.compiler.metadata import PerWell
from hcs_lib.compiler.overrides import ResolvedCall, ResolvedStep
from hcs_lib.contexts.plans import (
    Backend,
    Chain,
    FunctionPattern,
    LinkedInput,
    StepPlan,
    TableFile,
    ZarrStore,
)
from hcs_lib.core.declare import MemoryType, Returns
from hcs_lib.core.domains import Domain
from hcs_lib.core.frozen import freeze
from hcs_lib.pipeline.models import Axis
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.storage.metadata import well_path
from hcs_lib.storage.planning import resize
from hcs_lib.storage.spec import ArraySpec

Output = Literal["image", "labels", "table"]

GPU_ONLY: frozenset[MemoryType] = frozenset({"cupy"})
"""Memory types whose arrays lie on a GPU and nowhere else."""


@dataclass
class DraftCall:
    """A function call whose arguments the phases complete.

    `entry` is None where there is no such function; phase 5 may put that of its twin in its place. `shapes` is what a
    mosaic spans of which the function tells, or which it makes; `incoming` the image that it is given. `memory_type` is
    where a generic function runs; None: where its entry says.
    """

    source: ResolvedCall
    entry: FunctionEntry | None
    args: dict[str, Any]
    special_inputs: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    shapes: Shapes | None = None
    incoming: ImageType | None = None
    memory_type: MemoryType | None = None

    @property
    def runs_on(self) -> MemoryType:
        """The arrays that it takes and gives."""
        return self.memory_type or (self.entry.memory_type if self.entry else "numpy")

    @property
    def twin_of(self) -> str | None:
        """The function that the pipeline names, where its twin is called."""
        return None if self.entry is None or self.entry.id == self.source.call else self.source.call

    def args_of(self, well: str) -> dict[str, Any]:
        """Return the arguments of one well."""
        return {name: value.values[well] if isinstance(value, PerWell) else value for name, value in self.args.items()}


DraftPattern = dict[str | None, list[DraftCall]]
"""The chain of each value of `group_by`; of None where the pattern is no routing table."""


@dataclass(frozen=True)
class DraftStore:
    """A `ZarrStore` before the well is known. `domain` has the planes that are written.

    `array` is what is written of one site; `shapes` are the rows and columns of each well, where they are its own.
    """

    label: str | None
    domain: Domain
    array: ArraySpec
    shapes: Shapes | None = None

    def for_well(self, plate: str, well: str) -> ZarrStore:
        """Name the groups of one well."""
        folder = well_path(well)
        names = ["all" if site is None else str(site) for site in self.domain.site]
        return ZarrStore(
            path=f"{plate}.zarr",
            groups={name: f"{folder}/{name}" for name in names},
            label=self.label,
            array=self.array if self.shapes is None else resize(self.array, *self.shapes[well]),
        )


@dataclass
class DraftStep:
    """A step plan in the making; `StepPlan` says what each field means, and in which phase it is filled.

    `incoming` and `outgoing` are the images that the function pattern is given and gives.
    """

    source: ResolvedStep
    pattern: DraftPattern
    input: int | None
    domain: Domain
    call_domain: Domain
    output_domain: Domain
    incoming: ImageType
    outgoing: ImageType
    output: Output | None
    special_inputs: dict[str, tuple[LinkedInput, ...]] = field(default_factory=dict)

    zarr_store: DraftStore | None = None
    table: str | None = None

    read_backend: Backend = "memory"
    write_backend: Backend = "memory"
    keep: bool = False

    input_memory_type: MemoryType = "numpy"
    output_memory_type: MemoryType = "numpy"
    returns: Returns = "image"
    dtype: str | None = None
    func: FunctionPattern | None = None

    gpu: int = 0

    @property
    def name(self) -> str:
        """Name of the step."""
        return self.source.model.name

    @property
    def number(self) -> int:
        """Its place in the pipeline."""
        return self.source.number

    @property
    def sources(self) -> set[tuple[int, str | None]]:
        """What it takes of earlier steps: their index, and the name of values, or None for their images."""
        links: set[tuple[int, str | None]] = {
            (link.producer, link.name) for links in self.special_inputs.values() for link in links
        }
        return links if self.input is None else links | {(self.input, None)}

    @property
    def is_linked(self) -> bool:
        """Whether an earlier step was found for all that it names under `input` and `inputs`."""
        asked = self.source.model
        if asked.input not in (None, "raw") and self.input is None:
            return False
        return all(
            len(self.special_inputs.get(parameter, ())) == (1 if isinstance(given, str) else len(given))
            for parameter, given in asked.inputs.items()
        )

    @property
    def name_of_images(self) -> str | None:
        """The name by which later steps can take its images (or labels) as special inputs."""
        return self.source.model.outputs.get("labels" if self.outgoing.kind == "labels" else "image")

    def domain_of(self, name: str | None) -> Domain:
        """Return where its images stand (None), or its values of a name."""
        return self.output_domain if name is None or name == self.name_of_images else self.call_domain

    def dtype_of(self, name: str | None) -> str | None:
        """Return the dtype of its images (None) or labels, where it is known; None for other values of a name."""
        if name is not None and name == self.source.model.outputs.get("labels"):
            return LABEL_DTYPE
        return self.dtype if name is None or name == self.name_of_images else None

    @property
    def stack(self) -> Axis | None:
        """The axis that is stacked."""
        return self.source.model.stack

    @property
    def measures_sites(self) -> bool:
        """Whether it yields a table whose rows are sites."""
        last = next(iter(self.pattern.values()))[-1].entry
        return self.output == "table" and last is not None and last.rows == "sites"

    @property
    def calls(self) -> list[DraftCall]:
        """All calls of the pattern."""
        return [call for chain in self.pattern.values() for call in chain]

    def for_well(self, index: int, plate: str, well: str) -> StepPlan:
        """Return the step plan of one well."""
        table = TableFile(name=self.table, path=f"tables/wells/{well}/{self.table}.parquet") if self.table else None
        store = self.zarr_store.for_well(plate, well) if self.zarr_store else None
        return StepPlan(
            step_index=index,
            step_name=self.name,
            axis_id=well,
            func_name=" > ".join(dict.fromkeys(call.source.call for call in self.calls)),
            input=self.input,
            domain=self.domain,
            output_domain=self.output_domain,
            stack=self.stack,
            group_by=self.source.model.group_by,
            special_inputs=self.special_inputs,
            special_outputs=self.source.model.outputs,
            input_path="" if self.input is None else None,
            output_path=table.path if table else f"{store.path}/{well_path(well)}" if store else None,
            zarr_store=store,
            table=table,
            read_backend=self.read_backend,
            write_backend=self.write_backend,
            keep=self.keep,
            input_memory_type=self.input_memory_type,
            output_memory_type=self.output_memory_type,
            returns=self.returns,
            dtype=self.dtype,
            func=self._func(well),
            gpu=self.gpu,
        )

    def _func(self, well: str) -> FunctionPattern | None:
        """Return the function pattern with the arguments of one well."""
        pattern = self.func
        if pattern is None or not any(
            isinstance(value, PerWell) for call in self.calls for value in call.args.values()
        ):
            return pattern

        def given(chain: Chain, drafts: Sequence[DraftCall]) -> Chain:
            return tuple(
                call.model_copy(update={"args": freeze(draft.args_of(well))})
                for call, draft in zip(chain, drafts, strict=True)
            )

        if pattern.group_by is None:
            return pattern.model_copy(update={"chain": given(pattern.chain, self.pattern[None])})
        routes = {value: given(chain, self.pattern[value]) for value, chain in pattern.routes.items()}
        return pattern.model_copy(update={"routes": freeze(routes)})
