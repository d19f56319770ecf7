"""`hcs functions`: find a function, and see how it behaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hcs_lib.registry.entry import FunctionEntry


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--all", "with_excluded", is_flag=True, help="Also what cannot be used, with the reason."),
        click.option("--library", help="Of one library only: hcs, pyclesperanto, scipy.ndimage, skimage."),
        click.option("--registry", "folder", type=click.Path(file_okay=False, path_type=Path),
                     help="Files of a workflow, `results/registry`: they come first."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group()
def functions() -> None:
    """Functions that a pipeline may call: find one, and see how it behaves."""


@functions.command(name="list")
@_options
def list_command(folder: Path | None, library: str | None, with_excluded: bool, as_json: bool) -> None:
    """List the functions of all libraries."""
    _print(_entries(folder, library, with_excluded), as_json)


@functions.command()
@click.argument("words", nargs=-1, required=True)
@_options
def search(
    words: tuple[str, ...], folder: Path | None, library: str | None, with_excluded: bool, as_json: bool
) -> None:
    """List the functions that have all WORDS in their name, first line of documentation or tags."""
    wanted = [word.lower() for word in words]
    found = []
    for entry in _entries(folder, library, with_excluded):
        text = " ".join((entry.id, entry.doc, *entry.tags)).lower()
        if all(word in text for word in wanted):
            found.append(entry)
    _print(found, as_json)


@functions.command()
@click.argument("function")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--registry", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Files of a workflow, `results/registry`: they come first.")  # fmt: skip
def show(function: str, folder: Path | None, as_json: bool) -> None:
    """Show one FUNCTION: parameters, what it does to a stack, what it returns, and a step to paste."""
    from dataclasses import asdict

    from hcs_lib.registry.service import RegistryService

    entry = RegistryService(folder).entry(function)
    if as_json:
        click.echo(json.dumps(asdict(entry) | {"contract": entry.contract.name}))
        return
    click.echo(f"{entry.id}  ({entry.library} {entry.version})")
    click.echo(f"  {entry.doc}\n")
    dims = " and ".join({2: "planes (y, x)", 3: "stacks (n, y, x)"}[number] for number in entry.accepts)
    click.echo(f"  takes      {dims}; slices: {entry.coupling}; contract {entry.contract.name} ({entry.origin})")
    dtypes = ", ".join(f"{given} → {got}" for given, got in entry.dtypes.items())
    click.echo(f"  returns    {entry.returns}{f'  ({dtypes})' if dtypes else ''}")
    if entry.keeps_scale is False:
        keep = ", ".join(f"{name}={value}" for name, value in entry.keep_scale.items())
        click.echo(f"  rescales   pixel values{f', unless {keep}' if keep else ''}")
    if entry.resizes:
        keep = ", ".join(f"{name}={value}" for name, value in entry.keep_size.items())
        click.echo(f"  resizes    images{f', unless {keep}' if keep else ''}")
    for parameter in entry.parameters:
        default = "required" if parameter.required else f"default {parameter.default!r}"
        source = " (from `inputs`, or metadata)" if parameter.name in entry.special_inputs else ""
        annotation = parameter.annotation.strip("'")
        click.echo(f"  {parameter.name:<18} {annotation}  {default}{source}".rstrip())
    required = [p.name for p in entry.parameters if p.required and p.name not in entry.special_inputs]
    args = f", args: {{{', '.join(f'{name}: …' for name in required)}}}" if required else ""
    click.echo(f"\n  func: {{call: {entry.id}{args}}}")


def _entries(folder: Path | None, library: str | None, with_excluded: bool) -> list[FunctionEntry]:
    from hcs_lib.registry.service import RegistryService

    service = RegistryService(folder)
    catalogues = service.catalogues() if library is None else [service.catalogue(library)]
    return [
        entry
        for catalogue in catalogues
        for _, entry in sorted(catalogue.entries.items())
        if with_excluded or entry.excluded is None
    ]


def _print(entries: Iterable[FunctionEntry], as_json: bool) -> None:
    entries = list(entries)
    if as_json:
        click.echo(json.dumps({"functions": [_row(entry) for entry in entries]}))
        return
    width = max((len(entry.id) for entry in entries), default=0)
    for entry in entries:
        contract = "excluded" if entry.excluded else entry.contract.name
        click.echo(f"{entry.id:<{width}}  {contract:<19}  {entry.returns:<11}  {entry.excluded or entry.doc}")
    click.echo(f"{len(entries)} function{'' if len(entries) == 1 else 's'}", err=True)


def _row(entry: FunctionEntry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": entry.id, "library": entry.library, "memory_type": entry.memory_type,
        "contract": entry.contract.name, "coupling": entry.coupling, "returns": entry.returns,
        "origin": entry.origin, "available": entry.excluded is None,
    }  # fmt: skip
    return row | ({"excluded": entry.excluded} if entry.excluded else {})
