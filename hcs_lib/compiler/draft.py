"""The draft of a context: what the five phases fill, one after another, until it is frozen.

Wells for which the pipeline resolves alike share one draft; names of wells, paths and planes come in when it is
frozen for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from hcs_lib.compiler.functions import FunctionTable
from hcs_lib.compiler.images import ImageType
from hcs_lib.compiler.overrides import ResolvedCall, ResolvedStep
from hcs_lib.compiler.plate import PlateView
from hcs_lib.contexts.context import BadPlanes, Engine, FrozenContext
from hcs_lib.contexts.plans import Backend, FunctionPattern, FunctionRef, LinkedInput, StepPlan, TableFile, ZarrStore
from hcs_lib.core.declare import MemoryType, Returns
from hcs_lib.core.domains import Coordinates, Domain
from hcs_lib.core.errors import Problem
from hcs_lib.core.frozen import Frozen
from hcs_lib.pipeline.loading import LoadedPipeline
from hcs_lib.pipeline.models import Axis
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.storage.metadata import well_path
from hcs_lib.storage.spec import ArraySpec

Output = Literal["image", "labels", "table"]


@dataclass
class DraftCall:
    """A function call whose arguments the phases complete. `entry` is None where there is no such function."""

    source: ResolvedCall
    entry: FunctionEntry | None
    args: dict[str, Any]
    special_inputs: dict[str, str | tuple[str, ...]] = field(default_factory=dict)


DraftPattern = dict[str | None, list[DraftCall]]
"""The chain of each value of `group_by`; of None where the pattern is no routing table."""


@dataclass(frozen=True)
class DraftStore:
    """A `ZarrStore` before the well is known."""

    label: str | None
    sites: tuple[int | None, ...]
    array: ArraySpec

    def for_well(self, plate: str, well: str) -> ZarrStore:
        """Name the groups of one well."""
        folder = well_path(well)
        names = ["all" if site is None else str(site) for site in self.sites]
        return ZarrStore(
            path=f"{plate}.zarr",
            groups={name: f"{folder}/{name}" for name in names},
            label=self.label,
            array=self.array,
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
            func=self.func,
            gpu=self.gpu,
        )


class ExecutionSettings(Frozen):
    """What of the configuration reaches execution."""

    engine: Engine
    bad_planes: BadPlanes
    stage: str


@dataclass
class DraftContext:
    """The step plans of the wells that share them in one stage, and every problem that the phases find."""

    plate: PlateView
    pipeline: LoadedPipeline
    functions: FunctionTable
    wells: tuple[str, ...]
    step_plans: dict[int, DraftStep] = field(default_factory=dict)
    step_state_map: dict[int, Any] = field(default_factory=dict)
    raw_store: DraftStore | None = None
    problems: list[Problem] = field(default_factory=list)
    stage: int = 1

    def problem(self, step: ResolvedStep, place: tuple[str | int, ...], message: str, hint: str = "") -> None:
        """Note a problem of a step; `place` is where it stands: a key of the step, or a location in the pipeline."""
        location = place if place[:1] in (("steps",), ("overrides",)) else (*step.location, *place)
        where = self.pipeline.where(*location)
        self.problems.append(Problem(where, f"Step '{step.model.name}': {message}", hint))

    @property
    def raw_planes(self) -> frozenset[Coordinates]:
        """The raw planes that the steps read."""
        return frozenset(at for plan in self.step_plans.values() if plan.input is None for at in plan.domain)

    @property
    def raw_domain(self) -> Domain:
        """The smallest domain that has all of the raw planes that the steps read."""
        read = {axis: {getattr(at, axis) for at in self.raw_planes} for axis in ("channel", "z", "t")}
        whole = self.plate.domain
        return whole.replace(
            **{axis: tuple(value for value in whole.values(axis) if value in values) for axis, values in read.items()}
        )

    def freeze(self, settings: ExecutionSettings) -> Iterator[FrozenContext]:
        """Yield the frozen context of each well."""
        needed = self.raw_planes
        channels = tuple(str(channel) for channel in self.raw_domain.channel)
        used = {call.source.call for plan in self.step_plans.values() for call in plan.calls}
        functions = tuple(self.functions.reference(function) for function in sorted(used))
        for well in self.wells:
            yield self._freeze(well, settings, needed, channels, functions)

    def _freeze(
        self,
        well: str,
        settings: ExecutionSettings,
        needed: frozenset[Coordinates],
        channels: tuple[str, ...],
        functions: tuple[FunctionRef, ...],
    ) -> FrozenContext:
        index = self.plate.index
        planes, bad = self.plate.planes(well, needed)
        return FrozenContext(
            plate=index.plate,
            axis_id=well,
            stage=settings.stage,
            engine=settings.engine,
            threads=1,
            bad_planes=settings.bad_planes,
            plane_shape=index.shape,
            plane_dtype=index.dtype,
            metadata=self.plate.metadata(well, channels),
            planes=planes,
            problems=bad,
            functions=functions,
            raw_store=self.raw_store.for_well(index.plate, well) if self.raw_store else None,
            step_plans={key: plan.for_well(key, index.plate, well) for key, plan in self.step_plans.items()},
            step_state_map=self.step_state_map,
        )
