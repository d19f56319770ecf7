"""Tidy: complete the plate's store, remove what no finished well of the plan names."""

from __future__ import annotations

import shutil
from pathlib import Path

from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.screening.wells import WellResult
from hcs_lib.storage.plate import write_plate


def tidy(folder: Path, plan: PlatePlan, results: list[WellResult]) -> None:
    """Remove stores, tables and receipts that stand for nothing; write the plate's final metadata.

    What is kept: every output that the receipt of a done well names, and the receipts of the plan's wells.
    Only the plate's own results are touched.
    """
    outputs = [
        (result.well, output)
        for result in results
        if result.status == "done"
        for receipt in result.receipts
        for output in receipt.outputs
    ]
    named = {output.path for _, output in outputs}

    stages = {stage.name for stage in plan.stages}
    for receipt in (folder / "receipts").glob("*/*.json"):
        if receipt.parent.name not in stages or receipt.stem not in plan.wells:
            receipt.unlink()

    for part in (folder / "tables" / "wells").glob("*/*.parquet"):
        if part.relative_to(folder).as_posix() not in named:
            part.unlink()
    for empty in (folder / "tables" / "wells").glob("*/"):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()

    if plan.store is None:
        return
    store = folder / plan.store
    for group in store.glob("*/*/*/"):
        if group.is_dir() and group.relative_to(folder).as_posix() not in named:
            shutil.rmtree(group)
    for parent in (*store.glob("*/*/"), *store.glob("*/")):
        if parent.is_dir() and not any(child.is_dir() for child in parent.iterdir()):
            shutil.rmtree(parent)
    fields: dict[str, list[str]] = {}
    for well, output in outputs:
        if output.kind == "image":
            fields.setdefault(well, []).append(Path(output.path).name)
    write_plate(store, plan.plate, fields)
