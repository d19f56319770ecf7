"""Screen: from the table of wells of a plate to assay quality, dose-response, normalised features and hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.screening.dose_response import DOSE_COLUMNS, dose_response
from hcs_lib.screening.hits import HIT_COLUMNS, HitRule, ScoredWell, call_hits, count_hits
from hcs_lib.screening.normalisation import NO_EFFECT, Normalisation, normalise
from hcs_lib.screening.quality import QUALITY_COLUMNS, assay_quality, best_first
from hcs_lib.screening.welltable import WellTable, read_wells
from hcs_lib.storage.collected import write_csv


@dataclass(frozen=True, slots=True)
class Screened:
    """What a plate's tables answer, in lines for people; `remarks` say what could not be computed, and why."""

    plate: str
    answers: tuple[str, ...]
    remarks: tuple[str, ...]


def screen_plate(folder: Path, features: Sequence[str], how: Normalisation, rule: HitRule | None) -> Screened:
    """Write the statistics of one plate.

    `tables/assay_quality.csv`, `dose_response.csv`, `normalised.csv` and `hits.csv` are always there; what cannot be
    computed is empty in them.

    Parameters
    ----------
    folder
        The plate's results, `results/{plate}`, collected.
    features
        Those whose dose-response is fitted. Where none is named, the derived features of the pipeline; where it
        has none, the feature with the highest Z′.
    how
        How features are normalised.
    rule
        When a treatment is a hit; None: no hits are called.

    Raises
    ------
    UserError
        Where the plate was not collected, or a feature does not exist.
    """
    plan = PlatePlan.load(folder / "plan.json")
    tables = folder / "tables"
    table = read_wells(tables / "wells.csv")
    wanted = [("screen.features", name) for name in features]
    table.check_features(wanted + ([("screen.hits.feature", rule.feature)] if rule else []))

    positive, negative = table.wells_of("pos"), table.wells_of("neg")
    quality = best_first(table.features, assay_quality(table.values[positive], table.values[negative]))
    write_csv(tables / "assay_quality.csv", QUALITY_COLUMNS, quality)

    chosen = list(features) or [name for name in plan.derived if name in table.features]
    if not chosen and quality and quality[0]["z_prime"] == quality[0]["z_prime"]:
        chosen = [quality[0]["feature"]]
    curves = dose_response(table, chosen)
    write_csv(tables / "dose_response.csv", DOSE_COLUMNS, curves)

    scores = normalise(table, how)
    rows = (table.cells(row) | dict(zip(table.features, values, strict=True))
            for row, values in enumerate(scores.tolist()))  # fmt: skip
    write_csv(tables / "normalised.csv", [*table.text, *table.features], rows)

    hits = []
    if rule:
        of_rule = scores[:, table.features.index(rule.feature)].tolist()
        scored = [ScoredWell.of(table.cells(row), score) for row, score in enumerate(of_rule)]
        hits = call_hits(scored, rule, how.method, NO_EFFECT[how.method])
    write_csv(tables / "hits.csv", HIT_COLUMNS, hits)
    return Screened(
        plan.plate,
        tuple(_answers(quality, curves, hits, rule)),
        tuple(_remarks(table, how, chosen, curves)),
    )


def _answers(
    quality: list[dict[str, Any]], curves: list[dict[str, Any]], hits: list[dict[str, Any]], rule: HitRule | None
) -> list[str]:
    lines = []
    if quality and quality[0]["z_prime"] == quality[0]["z_prime"]:
        best = quality[0]
        lines.append(
            f"best Z′ {best['z_prime']:.3f}, of {best['feature']} "
            f"({best['n_pos']} positive and {best['n_neg']} negative controls)"
        )
    if curves:
        lines.append(f"{sum(not row['flag'] for row in curves)} of {len(curves)} dose-response curves hold")
    if rule:
        found, judged = count_hits(hits)
        lines.append(f"{found} of {judged} wells are hits by {rule.feature}")
    return lines


def _remarks(table: WellTable, how: Normalisation, chosen: list[str], curves: list[dict[str, Any]]) -> list[str]:
    import numpy as np

    lines = []
    for control, name in (("neg", "negative"), ("pos", "positive")):
        wells = table.wells_of(control)
        usable = int((~np.isnan(table.values[wells])).any(axis=1).sum())
        if not wells.any():
            lines.append(f"no well is a {name} control (platemap: control {control}), so there is no assay quality")
        elif usable < 2:
            lines.append(f"{usable} of {wells.sum()} {name} controls have values, 2 are needed for assay quality")
        if control == "neg" and not usable and how.method != "b_score" and how.reference == "neg":
            lines.append("without negative controls nothing is normalised; screen.normalise.reference: plate would")
    if any(dose for dose in table.column("dose")) and not chosen:
        lines.append("no dose-response: screen.features names no feature, and none can be chosen by its Z′")
    elif any(dose for dose in table.column("dose")) and not curves:
        lines.append("no dose-response: no compound has a dose above zero")
    return lines
