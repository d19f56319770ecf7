"""Verify: whether results are still what their receipts say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.canonical import digest_file
from hcs_lib.core.errors import DataError, UserError
from hcs_lib.core.files import read_json
from hcs_lib.provenance.differences import Difference, Kind, Tell
from hcs_lib.provenance.outputs import check_outputs
from hcs_lib.provenance.records import Records, check_records
from hcs_lib.provenance.versions import TABLES, VERSIONS
from hcs_lib.storage.metadata import well_path
from hcs_lib.storage.plate import plate_files
from hcs_lib.storage.plate_table import GROUP, PlateTable
from hcs_lib.storage.tables import read_schema

Advance = Callable[[int, int], None]
"""Told after each receipt: how many are done, of how many."""


@dataclass
class Verified:
    """What was read of one plate, and the number of differences that were told."""

    plate: str
    wells: int = 0
    outputs: int = 0
    files: int = 0
    bytes: int = 0
    planes: int = 0
    differences: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def verify_plate(folder: Path, tell: Tell, *, raw: bool = False, advance: Advance | None = None) -> Verified:
    """Hold the results of one plate against its receipts; nothing is written.

    Parameters
    ----------
    folder
        `results/{plate}`.
    tell
        Told of each difference, well by well.
    raw
        Also read the raw planes, and compare the hashes of their pixels.
    advance
        Told of progress.
    """
    verified = Verified(folder.resolve().name)

    def count(difference: Difference) -> None:
        verified.differences += 1
        tell(difference)

    records = check_records(folder, count)
    if records is None:
        return verified
    verified.wells = len(records.plan.wells)
    receipts = list(records.receipts.values())
    owners = {output.digest: output.path for receipt in receipts for output in receipt.outputs}
    # Hashing and reading leave the interpreter to the other threads.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        checks = pool.map(lambda receipt: check_outputs(folder, receipt, owners), receipts)
        for number, checked in enumerate(checks, 1):
            verified.outputs += checked.outputs
            verified.files += checked.files
            verified.bytes += checked.bytes
            for difference in checked.differences:
                count(difference)
            if advance:
                advance(number, len(receipts))
        if raw:
            for planes, differences in pool.map(lambda receipt: _check_raw(records, receipt), receipts):
                verified.planes += planes
                for difference in differences:
                    count(difference)
    for difference in (*_check_store(folder, records), *_check_tables(folder, records)):
        count(difference)
    return verified


def _check_raw(records: Records, receipt: Receipt) -> tuple[int, list[Difference]]:
    """Read the planes that a receipt names, and hash their pixels as execution did."""
    import numpy as np

    from hcs_lib.plates.reading import read_plane

    found = []
    folder = Path(records.plan.raw_folder)
    for plane, expected in receipt.planes.items():
        file, _, page = plane.rpartition("#")
        try:
            pixels = read_plane(folder, file, int(page))
        except DataError as error:
            kind: Kind = "damaged" if (folder / file).exists() else "missing"
            found.append(Difference(receipt.plate, receipt.well, kind, f"raw/{plane}", str(error)))
            continue
        if hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest() != expected:
            found.append(
                Difference(receipt.plate, receipt.well, "changed", f"raw/{plane}", "other pixels than were read.")
            )
    return len(receipt.planes), found


def _check_store(folder: Path, records: Records) -> Iterator[Difference]:
    """Compare the metadata of plate and wells; find what lies beside the outputs and belongs to nothing."""
    plan = records.plan
    named = {output.path for receipt in records.receipts.values() for output in receipt.outputs}
    parts = sorted((folder / "tables" / "wells").rglob("*")) if (folder / "tables" / "wells").is_dir() else []
    for part in parts:
        path = part.relative_to(folder).as_posix()
        if part.is_file() and path not in named and part.parent.name not in records.unknown:
            yield Difference(plan.plate, part.parent.name, "extra", path, "no receipt names this table.")
    if plan.store is None or records.held:  # until a plate is collected, its store is of the wells planned
        return
    store = folder / plan.store
    failed = {receipt.well for receipt in records.receipts.values() if receipt.status == "failed"}
    images = [(receipt.well, output.path) for receipt in records.receipts.values() for output in receipt.outputs
              if output.kind == "image" and receipt.well not in failed]  # fmt: skip
    fields: dict[str, list[str]] = {well: [] for well in plan.imaged}
    for well, path in images:
        fields.setdefault(well, []).append(Path(path).name)
    unknown = {well_path(well): well for well in records.unknown}
    for path, well in unknown.items():
        if (store / path).is_dir():
            fields[well] = sorted((group.name for group in (store / path).iterdir() if group.is_dir()), key=_natural)
    metadata = plate_files(plan.plate, fields, plan.ome_zarr)
    objects = folder / "tables" / "objects.parquet"
    table = _plate_table(records, objects) if metadata else None
    metadata |= table.files() if table else {}
    wells = {well_path(well): well for well in plan.wells}
    for name, content in sorted(metadata.items()):
        file, well = store / name, wells.get(name.rpartition("/")[0], "")
        where = f"{plan.store}/{name}"
        if not file.is_file():
            yield Difference(plan.plate, well, "missing", where, "metadata of the plate's store.")
        elif file.read_bytes() != content:
            yield Difference(plan.plate, well, "changed", where, "metadata of other wells or sites than were done.")
    if table is not None and not table.holds(store, objects):
        kind: Kind = "changed" if (store / table.path).is_file() else "missing"
        yield Difference(plan.plate, "", kind, f"{plan.store}/{table.path}", "it is not the table of objects.")
    # A table that cannot be read is told elsewhere: there is nothing to hold that of the store against.
    ours = set(metadata) | ({table.path} if table else {GROUP} if plan.table and metadata else set())
    yield from _check_beside(store, plan.plate, plan.store, named, ours, unknown)


def _plate_table(records: Records, objects: Path) -> PlateTable | None:
    """Return the table of objects that belongs in the store; None where there is none, or it cannot be read."""
    plan = records.plan
    try:
        columns = tuple(read_schema(objects).names)
    except (OSError, ValueError):
        return None
    return PlateTable(plan.table.name, columns, plan.ome_zarr) if plan.table else None


def _check_beside(
    store: Path, plate: str, name: str, named: set[str], metadata: set[str], unknown: dict[str, str]
) -> Iterator[Difference]:
    """Walk the store down to the outputs, which were read already."""
    waiting = [store] if store.is_dir() else []
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            path = entry.relative_to(store).as_posix()
            if f"{name}/{path}" in named or path in unknown or path in metadata:
                continue
            leads_on = any(other.startswith(f"{name}/{path}/") for other in named) or any(
                other.startswith(f"{path}/") for other in (*unknown, *metadata)
            )
            if entry.is_dir() and leads_on:
                waiting.append(entry)
            else:
                yield Difference(plate, "", "extra", f"{name}/{path}", "no receipt names it.")


def _check_tables(folder: Path, records: Records) -> Iterator[Difference]:
    """Compare the plate's tables with their digests, where `hcs provenance` took them."""
    plate = records.plan.plate
    recorded: dict[str, Any] = {}
    try:
        recorded = read_json(folder / VERSIONS, "Versions")
        digests = dict(recorded["tables"])
        contexts = recorded["contexts"]
    except UserError as error:
        if (folder / VERSIONS).exists():
            yield Difference(plate, "", "damaged", VERSIONS, error.problems[0].message)
        digests, contexts = {}, None
    except (KeyError, TypeError, ValueError):
        yield Difference(plate, "", "damaged", VERSIONS, "this is no record of versions.")
        digests, contexts = {}, None
    collected = () if records.held else tuple(f"tables/{table}" for table in TABLES)
    for name in dict.fromkeys((*collected, *digests)):
        file = folder / name
        if not file.is_file():
            yield Difference(plate, "", "missing", name, "the table is not there.")
        elif name in digests and digest_file(file) != digests[name]["sha256"]:
            yield Difference(plate, "", "changed", name, "other bytes than when its provenance was written.")
    if contexts is None:
        return
    now = {
        (stage, well): receipt.context_digest
        for (stage, well), receipt in records.receipts.items()
        if well not in records.unknown
    }
    then = {(stage, well): digest for stage, wells in contexts.items() for well, digest in wells.items()}
    stale = sorted({well for stage, well in now if then.get((stage, well)) != now[stage, well]})
    if stale:
        message = f"{len(stale)} wells were executed with other contexts since: {', '.join(stale[:3])}."
        yield Difference(plate, "", "stale", VERSIONS, message)


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (0, name)
