"""The object table of a plate: one row per object, the parts of all wells with derived features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.contexts.columns import METADATA, SITE, is_feature
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.screening.derived import evaluate_derived
from hcs_lib.screening.wells import WellResult
from hcs_lib.storage.collected import parquet_writer
from hcs_lib.storage.metadata import version_of
from hcs_lib.storage.plate_table import REGION, PlateTable, remove_tables
from hcs_lib.storage.tables import read_numbers, read_schema, read_table

if TYPE_CHECKING:
    import pyarrow as pa


OBJECTS = "tables/objects.parquet"
"""In a plate's results."""


def write_objects(
    folder: Path, plan: PlatePlan, results: Sequence[WellResult]
) -> tuple[dict[str, dict[str, float]], int]:
    """Write `tables/objects.parquet`, well by well, so that a plate never needs to be in memory.

    The table is always there, with the columns that the plan names, also where no well is done. A column that
    the pipeline of a well does not make is NaN there. Where objects lie on a label image, `REGION` says on which.

    Returns
    -------
    medians, rows
        The median of each feature by well, over objects where it is a finite number; and the number of objects.
    """
    parts = {
        result.well: (folder / output.path, _regions(plan, result))
        for result in results
        if result.status == "done"
        for receipt in result.receipts
        for output in receipt.outputs
        if plan.table is not None and output.kind == "table" and output.name == plan.table.name
    }
    schema = _schema(plan, (path for path, _ in parts.values()))
    medians: dict[str, dict[str, float]] = {}
    rows = 0
    complete = _with_derived(schema.empty_table(), plan.derived).schema
    with parquet_writer(folder / OBJECTS, complete) as writer:
        for well, (path, regions) in parts.items():
            table = _with_derived(_conform(_with_regions(read_table(path), regions), schema), plan.derived)
            writer.write_table(table)
            medians[well] = _medians(table)
            rows += table.num_rows
    return medians, rows


def _schema(plan: PlatePlan, parts: Iterable[Path]) -> pa.Schema:
    """Return metadata first, then features in the order of the plan; types as the parts have them.

    A column that some part lacks is float64: it needs NaN.
    """
    import pyarrow as pa

    own = pa.schema([(f"{METADATA}Plate", pa.string()), (f"{METADATA}Well", pa.string())])
    schemas = [read_schema(path) for path in parts]
    found = pa.unify_schemas([own, *schemas], promote_options="permissive")
    if plan.store is not None and plan.table is not None and plan.table.primary in plan.labels:
        found = found.append(pa.field(REGION, pa.string()))
    metadata = [name for name in found.names if name.startswith(METADATA)]
    features = dict.fromkeys((*(plan.table.columns if plan.table else ()), *_features(found)))
    everywhere = set(found.names).intersection(*(schema.names for schema in schemas))
    typed = [(name, found.field(name).type if name in everywhere else pa.float64()) for name in features]
    return pa.schema([*(found.field(name) for name in metadata), *(pa.field(*pair) for pair in typed)])


def link_objects(folder: Path, plan: PlatePlan) -> None:
    """Put the table that `write_objects` wrote into the plate's store, where there is one, with a well."""
    if plan.store is None or version_of(folder / plan.store) is None:
        return
    store, objects = folder / plan.store, folder / OBJECTS
    if plan.table is None:
        remove_tables(store)
    else:
        PlateTable(plan.table.name, tuple(read_schema(objects).names), plan.ome_zarr).link(store, objects)


def _regions(plan: PlatePlan, result: WellResult) -> dict[str, str]:
    """Return the label images of the primary object in a well, by the group of their site: `1`, or `all`."""
    if plan.table is None:
        return {}
    paths = [
        Path(output.path)
        for receipt in result.receipts
        for output in receipt.outputs
        if output.kind == "labels" and output.name == plan.table.primary
    ]
    return {path.parents[1].name: path.relative_to(path.parents[4]).as_posix() for path in paths}


def _with_regions(table: pa.Table, regions: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa

    sites = table.column(SITE).to_pylist() if SITE in table.column_names else [*regions][:1] * table.num_rows
    return table.append_column(REGION, pa.array([regions.get(str(site)) for site in sites], pa.string()))


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    present = set(table.column_names)
    for field in schema:
        if field.name not in present:
            # Metadata (`Metadata_Z` where planes of some wells only were stacked) are not numbers to count with.
            no_value = pa.nulls(table.num_rows) if field.name.startswith(METADATA) else np.full(table.num_rows, np.nan)
            table = table.append_column(field.name, [no_value])
    return table.select(schema.names).cast(schema)


def _with_derived(table: pa.Table, derived: Mapping[str, str]) -> pa.Table:
    if not derived:
        return table
    columns = {name: table.column(name).to_numpy() for name in _features(table.schema)}
    for name, values in evaluate_derived(derived, columns).items():
        table = table.append_column(name, [values])
    return table


def _features(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if not name.startswith(METADATA)]


def _medians(table: pa.Table) -> dict[str, float]:
    import numpy as np

    medians = {}
    for name in filter(is_feature, table.column_names):
        values = read_numbers(table.column(name))
        values = values[np.isfinite(values)]
        medians[name] = float(np.median(values)) if values.size else float("nan")
    return medians
