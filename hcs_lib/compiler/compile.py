"""Compile a plate: from what the user asked for to one frozen context for each well.

The five phases run in this order, each in a module of its own:

1. `step_plans`       plans, inputs, named values, metadata
2. `zarr_stores`      what will be written
3. `materialization`  where each step reads from and writes to
4. `contracts`        functions, arguments, what flows between them
5. `gpu`              what a job needs

The last act of the fifth, `stages`, divides the steps into those that run in one process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from hcs_lib.compiler.contracts import validate_memory_contracts_for_context
from hcs_lib.compiler.draft import DraftContext, ExecutionSettings
from hcs_lib.compiler.functions import FunctionTable, Registry
from hcs_lib.compiler.gpu import assign_gpu_resources_for_context
from hcs_lib.compiler.lazy_files import LazyFiles
from hcs_lib.compiler.materialization import check_steps_of_the_plate, plan_materialization_flags_for_context
from hcs_lib.compiler.overrides import check_plates, group_wells, resolve_steps
from hcs_lib.compiler.plate import PlateView, group_by_extent, name_channels
from hcs_lib.compiler.plate_plan import plan_plate
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.compiler.step_plans import initialize_step_plans_for_context
from hcs_lib.compiler.tables import check_derived, check_screen, object_table, site_table
from hcs_lib.compiler.writing import write_plate_plan
from hcs_lib.compiler.zarr_stores import declare_zarr_stores_for_context
from hcs_lib.contexts.engine import current_engine
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.pipeline.loading import LoadedPipeline, load_pipeline
from hcs_lib.pipeline.settings import PlateSettings, Settings
from hcs_lib.plates.index import Extent, PlateIndex
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.platemap import read_platemap


def compile_plate(
    plate: PlateSettings, settings: Settings, results: Path, *, check: bool = False, registry: Path | None = None
) -> PlatePlan:
    """Compile one plate and write its contexts, manifests and plan; `check` only looks for errors.

    Parameters
    ----------
    plate, settings
        From `load_settings`.
    results
        The folder of results; `results/{plate}/index.json` must be there, but for a check: then the plate is indexed
        in memory.
    check
        Write nothing.
    registry
        The folder of the registry's files; by default `results/registry`.

    Raises
    ------
    UserError
        With every problem of every well.
    """
    path = results / plate.name / "index.json"
    index = index_anew(plate, settings) if check and not path.exists() else _load_index(path, plate.name)
    plan, parts = draft_plate(plate, settings, index, registry or results / "registry")
    if not check:
        write_plate_plan(results / plate.name, plan, parts, execution_settings(settings))
    return plan


def draft_plate(
    plate: PlateSettings, settings: Settings, index: PlateIndex, registry: Path
) -> tuple[PlatePlan, list[DraftContext]]:
    """Compile one plate in memory; return its plan, and the drafts of its contexts stage by stage.

    Raises
    ------
    UserError
        With every problem of every well.
    """
    from hcs_lib.registry.libraries import get_library
    from hcs_lib.registry.service import RegistryService

    for module in settings.registry.modules:
        get_library(module).get_library_object()
    pipeline = load_pipeline(plate.pipeline)
    service = RegistryService(registry)
    drafts, problems = draft_contexts(plate, settings, index, pipeline, service)
    if plate.platemap is not None:
        try:
            platemap = read_platemap(plate.platemap)
            problems += [
                Problem(pipeline.where("derived", name), f"Derived feature '{name}' is a column of the platemap.")
                for name in pipeline.model.derived
                if name in platemap.columns
            ]
            platemap.check(index.wells, plate.name)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    parts = divide_into_stages(drafts, gated=settings.qc_gate is not None)
    return plan_plate(plate, settings, index, pipeline, parts, execution_settings(settings)), parts


def execution_settings(settings: Settings) -> ExecutionSettings:
    """Return what contexts are frozen with."""
    return ExecutionSettings(engine=current_engine(), bad_planes=settings.bad_planes)


def index_anew(plate: PlateSettings, settings: Settings) -> PlateIndex:
    """Index the raw plate as the workflow does, in memory."""
    return index_plate(
        plate.path,
        plate=plate.name,
        format=plate.format,
        pattern=plate.pattern,
        fingerprint=settings.fingerprint,
        pixel_size_um=plate.pixel_size_um,
    )


def _load_index(path: Path, plate: str) -> PlateIndex:
    try:
        index = PlateIndex.load(path)
    except ValidationError as error:
        first = str(error).splitlines()[0]
        raise UserError(Problem(str(path), f"This is no plate index: {first}.", "Run `hcs index` again.")) from None
    if index.plate != plate:
        raise UserError(Problem(str(path), f"This is the index of plate '{index.plate}', not of '{plate}'.",
                                f"Run `hcs index` with `--plate {plate}`."))  # fmt: skip
    return index


def draft_contexts(
    plate: PlateSettings, settings: Settings, index: PlateIndex, pipeline: LoadedPipeline, registry: Registry
) -> tuple[list[DraftContext], list[Problem]]:
    """Run the five phases for every well; wells of one extent for which the pipeline resolves alike share a draft.

    Wells that no step is for have none.
    """
    channels, problems = name_channels(pipeline, index)
    if not index.wells or problems:
        return [], problems or [Problem(f"plate {plate.name}", "The plate has no wells.", "Index it again.")]
    view = PlateView(index, channels, Extent(index.sites, index.t), plate.pixel_size_um or index.pixel_size_um)
    functions, files = FunctionTable(registry), LazyFiles(pipeline.folder)
    names = [other.name for other in settings.plates]
    problems += check_plates(pipeline, names)
    groups, wrong = group_wells(pipeline, plate.name, index.wells)
    problems += wrong
    drafts = []
    resolved = {choices: resolve_steps(pipeline, choices) for choices in groups}
    numbers = sorted({step.number for steps in resolved.values() for step in steps})
    indices = {number: index for index, number in enumerate(numbers)}
    alike = (
        (resolved[choices], extent, wells)
        for choices, inside in groups.items()
        for extent, wells in group_by_extent(index, inside).items()
    )
    for steps, extent, wells in alike:
        if not steps:
            continue
        draft = DraftContext(replace(view, extent=extent), pipeline, functions, wells, files, settings.ome_zarr)
        initialize_step_plans_for_context(draft, steps, indices)
        declare_zarr_stores_for_context(draft)
        plan_materialization_flags_for_context(draft)
        validate_memory_contracts_for_context(draft)
        assign_gpu_resources_for_context(draft, settings.device, settings.gpus)
        drafts.append(draft)
    check_steps_of_the_plate(drafts)
    if not drafts:
        return [], [
            *problems,
            Problem(
                pipeline.where("steps"),
                f"No step is for any well of plate '{plate.name}'.",
                "See `wells` and `enabled` of the steps.",
            ),
        ]
    if not any(draft.problems for draft in drafts):
        tables = [object_table(draft) for draft in drafts]
        problems += check_derived(pipeline, tables)
        problems += check_screen(settings.screen.named_features(), plate.name, drafts, tables, pipeline.model.derived)
        if settings.qc_gate is not None and not any(site_table(draft) for draft in drafts):
            problems.append(
                Problem(
                    pipeline.where("steps"),
                    "The configuration has a qc_gate, and no step measures image quality.",
                    "Add one: {name: quality, input: raw, stack: channel, func: hcs.measure_image_quality, "
                    "outputs: {table: image_quality}}.",
                )
            )
    return drafts, problems + _counted(drafts, sum(len(draft.wells) for draft in drafts))


def _counted(drafts: Iterable[DraftContext], total: int) -> list[Problem]:
    """Return each problem once; where not all wells have it, with those that do."""
    wells: dict[Problem, list[str]] = {}
    for draft in drafts:
        for problem in dict.fromkeys(draft.problems):
            wells.setdefault(problem, []).extend(draft.wells)
    return [
        problem
        if len(found) == total
        else Problem(
            problem.where, f"{problem.message.removesuffix('.')} ({_some(found)} of {total} wells).", problem.hint
        )
        for problem, found in wells.items()
    ]


def _some(wells: Sequence[str]) -> str:
    shown = ", ".join(wells[:3])
    return f"{shown}, …: {len(wells)}" if len(wells) > 3 else f"{shown}: {len(wells)}"
