"""`hcs verify`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hcs_lib.provenance.differences import Difference


@click.command()
@click.argument("folder", metavar="RESULTS", type=click.Path(path_type=Path))
@click.option("--raw", is_flag=True, help="Read the raw plates too, and compare the pixels of every plane.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(folder: Path, raw: bool, as_json: bool) -> None:
    """Read all results again, and say where they differ from what receipts record.

    RESULTS is the folder of all plates, or results/PLATE. Every file of every output is hashed; contexts,
    manifests and receipts are held against each other; what no receipt names is found. Nothing is written.

    Each difference is one line. Exit status: 0 none, 1 differences, 2 no results.
    """
    from hcs_lib.provenance.runs import find_plates
    from hcs_lib.provenance.verify import verify_plate

    differences: list[Difference] = []

    def tell(difference: Difference) -> None:
        differences.append(difference)
        if not as_json:
            click.echo(str(difference))

    verified = []
    for plate in find_plates(folder):
        with _progress(plate.name) as advance:
            found = verify_plate(plate, tell, raw=raw, advance=advance)
        verified.append(found)
        if not as_json:
            planes = f", {found.planes} raw planes" if raw else ""
            read = f"{found.outputs} outputs, {found.files} files, {found.bytes} bytes{planes}"
            click.echo(f"{found.plate}: {found.differences or 'no'} differences; {found.wells} wells, {read}")
    if as_json:
        click.echo(
            json.dumps(
                {
                    "plates": [plate.to_json() for plate in verified],
                    "differences": [difference.to_json() for difference in differences],
                }
            )
        )
    if differences:
        sys.exit(1)


@contextmanager
def _progress(plate: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show receipts as they are read, where a person looks on."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(plate, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
