"""`hcs gate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hcs_lib.contexts.gates import GateFound


@click.command(name="gate")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--approve", "reason", metavar="REASON", help="Go on with these flagged sites; say why.")
def gate(folder: Path, reason: str | None) -> None:
    """Say whether too many sites of a plate are flagged (qc_gate); exit 1 if so. FOLDER is results/PLATE.

    With --approve the plate goes on all the same: who, when and why are written to approvals.json, and hold as
    long as the same sites have the same flags.
    """
    from hcs_lib.screening.gate import approve, judge

    found = judge(folder)
    if reason is not None and not found.found.passed:
        found = approve(folder, found, by=_user(), reason=reason)
    say(folder, found.found)
    if found.approval is not None:
        click.echo(f"{found.found.plate}: approved by {found.approval['by']} at {found.approval['at']}: "
                   f"{found.approval['reason']}")  # fmt: skip
    if not found.found.passed:
        sys.exit(1)


def _user() -> str:
    """Return who runs this; in a container that gives its users no names, their number."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def say(folder: Path, found: GateFound) -> None:
    """Say which sites are flagged; where the plate is stopped, what to do."""
    for site in found.flagged:
        click.echo(f"{found.plate}: well {site.well}, site {site.site}: {site.flags}")
    click.echo(f"{found.plate}: {found.count}.")
    if found.passed:
        return
    click.echo(
        f"hcs: plate {found.plate}: stopped at the gate, more sites are flagged than qc_gate permits. Look at the "
        f'sites above. To go on with them: `hcs gate {folder} --approve "REASON"`, then run again. Or leave wells '
        "out, mend the images, or change qc_flags or qc_gate in the config.",
        err=True,
    )
