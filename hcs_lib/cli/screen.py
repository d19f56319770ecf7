"""`hcs screen` and `hcs replicates`."""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.Path(file_okay=False, path_type=Path)
_SETTINGS = click.option(
    "--settings",
    default="{}",
    metavar="YAML",
    help="What stands in config.yaml under the key `screen`, such as '{features: [x, y]}'.",
)


@click.command()
@click.argument("folder", type=_FOLDER)
@_SETTINGS
def screen(folder: Path, settings: str) -> None:
    """Write the statistics of a collected plate. FOLDER is results/PLATE.

    \b
    tables/assay_quality.csv   Z′, SSMD, signal window of every feature, best first
    tables/dose_response.csv   EC50 of every compound that has doses
    tables/normalised.csv      wells.csv with normalised features
    tables/hits.csv            treatments that pass the rule for hits, first

    docs/statistics.md explains them. What cannot be computed is empty, and why is said here.
    """  # noqa: D301
    from hcs_lib.pipeline.screen import read_screen
    from hcs_lib.screening.hits import HitRule
    from hcs_lib.screening.normalisation import Normalisation
    from hcs_lib.screening.screen import screen_plate

    keys = read_screen(settings, "--settings")
    rule = HitRule(**keys.hits.model_dump()) if keys.hits else None
    found = screen_plate(folder, keys.features, Normalisation(**keys.normalise.model_dump()), rule)
    for line in (*found.answers, *found.remarks):
        click.echo(f"{found.plate}: {line}")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER)
@_SETTINGS
@click.option("--output", type=_FOLDER, default="results/screen", show_default=True, help="Where the tables go.")
def replicates(folders: tuple[Path, ...], settings: str, output: Path) -> None:
    """Write assay quality and hits over screened plates. FOLDERS are results/PLATE of each.

    \b
    assay_quality.csv   medians over plates, worst and best plate, best feature first
    hits.csv            treatments that pass the rule, with the replicates of all plates
    """  # noqa: D301
    from hcs_lib.pipeline.screen import read_screen
    from hcs_lib.screening.hits import HitRule
    from hcs_lib.screening.replicates import screen_replicates

    keys = read_screen(settings, "--settings")
    screen_replicates(folders, HitRule(**keys.hits.model_dump()) if keys.hits else None, output)
    click.echo(f"{len(folders)} plates: tables in {output}")
