"""Writing what was compiled: contexts, manifests, the plate's store and, last, the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hcs_lib.compiler.draft import DraftContext, ExecutionSettings
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.manifests import Manifest, PlatePlan
from hcs_lib.storage.plate import write_plate


def write_plate_plan(
    folder: Path, plan: PlatePlan, parts: Sequence[DraftContext], execution: ExecutionSettings
) -> None:
    """Freeze the drafts of a plate, and write everything. Files that hold the same already are left alone.

    Parameters
    ----------
    folder
        The plate's results, `results/{plate}`.
    plan
        Written last: where it stands, the rest is there. What it does not name is removed.
    parts, execution
        The drafts, stage by stage, and what they are frozen with.
    """
    written = set()
    digests: dict[tuple[str, str], str] = {}
    fields: dict[str, list[str]] = {}
    parts[0].files.write(folder)
    for part in parts:
        for context in part.freeze(execution, digests):
            path = folder / "contexts" / context.stage / f"{context.axis_id}.json"
            digests[context.stage, context.axis_id] = context.save(path)
            written.add(path)
            fields.setdefault(context.axis_id, []).extend(_fields(context))
    for number, stage in enumerate(plan.stages):
        before = plan.stages[:number]
        for batch, wells in stage.batches.items():
            path = folder / "manifests" / stage.name / f"{batch}.json"
            Manifest(
                plate=plan.plate,
                stage=stage.name,
                batch=batch,
                wells={well: digests[stage.name, well] for well in wells},
                after={earlier.name: earlier.scope for earlier in before},
                gated=plan.gate is not None and any(earlier.name == plan.gate.stage for earlier in before),
            ).save(path)
            written.add(path)
    for name in ("contexts", "manifests"):
        for path in (folder / name).glob("*/*.json"):
            if path not in written:
                path.unlink()
        for stage_folder in (folder / name).iterdir():
            if stage_folder.is_dir() and not any(stage_folder.iterdir()):
                stage_folder.rmdir()
    if plan.store is not None:
        fields_of = {well: fields.get(well, []) for well in plan.imaged}
        write_plate(folder / plan.store, plan.plate, fields_of, plan.ome_zarr)
    plan.save(folder / "plan.json")


def _fields(context: FrozenContext) -> list[str]:
    """Return the fields of the well's images: the last part of each group."""
    stores = [plan.zarr_store for plan in context.step_plans.values() if plan.zarr_store]
    stores += [context.raw_store] if context.raw_store else []
    return list(dict.fromkeys(group.rpartition("/")[2] for store in stores for group in store.groups.values()))
