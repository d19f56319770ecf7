"""`hcs figures` and `hcs report`."""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--feature", "features", multiple=True, help="Only a heat map of this column of wells.csv; repeatable.")
def figures(folder: Path, features: tuple[str, ...]) -> None:
    """Draw the pictures of a collected plate, and its page. FOLDER is results/PLATE.

    \b
    figures/heatmaps.png        the features to look at first, well by well
    figures/controls.svg        controls and samples, with Z'
    figures/dose_response.svg   curves, with EC50
    figures/quality.svg         objects per well; wells and sites that failed, were left out or flagged
    figures/montage.png         the plate in thumbnails, labels outlined
    figures/fields.png          fields of controls and samples at full size, labels outlined
    figures/plate.html          a page with a map of any feature, and tables to sort and filter

    What the plate has no data for is written too, and says so.
    """  # noqa: D301
    from hcs_lib.report.figures import draw_features, draw_plate

    for path in draw_features(folder, features) if features else draw_plate(folder):
        click.echo(path)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER, metavar="FOLDER...")
@click.option("--output", type=_FOLDER, default=Path("results/report"), show_default=True, help="Where to write.")
@click.option("--screen", type=_FOLDER, help="Statistics over replicate plates, results/screen.")
def report(folders: tuple[Path, ...], output: Path, screen: Path | None) -> None:
    """Summarise collected plates: counts, failures, quality, hits. Each FOLDER is one results/PLATE.

    \b
    summary.html   tables to sort and filter; one file, which loads nothing
    plates.png     the plates beside one another, each feature on one scale

    Plates that were not collected are named, and left out.
    """  # noqa: D301
    from hcs_lib.report.figures import summarise

    paths, problems = summarise(folders, output, screen)
    for problem in problems:
        click.echo(f"hcs: {problem}", err=True)
    for path in paths:
        click.echo(path)
