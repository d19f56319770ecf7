"""Cleaning: what makes the next run do things again, and what only takes space."""

from __future__ import annotations

import shutil
from collections.abc import Container
from pathlib import Path

from hcs_lib.contexts.context import PLATE
from hcs_lib.contexts.receipts import Receipt


def forget(
    results: Path,
    *,
    stages: Container[str] | None = None,
    wells: Container[str] | None = None,
    only_failed: bool = False,
) -> list[str]:
    """Remove the receipts of wells, and of their batches: the next run executes them again.

    Parameters
    ----------
    results
        The results of one plate.
    stages
        Names of stages; None: all.
    wells
        Names of wells, `plate` for what is of the plate; None: all.
    only_failed
        Only of wells that failed.

    Returns
    -------
        `stage/well` of each receipt that was removed.
    """
    forgotten = []
    for path in sorted((results / "receipts").glob("*/*.json")):
        stage = path.parent.name
        if (stages is not None and stage not in stages) or (wells is not None and path.stem not in wells):
            continue
        receipt = Receipt.load(path)
        if only_failed and receipt is not None and receipt.status == "done":
            continue
        path.unlink()
        forgotten.append(f"{stage}/{path.stem}")
    for stage in {name.partition("/")[0] for name in forgotten}:
        # Which wells a batch has is the plan's to say; without its receipt it is looked at again, well by well.
        shutil.rmtree(results / "receipts" / stage / "batches", ignore_errors=True)
    return forgotten


def remove_work(results: Path) -> int:
    """Remove what wells passed from stage to stage; return the bytes. What the plate passed is small, and stays.

    It is made again where a later stage needs it.
    """
    size = 0
    for store in (results / "work").glob("*/*.zarr"):
        if store.stem != PLATE:
            size += sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
            shutil.rmtree(store)
    return size
