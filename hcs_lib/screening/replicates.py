"""Replicate plates: assay quality and hits over the plates of an analysis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.screening.hits import HIT_COLUMNS, HitRule, ScoredWell, call_hits
from hcs_lib.screening.normalisation import NO_EFFECT
from hcs_lib.screening.quality import MEASURES
from hcs_lib.screening.robust import median
from hcs_lib.storage.collected import read_csv, write_csv

REPLICATE_COLUMNS = ("feature", *MEASURES, "z_prime_min", "z_prime_max", "worst_plate", "n_plates", "plates", "n_pos",
                     "n_neg", "wells_pos", "wells_neg")  # fmt: skip
"""Medians over plates; the worst and best plate. `n_plates` of all `plates` have a Z′; `n_pos` of `wells_pos`
and `n_neg` of `wells_neg` are controls of all plates together."""


def screen_replicates(folders: Sequence[Path], rule: HitRule | None, output: Path) -> None:
    """Write `assay_quality.csv` and `hits.csv` over several plates.

    Plates are compared by what each says of itself: values of different plates are never mixed before they are
    normalised. Replicates of a treatment are the wells with its compound and dose on all plates.

    Parameters
    ----------
    folders
        Results of each plate, screened with the same settings.
    rule
        The rule with which they were screened.
    output
        Where the two tables go.

    Raises
    ------
    UserError
        Where a plate was not screened.
    """
    qualities = [_read(folder / "tables" / "assay_quality.csv") for folder in folders]
    write_csv(output / "assay_quality.csv", REPLICATE_COLUMNS, _quality(qualities, [folder.name for folder in folders]))
    rows = [row for folder in folders for row in _read(folder / "tables" / "hits.csv")] if rule else []
    hits: list[dict[str, Any]] = []
    if rule and rows:
        wells = [ScoredWell.of(row, _number(row["score"])) for row in rows]
        method = rows[0]["method"]
        # The tables of plates have hits first: here wells start from the order of the plates again.
        hits = call_hits(sorted(wells, key=_place(folders)), rule, method, NO_EFFECT[method])
    write_csv(output / "hits.csv", HIT_COLUMNS, hits)


def _place(folders: Sequence[Path]) -> Any:
    from hcs_lib.core.addresses import parse_well

    order = {folder.name: index for index, folder in enumerate(folders)}
    return lambda well: (order.get(well.plate, -1), parse_well(well.well))


def _quality(qualities: list[list[dict[str, str]]], plates: list[str]) -> list[dict[str, Any]]:
    """Return one row per feature that any plate has, the highest median Z′ first."""
    import numpy as np

    tables = [{row["feature"]: row for row in rows} for rows in qualities]
    features = list(dict.fromkeys(name for rows in qualities for name in sorted(row["feature"] for row in rows)))
    shape = (len(MEASURES), len(features), len(tables))
    values = np.array(
        [[[_number(table.get(name, {}).get(measure, "")) for table in tables] for name in features]
         for measure in MEASURES]
    ).reshape(shape)  # fmt: skip
    medians = median(values, axis=2)
    rows = []
    for index in np.argsort(-medians[0], kind="stable").tolist():
        z_prime = values[0, index]
        there = ~np.isnan(z_prime)
        row: dict[str, Any] = {"feature": features[index], "n_plates": int(there.sum()), "plates": len(tables)}
        row |= dict(zip(MEASURES, medians[:, index].tolist(), strict=True))
        if there.any():
            worst = int(np.nanargmin(z_prime))
            row |= {"z_prime_min": float(z_prime[worst]), "z_prime_max": float(np.nanmax(z_prime))}
            row["worst_plate"] = plates[worst]
        for count in ("n_pos", "n_neg"):
            row[count] = sum(int(table[features[index]][count]) for table in tables if features[index] in table)
        for count in ("wells_pos", "wells_neg"):
            # The same for all features of a plate: also where it has not this one.
            row[count] = sum(int(next(iter(table.values()))[count]) for table in tables if table)
        rows.append(row)
    return rows


def _read(path: Path) -> list[dict[str, str]]:
    try:
        header, rows = read_csv(path)
    except FileNotFoundError:
        raise UserError(Problem(str(path), "the plate was not screened.", "Run `hcs screen` first.")) from None
    return [dict(zip(header, row, strict=True)) for row in rows]


def _number(text: str) -> float:
    return float(text) if text else math.nan
