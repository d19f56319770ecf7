"""Tidy: complete the plate's store, remove what no finished well of the plan names."""

from __future__ import annotations

import shutil
from pathlib import Path

from hcs_lib.contexts.context import PLATE
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.files import leftovers
from hcs_lib.screening.wells import WellResult
from hcs_lib.storage.images import label_names, write_labels_group
from hcs_lib.storage.plate import write_plate
from hcs_lib.storage.plate_table import GROUP, remove_tables

_WRITTEN = ("*", "*/*", "*/*/*", "*.zarr/*/*/*/labels")
"""Folders of a plate's results in which files are replaced one by one."""


def tidy(folder: Path, plan: PlatePlan, results: list[WellResult]) -> None:
    """Remove stores, tables and receipts that stand for nothing; write the plate's final metadata.

    What is kept: every output that the receipt of a well names (of a well that failed, those of the stages before),
    and the receipts that wells ended with: of the plan's stages, none after one in which the well failed.
    Only the plate's own results are touched; what is temporary in them, and was left by a process that died, goes too.
    Where no well is done, there is no plate, and the store goes but for what earlier stages left.
    """
    _remove_leftovers(folder)
    named = {output.path for result in results for receipt in result.receipts for output in receipt.outputs}

    reached = {(receipt.stage, receipt.well) for result in results for receipt in result.receipts}
    reached |= {(stage.name, PLATE) for stage in plan.stages if stage.scope == "plate"}
    for path in (folder / "receipts").glob("*/*.json"):
        if (path.parent.name, path.stem) not in reached:
            path.unlink()

    for path in (folder / "receipts").glob("*/contexts/*.json"):
        if (path.parents[1].name, path.stem) not in reached:
            path.unlink()
    batches = {(stage.name, batch) for stage in plan.stages for batch in stage.batches}
    for path in (folder / "receipts").glob("*/batches/*.json"):
        # Left there, it would say that the batch is done should its wells come back.
        if (path.parents[1].name, path.stem) not in batches:
            path.unlink()

    for store in (folder / "work").glob("*/*.zarr"):
        if (store.parent.name, store.stem) not in reached:
            shutil.rmtree(store)
    for part in (folder / "tables" / "wells").glob("*/*.parquet"):
        if part.relative_to(folder).as_posix() not in named:
            part.unlink()
    for empty in (folder / "tables" / "wells").glob("*/"):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()

    if plan.store is None:
        shutil.rmtree(folder / f"{plan.plate}.zarr", ignore_errors=True)
        return
    store = folder / plan.store
    for group in store.glob("*/*/*/"):
        if group.is_dir() and group.relative_to(folder).as_posix() not in named:
            shutil.rmtree(group)
    for labels in store.glob("*/*/*/labels/"):
        names = label_names(labels.parent)
        kept = [name for name in names if (labels / name).relative_to(folder).as_posix() in named]
        for path in labels.glob("*/"):
            if path.name not in kept:
                shutil.rmtree(path)
        if kept != names:
            write_labels_group(labels.parent, kept)
    for parent in (*store.glob("*/*/"), *store.glob("*/")):
        is_table = GROUP in parent.relative_to(store).parts
        if parent.is_dir() and not is_table and not any(child.is_dir() for child in parent.iterdir()):
            shutil.rmtree(parent)
    fields: dict[str, list[str]] = {well: [] for well in plan.imaged}
    for result in results:
        images = [output for receipt in result.receipts for output in receipt.outputs if output.kind == "image"]
        if result.status == "done" and images:
            fields[result.well] = [Path(output.path).name for output in images]
    write_plate(store, plan.plate, fields, plan.ome_zarr)
    if not any(fields.values()):
        remove_tables(store)
        if store.is_dir() and not any(store.iterdir()):
            store.rmdir()


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of writers that died. In `work` there are none, but what is in flight."""
    written = [folder, *(path for pattern in _WRITTEN for path in folder.glob(pattern))]
    work = folder / "work"
    for left in (left for path in written if work not in (path, *path.parents) for left in leftovers(path)):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
