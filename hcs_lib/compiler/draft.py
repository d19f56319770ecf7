"""The draft of a context: what the five phases fill, one after another, until it is frozen.

Wells for which the pipeline resolves alike share one draft; names of wells, paths and planes come in when it is
frozen for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hcs_lib.compiler.functions import FunctionTable
from hcs_lib.compiler.images import ImageType, Shapes
from hcs_lib.compiler.lazy_files import LazyFiles
from hcs_lib.compiler.metadata import PerWell
from hcs_lib.compiler.overrides import ResolvedCall, ResolvedStep
from hcs_lib.compiler.plate import PlateView
from hcs_lib.contexts.context import PLATE, BadPlanes, Engine, FrozenContext, Scope
from hcs_lib.contexts.plans import (
    Backend,
    Chain,
    FunctionPattern,
    FunctionRef,
    LinkedInput,
    Passed,
    StepPlan,
    TableFile,
    ZarrStore,
)
from hcs_lib.core.declare import MemoryType, Returns
from hcs_lib.core.domains import Coordinates, Domain
from hcs_lib.core.errors import Problem
from hcs_lib.core.frozen import Frozen, freeze
from hcs_lib.pipeline.loading import LoadedPipeline
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


@dataclass(frozen=True)
class DraftStage:
    """A stage of the plate: its steps by their places in the pipeline. `gated`: the gate stands after it."""

    name: str
    scope: Scope
    gpu: int
    steps: tuple[int, ...]
    gated: bool = False


@dataclass(frozen=True)
class DraftPassed:
    """What passes from one stage to another, before the well is known; `store` tells whether it is written anyhow."""

    stage: DraftStage
    step_index: int
    step_name: str
    name: str | None
    domain: Domain
    store: DraftStore | None

    def for_well(self, plate: str, axis_id: str) -> Passed:
        """Say whose it is."""
        return Passed(
            stage=self.stage.name,
            axis_id=PLATE if self.stage.scope == "plate" else axis_id,
            step_index=self.step_index,
            step_name=self.step_name,
            name=self.name,
            domain=self.domain,
            store=self.store.for_well(plate, axis_id) if self.store else None,
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
    def name_of_images(self) -> str | None:
        """The name by which later steps can take its images (or labels) as special inputs."""
        return self.source.model.outputs.get("labels" if self.outgoing.kind == "labels" else "image")

    def domain_of(self, name: str | None) -> Domain:
        """Return where its images stand (None), or its values of a name."""
        return self.output_domain if name is None or name == self.name_of_images else self.call_domain

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


class ExecutionSettings(Frozen):
    """What of the configuration reaches execution."""

    engine: Engine
    bad_planes: BadPlanes


@dataclass
class DraftContext:
    """The step plans of the wells that share them, and every problem that the phases find.

    After the phases it is divided: each part has a `stage`, and `takes` and `passes` what goes between it and others.
    """

    plate: PlateView
    pipeline: LoadedPipeline
    functions: FunctionTable
    wells: tuple[str, ...]
    files: LazyFiles
    step_plans: dict[int, DraftStep] = field(default_factory=dict)
    step_state_map: dict[int, Any] = field(default_factory=dict)
    raw_store: DraftStore | None = None
    problems: list[Problem] = field(default_factory=list)
    stage: DraftStage | None = None
    takes: tuple[DraftPassed, ...] = ()
    passes: tuple[DraftPassed, ...] = ()

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
    def image_planes(self) -> frozenset[Coordinates]:
        """The raw planes of a well that the steps read, but for those that only measure image quality."""
        return frozenset(
            at
            for plan in self.step_plans.values()
            if plan.input is None and not plan.measures_sites and plan.source.model.scope == "well"
            for at in plan.domain
        )

    @property
    def image_domain(self) -> Domain:
        """The smallest domain that has all of `image_planes`."""
        read = {axis: {getattr(at, axis) for at in self.image_planes} for axis in ("channel", "z", "t")}
        whole = self.plate.domain
        return whole.replace(
            **{axis: tuple(value for value in whole.values(axis) if value in values) for axis, values in read.items()}
        )

    def freeze(self, settings: ExecutionSettings, digests: Mapping[tuple[str, str], str]) -> Iterator[FrozenContext]:
        """Yield the frozen context of each well (or of the plate) in this stage.

        `digests` has the contexts of earlier stages, by stage and well.
        """
        assert self.stage is not None
        planes = self.raw_planes
        if self.raw_store is not None:
            planes |= frozenset(self.raw_store.domain)
        seen = {name for plan in self.step_plans.values() for name in plan.domain.channel} | {
            at.channel for at in planes
        }
        channels = tuple(name for name in self.plate.channels if name in seen)
        calls = [call for plan in self.step_plans.values() for call in plan.calls if call.entry]
        on_gpu = {call.entry.id for call in calls if call.entry and call.runs_on in GPU_ONLY}
        used = {call.entry.id for call in calls if call.entry}
        functions = tuple(self.functions.reference(function, on_gpu=function in on_gpu) for function in sorted(used))
        for axis_id in self.wells:
            yield self._freeze(axis_id, settings, digests, planes, channels, functions)

    def _freeze(
        self,
        axis_id: str,
        settings: ExecutionSettings,
        digests: Mapping[tuple[str, str], str],
        needed: frozenset[Coordinates],
        channels: tuple[str, ...],
        functions: tuple[FunctionRef, ...],
    ) -> FrozenContext:
        assert self.stage is not None
        index = self.plate.index
        planes, bad = self.plate.planes(axis_id, needed)
        takes = tuple(passed.for_well(index.plate, axis_id) for passed in self.takes)
        return FrozenContext(
            plate=index.plate,
            scope=self.stage.scope,
            axis_id=axis_id,
            stage=self.stage.name,
            engine=settings.engine,
            threads=1,
            bad_planes=settings.bad_planes,
            plane_shape=index.shape,
            plane_dtype=index.dtype,
            metadata=self.plate.metadata(axis_id, channels),
            planes=planes,
            problems=bad,
            functions=functions,
            raw_store=self.raw_store.for_well(index.plate, axis_id) if self.raw_store else None,
            before={passed.stage: digests[passed.stage, passed.axis_id] for passed in takes},
            takes=takes,
            passes=tuple(passed.for_well(index.plate, axis_id) for passed in self.passes),
            step_plans={key: plan.for_well(key, index.plate, axis_id) for key, plan in self.step_plans.items()},
            step_state_map=self.step_state_map,
        )
