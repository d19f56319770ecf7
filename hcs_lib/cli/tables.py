"""Tables for people: on a terminal as wide as it is, into a file or pipe as wide as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a header; the last column is cut where a terminal is too narrow."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for number, title in enumerate(header, 1):
        table.add_column(title, no_wrap=True, overflow="ellipsis", ratio=1 if number == len(header) else None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
