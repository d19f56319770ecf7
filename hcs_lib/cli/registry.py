"""`hcs registry`: which functions exist and how they behave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcs_lib.cli.snapshots import infer, snapshot
from hcs_lib.cli.tables import print_table
from hcs_lib.core.errors import HcsError, MachineError, UserError

if TYPE_CHECKING:
    from hcs_lib.registry.service import Catalogue, RegistryService


@click.group()
def registry() -> None:
    """Functions of the installed libraries: which there are, and how each behaves."""


registry.add_command(snapshot)
registry.add_command(infer)


@registry.command()
@click.argument("library", required=False)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to write the file of LIBRARY.  [default: the user's cache]")  # fmt: skip
@click.option("--force", is_flag=True, help="Probe anew, even where a valid file is there.")
@click.option("--max-age-days", type=click.FloatRange(min=0), default=7.0, show_default=True,
              help="How old a file in the user's cache may be.")  # fmt: skip
def build(library: str | None, output: Path | None, force: bool, max_age_days: float) -> None:
    """Write what is known of the functions of LIBRARY, or of all libraries that are installed.

    A library is probed (its functions are called on small test images in processes of their own, and what they
    return for a stack is compared with what they return for its planes) only where neither the user's cache nor
    the snapshot that ships with this program is for exactly the installed versions.

    \b
    hcs registry build                                              all libraries, into the user's cache
    hcs registry build skimage --output results/registry/skimage.json
    """  # noqa: D301
    from hcs_lib.registry.libraries import library_names
    from hcs_lib.registry.service import RegistryService

    if output is not None and library is None:
        raise UserError("--output needs one LIBRARY: every library has a file of its own.")
    service = RegistryService(max_age_days=max_age_days)
    for name in library_names() if library is None else [library]:
        try:
            found = None if force else service.look_up(name)
            catalogue = found or _probe(service, name)
            path = _write(catalogue, output)
        except HcsError as error:
            if library is not None:
                raise
            click.echo(f"{name}: left out. {error}", err=True)
            continue
        usable = sum(entry.excluded is None for entry in catalogue.entries.values())
        click.echo(
            f"{name}: {usable} of {len(catalogue.entries)} functions usable ({_SOURCES[catalogue.source]}), {path}"
        )


def _probe(service: RegistryService, library: str) -> Catalogue:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("functions"))
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(library, total=None)
        return service.probe(library, lambda done, total: bar.update(task, completed=done, total=total))


_SOURCES = {
    "workflow": "the workflow's file",
    "user": "the user's cache",
    "snapshot": "the shipped snapshot",
    "probe": "built now",
}


def _write(catalogue: Catalogue, output: Path | None) -> Path:
    from hcs_lib.core.files import write_atomic
    from hcs_lib.registry import cache
    from hcs_lib.registry.libraries import get_library

    path = output or cache.user_folder() / f"{catalogue.library}.json"
    try:
        if catalogue.path is None:
            cache.write_library(
                path, catalogue.library, get_library(catalogue.library).versions(), catalogue.entries.values()
            )
        elif catalogue.path != path:
            write_atomic(path, catalogue.path.read_bytes())
    except OSError as error:
        raise MachineError(f"{path} cannot be written ({error.strerror}). Remove what is in its way, "
                           "or name another file by --output.") from error  # fmt: skip
    return path


@registry.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
              help="Files of a workflow, `results/registry`: they come first.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(folder: Path | None, as_json: bool) -> None:
    """Show for each library how many functions it offers, and from which file that is known. Probes nothing."""
    from hcs_lib.registry.libraries import library_names
    from hcs_lib.registry.service import RegistryService

    service = RegistryService(folder)
    rows = [_status_of(service, name) for name in library_names()]
    if as_json:
        click.echo(json.dumps({"libraries": rows}))
        return
    lines = []
    for row in rows:
        known = _SOURCES[row["source"]] if row["valid"] else row["message"]
        counts = [str(row["usable"]), str(row["excluded"])] if row["valid"] else ["", ""]
        inferred = ", inferred" if row["inferred"] else ""
        lines.append([row["library"], (row["version"] or "")[:12], *counts, f"{known}{inferred}"])
    print_table(("Library", "Version", "Usable", "Excluded", "Known from"), lines)


def _status_of(service: RegistryService, library: str) -> dict[str, Any]:
    from hcs_lib.registry.libraries import get_library

    row: dict[str, Any] = {
        "library": library, "version": None, "valid": False, "source": None, "path": None,
        "usable": None, "excluded": None, "inferred": False, "message": "",
    }  # fmt: skip
    try:
        offered = get_library(library)
        row["version"] = offered.versions()[library]
        found = service.look_up(library) if offered.probed else service.catalogue(library)
    except HcsError as error:
        return row | {"message": str(error)}
    if found is None:
        return row | {"message": f"not known yet: `hcs registry build {library}`"}
    usable = sum(entry.excluded is None for entry in found.entries.values())
    return row | {
        "valid": True, "source": found.source, "path": found.path and str(found.path),
        "usable": usable, "excluded": len(found.entries) - usable,
        "inferred": any(entry.origin == "inferred" for entry in found.entries.values()),
    }  # fmt: skip
