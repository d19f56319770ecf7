"""`hcs demo`: a plate whose truth is known, and results compared with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hcs_lib.plates.comparison import Comparison


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--compare",
    "results",
    metavar="RESULTS",
    type=click.Path(path_type=Path),
    help="Compare a plate's results, such as results/demo, with the truth in FOLDER; nothing is written.",
)
def demo(folder: Path, results: Path | None) -> None:
    """Write the demo plate into FOLDER: 12 wells x 4 sites x 2 channels x 3 z, a dose response, and its truth.

    FOLDER/plate holds the images as an ImageXpress microscope names them, FOLDER/platemap.csv the doses and
    controls, FOLDER/truth.json every nucleus. What is there already is left as it is.

    With --compare, exit status 1 says that a nucleus was found more than 2 pixels from its truth, or that more
    than 2 % of the nuclei were missed or found in excess.
    """
    if results is None:
        from hcs_lib.plates.synthetic import PLATEMAP, TRUTH, write_demo

        plate = write_demo(folder)
        click.echo(f"plate      {plate}\nplatemap   {folder / PLATEMAP}\ntruth      {folder / TRUTH}")
        return

    from hcs_lib.plates.comparison import compare

    comparison = compare(folder, results)
    click.echo("\n".join(_lines(comparison, folder, results)))
    sys.exit(0 if comparison.holds else 1)


def _lines(comparison: Comparison, folder: Path, results: Path) -> list[str]:
    from statistics import median

    from hcs_lib.plates.comparison import MAX_COUNT_ERROR, MAX_DISTANCE_PX
    from hcs_lib.plates.synthetic import TRUTH

    distances = comparison.distances
    far = sum(distance > MAX_DISTANCE_PX for distance in distances)
    lines = [f"{results} against {folder / TRUTH}, {comparison.sites} sites"]
    lines += [
        f"  {what:<18}{text}"
        for what, text in (
            ("nuclei", f"{comparison.whole} whole in a site; {comparison.cut} cut by a border are set aside"),
            ("found", f"{len(distances)}; missed {comparison.missed}, in excess {comparison.extra}"),
            ("count error", f"{comparison.count_error:.2%} (at most {MAX_COUNT_ERROR:.0%})"),
            (
                "distance",
                f"median {median(distances):.2f} px, largest {max(distances):.2f} px (at most {MAX_DISTANCE_PX:g};"
                f" {far} beyond)"
                if distances
                else "no nucleus was found",
            ),
            (
                "nuclear fraction",
                "not among the results"
                if comparison.correlation is None
                else f"correlation with the truth {comparison.correlation:.4f} over"
                f" {len(comparison.nuclear_fraction)} wells",
            ),
            ("cells", str(results / "tables" / "objects.parquet")),
            ("wells", str(results / "tables" / "wells.csv")),
            ("images, labels", str(results / f"{results.resolve().name}.zarr")),
            ("verdict", "as promised" if comparison.holds else "NOT as promised"),
        )
    ]
    return lines
