"""What made the results, as data: software, engine, functions, contexts, machines, and the digests of the tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hcs_lib import __version__
from hcs_lib.contexts.engine import current_engine
from hcs_lib.core.canonical import canonical_json, digest_file
from hcs_lib.core.frozen import thaw
from hcs_lib.provenance.citations import LIBRARIES
from hcs_lib.provenance.runs import PlateRun

TABLES = ("objects.parquet", "sites.parquet", "wells.csv", "failures.csv")
"""The tables of every plate that was collected."""

STATISTICS = ("assay_quality.csv", "dose_response.csv", "normalised.csv", "hits.csv")
"""The tables that are computed from those."""

VERSIONS = "provenance/versions.json"
"""Where `versions_of` is written, relative to the plate's results."""


def versions_of(run: PlateRun, snakemake: str | None = None) -> dict[str, Any]:
    """Return what made the results of a plate, from receipts and the contexts they stand for.

    Numbers called `wells` say of how many wells, of those executed, something is true.

    Parameters
    ----------
    run
        What was executed.
    snakemake
        Version of the Snakemake that ran the workflow, where one did.
    """
    contexts = [context for well in run.executed for context in (*well.shared, *well.contexts)]
    receipts = [receipt for well in run.executed for receipt in well.receipts]
    shared = run.executed[0].shared
    functions: dict[bytes, dict[str, Any]] = {}
    for context in contexts:
        for function in context.functions:
            value = function.model_dump(mode="json")
            functions.setdefault(canonical_json(value), value | {"wells": 0})["wells"] += 1
    tables = [run.folder / "tables" / name for name in (*TABLES, *STATISTICS)]
    return {
        "schema_version": 1,
        "plate": run.plan.plate,
        "pipeline": run.plan.pipeline,
        "wells": {"planned": len(run.wells), "executed": len(run.executed), "done": len(run.done)},
        "workflow": {"name": "hcs-workflow", "version": workflow_version(run), "snakemake": snakemake},
        "engine": _tally(context.engine.digest for context in contexts),
        "software": software_of(run),
        "devices": [
            {"device": device, "receipts": [thaw(receipt.device) for receipt in receipts].count(device)}
            for device in _distinct(thaw(receipt.device) for receipt in receipts)
        ],
        "functions": [functions[key] for key in sorted(functions)],
        "contexts": {
            stage.name: {
                receipt.well: receipt.context_digest for receipt in receipts if receipt.stage == stage.name
            } | {context.axis_id: context.digest for context in shared if context.stage == stage.name}
            for stage in run.plan.stages
        },
        "tables": {
            path.relative_to(run.folder).as_posix(): {"sha256": digest_file(path), "bytes": path.stat().st_size}
            for path in tables
            if path.is_file()
        },
    }  # fmt: skip


def workflow_version(run: PlateRun) -> str | None:
    """Return our version, where the engine installed is the one that executed every well."""
    engines = {context.engine.digest for well in run.executed for context in well.contexts}
    return __version__ if engines == {current_engine().digest} else None


def software_of(run: PlateRun) -> dict[str, dict[str, int]]:
    """Return distributions with their versions, each with the number of wells it was used for."""
    used: dict[str, dict[str, set[str]]] = {}
    for well in run.executed:
        for context, receipt in zip(well.contexts, well.receipts, strict=True):
            found = {"python": str(receipt.versions.get("python", "unknown")), **context.engine.versions}
            for function in context.functions:
                found |= function.dependencies
                if function.library != "hcs":
                    found[LIBRARIES.get(function.library, function.library)] = function.version
            for name, version in found.items():
                used.setdefault(name, {}).setdefault(version, set()).add(well.well)
    return {
        name: {version: len(wells) for version, wells in sorted(versions.items())}
        for name, versions in sorted(used.items())
    }


def _tally(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items()))


def _distinct(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {canonical_json(value): value for value in values}
    return [found[key] for key in sorted(found)]
