"""All pictures and pages, of a plate and of several."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.contexts.gates import Waiting, waits_at_gate
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.report.controls import control_strips
from hcs_lib.report.curves import dose_response_curves
from hcs_lib.report.heatmaps import compare_plates, plate_heatmaps
from hcs_lib.report.montage import example_fields, well_montage
from hcs_lib.report.overview import quality_overview
from hcs_lib.report.pages import write_plate_page, write_summary
from hcs_lib.report.style import drawing, save, save_photograph, say
from hcs_lib.report.tables import Plate, headline, load_plate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PHOTOGRAPHS = ("montage.png", "fields.png")


def draw_plate(folder: Path) -> list[Path]:
    """Write the pictures and the page of a plate to its folder `figures`; return them.

    Each is always written. One for which the plate has no data says so.

    Parameters
    ----------
    folder
        The plate's results, `results/{plate}`.

    Raises
    ------
    UserError
        Where the plate was not collected.
    """
    plate = load_plate(folder)
    features = headline(plate)
    fitted = [row["feature"] for row in plate.curves.rows]
    curve = next((feature for feature in features if feature in fitted), next(iter(fitted), ""))
    pictures: dict[str, Callable[[], Figure]] = {
        "heatmaps.png": lambda: plate_heatmaps(plate, features),
        "controls.svg": lambda: control_strips(plate, features),
        "dose_response.svg": lambda: dose_response_curves(plate, curve),
        "quality.svg": lambda: quality_overview(plate),
        "montage.png": lambda: well_montage(plate),
        "fields.png": lambda: example_fields(plate),
    }
    paths = []
    for name, draw in pictures.items():
        path = folder / "figures" / name
        with drawing():
            (save_photograph if name in _PHOTOGRAPHS else save)(draw(), path)
        paths.append(path)
    page = folder / "figures" / "plate.html"
    write_plate_page(plate, page)
    return [*paths, page]


def draw_features(folder: Path, features: Sequence[str]) -> list[Path]:
    """Write a heat map for each of the named features, `figures/heatmap_{feature}.png`; return them.

    Raises
    ------
    UserError
        For names that no column of the wells has, with the nearest.
    """
    plate = load_plate(folder)
    plate.wells.check_features([("--feature", feature) for feature in features])
    paths = []
    for feature in features:
        # Features are named by people, too: no folder, no mark-up in the name of a file.
        path = folder / "figures" / f"heatmap_{re.sub(r'[^A-Za-z0-9._-]', '_', feature)}.png"
        with drawing():
            save(plate_heatmaps(plate, [feature]), path)
        paths.append(path)
    return paths


def summarise(folders: Sequence[Path], output: Path, screen: Path | None = None) -> tuple[list[Path], list[Problem]]:
    """Write the summary of plates: `summary.html`, `landing.html`, `plates.png`.

    A plate that waits at its gate, or was refused or not collected, is named with why, and with what lets it go on.

    Parameters
    ----------
    folders
        The results of each plate, `results/{plate}`.
    output
        Where to write.
    screen
        Where the statistics over replicate plates are, `results/screen`.

    Returns
    -------
    files, problems
        What was written; and the plates that are held up, with why.

    Raises
    ------
    UserError
        Where no plate was compiled.
    """
    plates: list[Plate] = []
    waiting: list[Waiting] = []
    problems: list[Problem] = []
    for folder in folders:
        try:
            held = waits_at_gate(folder, PlatePlan.load(folder / "plan.json"))
            if held is None:
                plates.append(load_plate(folder))
            else:
                waiting.append(held)
                problems.append(Problem(f"plate {held.plate}", f"{held.reason}.", f"`{held.command}` lets it go on."))
        except UserError as error:
            reason = "; ".join(map(str, error.problems))
            waiting.append(Waiting(plate=folder.name, reason=reason, command="mend this, then run again"))
            problems += error.problems
    if not any((folder / "plan.json").exists() for folder in folders):
        raise UserError(problems)
    write_summary(plates, output, screen, waiting)
    with drawing():
        picture = compare_plates(plates, headline(plates[0])) if plates else say("No plate has tables yet.")
        save(picture, output / "plates.png")
    return [output / name for name in ("summary.html", "landing.html", "plates.png")], problems
