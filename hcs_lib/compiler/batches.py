"""Batches: which wells one job works on. Fixed chunks of the plate, so that names hold when wells come and go."""

from __future__ import annotations

from collections.abc import Iterable

from hcs_lib.core.addresses import geometry_of, parse_well


def batch_wells(wells: Iterable[str], wells_per_batch: int) -> dict[str, tuple[str, ...]]:
    """Return the wells of each batch, by the batch's name.

    Parameters
    ----------
    wells
        Canonical names.
    wells_per_batch
        Positions on the plate for each batch, counted along the rows of the smallest plate that holds the wells,
        whether there is a well or not. Batches without a well are left out.
    """
    known = sorted(wells, key=parse_well)
    _, columns = geometry_of(known)
    batches: dict[str, list[str]] = {}
    for name in known:
        well = parse_well(name)
        number = (well.row * columns + well.column) // wells_per_batch + 1
        batches.setdefault(f"b{number:03d}", []).append(name)
    return {batch: tuple(members) for batch, members in batches.items()}
