"""`hcs execute`: what the rules `execute_*` do."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from hcs_lib.core.errors import Terminated
from hcs_lib.core.files import read_json

if TYPE_CHECKING:
    from hcs_lib.contexts.receipts import Receipt


@click.command()
@click.argument("files", metavar="CONTEXT… | MANIFEST…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--raw", type=click.Path(path_type=Path), help="The raw plate, if it moved since it was compiled.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="The folder that holds results/PLATE, if the contexts do not lie in it.",
)
@click.option("--retry-failed", is_flag=True, help="Do wells again that failed on their data.")
def execute(files: tuple[Path, ...], raw: Path | None, results: Path | None, retry_failed: bool) -> None:
    """Execute contexts, or the batches of wells that manifests name.

    A well whose receipt stands for the same context, and whose outputs are all there, is kept. A well that
    fails on its data is recorded in its receipt, and the others go on: the exit status is 0, and `hcs verdict`
    decides. Exit status 2: a context or manifest is damaged or leaves its plate. 3: memory, disk, device or the
    software failed; run it again.
    """
    from hcs_lib.execution.execute import execute_manifest, execute_well

    signal.signal(signal.SIGTERM, _terminated)
    for file in files:
        value = read_json(file, "Context or manifest (`hcs compile` writes them)")
        if isinstance(value, dict) and "wells" in value:
            execute_manifest(file, raw=raw, retry_failed=retry_failed, report=_report)
        else:
            execute_well(file, results=results, raw=raw, retry_failed=retry_failed, report=_report)


def _report(receipt: Receipt, kept: bool) -> None:
    name = f"{receipt.plate} {receipt.well} {receipt.stage}"
    if receipt.status == "failed":
        click.echo(f"{name}: failed{' (kept)' if kept else ''}: {receipt.reason}")
    elif kept:
        click.echo(f"{name}: kept")
    else:
        seconds = sum(receipt.seconds.values())
        counts = (f"{count} {label}" for label, count in receipt.counts.items())
        click.echo(", ".join([f"{name}: done in {seconds:.2f} s", *counts]))
        for warning in receipt.warnings:
            click.echo(f"{name}: {warning}")


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    # The well in flight is left unfinished, and not counted as a crash of its own; that takes a moment.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated("ended by SIGTERM; run it again.")
