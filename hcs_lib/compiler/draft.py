"""The draft of a context: what the five phases fill, one after another, until it is frozen.

Wells for which the pipeline resolves alike share one draft; names of wells, paths and planes come in when it is
frozen for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hcs_lib.compiler.draft_step import GPU_ONLY, DraftStep, DraftStore
from hcs_lib.compiler.functions import FunctionTable
from hcs_lib.compiler.lazy_files import LazyFiles
from hcs_lib.compiler.overrides import ResolvedStep
from hcs_lib.compiler.plate import PlateView
from hcs_lib.contexts.context import PLATE, BadPlanes, Engine, FrozenContext, Scope
from hcs_lib.contexts.engine import engine_that_reads
from hcs_lib.contexts.plans import FunctionRef, Passed, RawStore
from hcs_lib.core.domains import Coordinates, Domain
from hcs_lib.core.errors import Problem
from hcs_lib.core.frozen import Frozen
from hcs_lib.pipeline.loading import LoadedPipeline
from hcs_lib.storage.spec import OmeZarr


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
    dtype: str | None

    def axis_of(self, axis_id: str) -> str:
        """Return whose it is that goes to a well: its own, or the plate's."""
        return PLATE if self.stage.scope == "plate" else axis_id

    def for_well(self, plate: str, axis_id: str) -> Passed:
        """Say whose it is."""
        return Passed(
            stage=self.stage.name,
            axis_id=self.axis_of(axis_id),
            step_index=self.step_index,
            step_name=self.step_name,
            name=self.name,
            domain=self.domain,
            store=self.store.for_well(plate, axis_id) if self.store else None,
            dtype=self.dtype,
        )


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
    ome_zarr: OmeZarr = "0.5"
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
            engine=engine_that_reads(settings.engine, (plane.file for plane in planes)),
            threads=1,
            bad_planes=settings.bad_planes,
            plane_shape=index.shape,
            plane_dtype=index.dtype,
            metadata=self.plate.metadata(axis_id, channels),
            planes=planes,
            problems=bad,
            functions=functions,
            raw_store=self._raw_store(axis_id),
            before={passed.stage: digests[passed.stage, passed.axis_id] for passed in takes},
            takes=takes,
            passes=tuple(passed.for_well(index.plate, axis_id) for passed in self.passes),
            step_plans={key: plan.for_well(key, index.plate, axis_id) for key, plan in self.step_plans.items()},
            step_state_map=self.step_state_map,
        )

    def _raw_store(self, axis_id: str) -> RawStore | None:
        if self.raw_store is None:
            return None
        store = self.raw_store.for_well(self.plate.index.plate, axis_id)
        return RawStore(**dict(store), domain=self.raw_store.domain)
