"""`hcs index`: what a plate's folder holds, and what is missing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.plates.formats import FORMATS

if TYPE_CHECKING:
    from rich.console import Console

    from hcs_lib.plates.index import PlaneProblem, PlateIndex

_SHOWN = 20
"""Lines of problems; `--json` and the index have all of them."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--plate", metavar="NAME", help="Name of the plate in the results; the folder's by default.")
@click.option("--format", "format_", metavar="F", default="auto", show_default=True,
              help=f"How the microscope names its files: auto, pattern, {', '.join(FORMATS)}.")  # fmt: skip
@click.option(
    "--pattern",
    metavar="P",
    help="Your own file names, such as 'Channel{channel}-{n}-{row}-{col}.tif', or a regular expression.",
)
@click.option("--fingerprint", type=click.Choice(["stat", "content"]), default="stat", show_default=True,
              help="How a change of a file is seen: by size and time stamp, or by SHA-256 of its bytes.")  # fmt: skip
@click.option("--pixel-size-um", type=float, help="Micrometres a pixel, in place of what the files say.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the index, as JSON, to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the index as one JSON object.")
def index(
    folder: Path,
    plate: str | None,
    format_: str,
    pattern: str | None,
    fingerprint: Literal["stat", "content"],
    pixel_size_um: float | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Index the plate in FOLDER: every plane, and everything that is missing or broken.

    FOLDER is the plate's folder, or holds exactly one plate. Names of files, and the index files of the
    microscope, give well, site, channel, z and t; every header is checked, nothing is written into FOLDER. With
    --output, headers are kept beside the index (headers.json), so that another time only files that changed are
    opened, and none where nothing changed (index.stamp.json); where there is no plate, the file says why, and other
    commands repeat it.

    A pattern names the fields well (or row and col), site, channel, z, t, plate, and n for text that does not
    matter; everything else stands for itself. With slashes it names folders too.

    Exit status 0, also where planes are missing or broken: they are listed. 2 where there is no plate.
    """
    from hcs_lib.plates.index_file import index_into
    from hcs_lib.plates.indexing import index_plate

    if output and output.resolve().is_relative_to(folder.resolve()):
        raise UserError(Problem(str(output), "nothing is written into a plate's folder.", "Write the index elsewhere."))
    found = (partial(index_into, output) if output else index_plate)(
        folder,
        plate=plate or folder.resolve().name,
        format=format_,
        pattern=pattern,
        fingerprint=fingerprint,
        pixel_size_um=pixel_size_um,
    )
    if as_json:
        from hcs_lib.core.canonical import canonical_json

        click.echo(canonical_json(found.model_dump(mode="json")), nl=False)
        return

    from rich.console import Console

    console = Console(highlight=False, emoji=False, markup=False)
    _summarise(console, found)
    _draw(console, found)
    _list_problems(console, found)


def _summarise(console: Console, found: PlateIndex) -> None:
    channels = ", ".join(c.id if c.name == c.id else f"{c.id} {c.name}" for c in found.channels)
    sites = sorted({len(extent.sites) for extent in found.extents.values()})
    of_each = f"{sites[0]} to {sites[-1]}" if len(sites) > 1 else sites[0]
    counts = f"{len(found.wells)} wells x {of_each} sites x {len(found.channels)} channels"
    grid = f", sites in {found.grid[0]} rows of {found.grid[1]}" if found.grid and len(found.sites) > 1 else ""
    pixel = f"{found.pixel_size_um:g} um a pixel" if found.pixel_size_um else "pixel size unknown"
    spacing = f", {found.z_spacing_um:g} um between z-planes" if found.z_spacing_um else ""
    console.print(f"{found.plate} ({found.format})", style="bold")
    console.print(f"{counts} x {len(found.z)} z x {len(found.t)} t{grid}", soft_wrap=True)
    console.print(f"channels: {channels}", soft_wrap=True)
    console.print(f"planes: {len(found.planes)} of {found.shape[0]} x {found.shape[1]} {found.dtype}, {pixel}{spacing}",
                  soft_wrap=True)  # fmt: skip


def _draw(console: Console, found: PlateIndex) -> None:
    """Draw the plate as it lies on the bench."""
    from rich.text import Text

    from hcs_lib.core.addresses import Well, geometry_of, row_name, well_name

    rows, columns = geometry_of(found.wells)
    imaged = {*found.wells}
    console.print()
    console.print("   " + "".join(f"{column + 1:>3}" for column in range(columns)), soft_wrap=True)
    for row in range(rows):
        line = Text(f"{row_name(row):>3}")
        for column in range(columns):
            well = well_name(Well(row, column))
            if well not in imaged:
                line.append("  ·", "dim")
            elif found.problems_by_well[well]:
                line.append("  !", "bold red")
            else:
                line.append("  ●", "green")
        console.print(line, soft_wrap=True)
    console.print("   ● complete   ! with problems   · no image", style="dim")


def _list_problems(console: Console, found: PlateIndex) -> None:
    """List what is wrong: one line for each kind and well, the worst first; copies by which nothing is lost last."""
    from collections import Counter

    from rich.table import Table

    from hcs_lib.core.addresses import parse_well

    if not found.problems:
        console.print("no problems")
        return
    kinds = Counter(problem.kind for problem in found.problems)
    groups: dict[tuple[bool, str, str], list[PlaneProblem]] = {}
    for problem in found.problems:
        groups.setdefault((problem.copy_of is not None, problem.kind, problem.well or ""), []).append(problem)
    order = sorted(groups, key=lambda key: (key[0], key[1], parse_well(key[2]) if key[2] else (-1, -1)))
    table = Table("kind", "well", "planes", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("the first of them", overflow="fold")
    for key in order[:_SHOWN]:
        first = groups[key][0]
        site = "" if first.site is None else f"site {first.site}, channel {first.channel}: "
        count = str(len(groups[key])) if first.well else ""
        file = f"{first.file}: " if first.file else ""
        table.add_row(first.kind, first.well or "", count, f"{site}{file}{first.message}")
    console.print()
    many = "problem" if len(found.problems) == 1 else "problems"
    console.print(f"{len(found.problems)} {many}: " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
    console.print(table)
    if len(order) > _SHOWN:
        console.print(f"… and {len(order) - _SHOWN} more lines; all problems are in the index (--output, --json).")
