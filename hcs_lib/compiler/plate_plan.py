"""The plan of a plate: its stages with their batches, and what its tables, labels and gate will be."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from hcs_lib.compiler.batches import batch_wells
from hcs_lib.compiler.draft import DraftContext, DraftStage, ExecutionSettings
from hcs_lib.compiler.durations import job_minutes
from hcs_lib.compiler.resources import resources_of
from hcs_lib.compiler.tables import object_table, site_table
from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.manifests import Gate, ObjectTable, PlatePlan, SiteTable, Stage
from hcs_lib.pipeline.loading import LoadedPipeline
from hcs_lib.pipeline.settings import PlateSettings, Settings
from hcs_lib.plates.index import PlateIndex


def plan_plate(
    plate: PlateSettings,
    settings: Settings,
    index: PlateIndex,
    pipeline: LoadedPipeline,
    parts: Sequence[DraftContext],
    execution: ExecutionSettings,
) -> PlatePlan:
    """Say what of a plate is executed; `parts` are its drafts, stage by stage, which are frozen with `execution`."""
    stages = list(dict.fromkeys(part.stage for part in parts if part.stage))
    plans = [plan for part in parts for plan in part.step_plans.values()]
    labels = [plan.source.model.outputs["labels"] for plan in plans if plan.output == "labels"]
    written = any(plan.zarr_store for plan in plans)
    sites = _merged_sites(site_table(part) for part in parts)
    concerned = {well for part in parts for well in part.wells}
    return PlatePlan(
        plate=plate.name,
        pipeline=pipeline.model.name,
        raw_folder=str(plate.path),
        wells=tuple(well for well in index.wells if well in concerned),
        other_wells=tuple(well for well in index.wells if well not in concerned),
        stages=tuple(
            _stage(stage, [part for part in parts if part.stage is stage], settings, index, pipeline, execution)
            for stage in stages
        ),
        labels=tuple(dict.fromkeys(labels)),
        table=_merged(object_table(part) for part in parts),
        derived=pipeline.model.derived,
        channel_names=tuple(parts[0].plate.channels),
        platemap=str(plate.platemap) if plate.platemap else None,
        allowed_failures=settings.allowed_failures,
        store=f"{plate.name}.zarr" if written else None,
        ome_zarr=settings.ome_zarr,
        site_table=sites,
        qc_flags=settings.qc_flags.model_dump(exclude_none=True) if sites else {},
        gate=_gate(settings, stages),
        well_minutes=settings.well_minutes,
    )


def _stage(
    stage: DraftStage,
    parts: Sequence[DraftContext],
    settings: Settings,
    index: PlateIndex,
    pipeline: LoadedPipeline,
    execution: ExecutionSettings,
) -> Stage:
    largest = [_largest(part, execution) for part in parts]
    needs = [resources_of(context) for context in largest]
    batches = _batches(stage, {well for part in parts for well in part.wells}, settings, index)
    most = max(map(len, batches.values()))
    return Stage(
        name=stage.name,
        scope=stage.scope,
        gpu=stage.gpu,
        steps=tuple(pipeline.model.steps[number].name for number in stage.steps),
        batches=batches,
        mem_mb=max(need.memory_mb for need in needs),
        gpu_mb=max(need.gpu_mb for need in needs),
        minutes=max(job_minutes(context, len(index.sites), most) for context in largest),
    )


def _batches(
    stage: DraftStage, wells: set[str], settings: Settings, index: PlateIndex
) -> Mapping[str, tuple[str, ...]]:
    if stage.scope == "plate":
        return {"b001": (PLATE,)}
    batches = {
        batch: tuple(well for well in inside if well in wells)
        for batch, inside in batch_wells(index.wells, settings.wells_per_batch).items()
    }
    return {batch: inside for batch, inside in batches.items() if inside}


def _gate(settings: Settings, stages: Iterable[DraftStage]) -> Gate | None:
    if settings.qc_gate is None:
        return None
    flags = tuple(settings.qc_gate.flags or settings.qc_flags.model_dump(exclude_none=True))
    last = next(stage.name for stage in stages if stage.gated)
    return Gate(stage=last, max_flagged=settings.qc_gate.max_flagged, flags=flags)


def _merged_sites(tables: Iterable[SiteTable | None]) -> SiteTable | None:
    """Return one table that has the columns of all."""
    found = [table for table in tables if table is not None]
    if not found:
        return None
    return SiteTable(
        name=found[0].name, columns=tuple(dict.fromkeys(name for table in found for name in table.columns))
    )


def _merged(tables: Iterable[ObjectTable | None]) -> ObjectTable | None:
    """Return one table that has the objects and columns of all."""
    found = [table for table in tables if table is not None]
    if not found:
        return None
    return ObjectTable(
        name=found[0].name,
        primary=found[0].primary,
        objects=tuple(dict.fromkeys(name for table in found for name in table.objects)),
        columns=tuple(dict.fromkeys(name for table in found for name in table.columns)),
    )


def _largest(part: DraftContext, execution: ExecutionSettings) -> FrozenContext:
    """Return the context of the well with the largest images, by which the needs of a job are estimated."""
    stores = [plan.zarr_store for plan in part.step_plans.values() if plan.zarr_store and plan.zarr_store.shapes]
    largest = max(part.wells, key=lambda well: sum(math.prod((store.shapes or {})[well]) for store in stores))
    before = {(passed.stage.name, passed.axis_of(largest)): "" for passed in part.takes}
    (context,) = dataclasses.replace(part, wells=(largest,)).freeze(execution, before)
    return context
