"""`hcs functions`: find a function, and see how it behaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from hcs_lib.cli.tables import print_table
from hcs_lib.core.declare import MemoryType, ProcessingContract, Returns

if TYPE_CHECKING:
    from hcs_lib.registry.entry import FunctionEntry


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        click.option("--library", metavar="L", help="Of one library only, as `hcs registry status` names it."),
        click.option("--contract", type=click.Choice([contract.name for contract in ProcessingContract]),
                     help="With this contract: what they take, planes or stacks."),
        click.option("--returns", type=click.Choice(get_args(Returns)), help="That return this."),
        click.option("--memory-type", type=click.Choice(get_args(MemoryType)), help="That take arrays of this kind."),
        click.option("--tag", metavar="T", help="With this tag, which is a word of their name or subject."),
        click.option("--all", "with_excluded", is_flag=True, help="Also what cannot be used, with the reason."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        _FOLDER,
    )):  # fmt: skip
        command = option(command)
    return command


_FOLDER = click.option("--registry", "folder", type=click.Path(file_okay=False, path_type=Path),
                       help="Files of a workflow, `results/registry`: they come first.")  # fmt: skip


@click.group()
def functions() -> None:
    """Functions that a pipeline may call: find one, and see how it behaves."""


@functions.command(name="list")
@_options
def list_command(folder: Path | None, with_excluded: bool, as_json: bool, **query: str | None) -> None:
    """List the functions of all libraries."""
    _print((), folder, with_excluded, as_json, query)


@functions.command()
@click.argument("words", nargs=-1, required=True)
@_options
def search(
    words: tuple[str, ...], folder: Path | None, with_excluded: bool, as_json: bool, **query: str | None
) -> None:
    """List the functions that have all WORDS in their name, first line of documentation or tags."""
    _print(words, folder, with_excluded, as_json, query)


@functions.command()
@click.argument("function")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_FOLDER
def show(function: str, folder: Path | None, as_json: bool) -> None:
    """Show one FUNCTION: parameters, what it does to a stack, what it returns, and a step to paste."""
    from contextlib import suppress
    from dataclasses import asdict

    from hcs_lib.compiler.metadata import RESOLVERS
    from hcs_lib.core.annotations import expectation
    from hcs_lib.core.errors import MachineError
    from hcs_lib.registry.service import RegistryService
    from hcs_lib.registry.twins import differences

    service = RegistryService(folder)
    entry, twin = service.entry(function), None
    with suppress(MachineError):  # nothing is known of the twin's library
        twin = service.twin(function)
    differing = differences(entry.parameters, twin.parameters) if twin else []
    if as_json:
        others = {"twin": twin.id if twin else None, "twin_differs": [difference.name for difference in differing]}
        click.echo(json.dumps(asdict(entry) | {"contract": entry.contract.name} | others))
        return
    click.echo(f"{entry.id}  ({entry.library} {entry.version})")
    click.echo(f"  {entry.doc}\n")
    dims = " and ".join({2: "planes (y, x)", 3: "stacks (n, y, x)"}[number] for number in entry.accepts)
    click.echo(f"  takes      {dims}; slices: {entry.coupling}; contract {entry.contract.name} ({entry.origin})")
    if entry.uncouple:
        apart = ", ".join(f"{name}={value}" for name, value in entry.uncouple.items())
        click.echo(f"  apart      with {apart}, slices do not touch each other")
    dtypes = ", ".join(f"{given} → {got}" for given, got in entry.dtypes.items())
    click.echo(f"  returns    {entry.returns}{f'  ({dtypes})' if dtypes else ''}")
    if entry.keeps_scale is False:
        keep = ", ".join(f"{name}={value}" for name, value in entry.keep_scale.items())
        click.echo(f"  rescales   pixel values{f', unless {keep}' if keep else ''}")
    if entry.resizes:
        keep = ", ".join(f"{name}={value}" for name, value in entry.keep_size.items())
        click.echo(f"  resizes    images{f', unless {keep}' if keep else ''}")
    if entry.generic:
        click.echo("  runs on    arrays of NumPy and CuPy alike")
    if twin is not None:
        but = f", but for {'; '.join(map(str, differing))}" if differing else ""
        click.echo(f"  twin       {twin.id} ({twin.origin}){but}")
    for parameter in entry.parameters:
        default = "required" if parameter.required else f"default {parameter.shown or repr(parameter.default)}"
        given = "`inputs`, or metadata" if parameter.name in RESOLVERS else "`inputs`"
        source = f" (from {given})" if parameter.name in entry.special_inputs else ""
        click.echo(f"  {parameter.name:<18} {expectation(parameter.annotation)}  {default}{source}".rstrip())
    click.echo(f"\n{_step(entry)}")


def _step(entry: FunctionEntry) -> str:
    """Return a step of a pipeline that calls the function, with `…` for what it must be told."""
    from hcs_lib.compiler.metadata import RESOLVERS

    told = {p.name: "…" for p in entry.parameters if p.required and p.name not in entry.special_inputs}
    args = told | {name: json.dumps(value) for name, value in {**entry.keep_scale, **entry.keep_size}.items()}
    lines = [f"- name: {entry.id.rpartition('.')[2]}"]
    if entry.axis or entry.accepts == (3,):
        lines.append(f"  stack: {entry.axis or 'z'}")
    shown = f", args: {{{', '.join(f'{name}: {value}' for name, value in args.items())}}}" if args else ""
    lines.append(f"  func: {{call: {entry.id}{shown}}}")
    named = [name for name in entry.special_inputs if name not in RESOLVERS]
    if named:
        lines.append(f"  inputs: {{{', '.join(f'{name}: …' for name in named)}}}")
    if entry.returns in ("labels", "table"):
        lines.append(f"  outputs: {{{entry.returns}: …}}")
    return "\n".join(lines)


def _print(
    words: tuple[str, ...], folder: Path | None, with_excluded: bool, as_json: bool, query: Mapping[str, Any]
) -> None:
    from hcs_lib.registry.search import Query
    from hcs_lib.registry.service import RegistryService

    entries = RegistryService(folder).search(Query(words, **query), with_excluded=with_excluded)
    if as_json:
        click.echo(json.dumps({"functions": [_row(entry) for entry in entries]}))
        return
    print_table(
        ("Function", "Contract", "Slices", "Returns", ""),
        [
            (
                entry.id,
                "excluded" if entry.excluded else entry.contract.name,
                "" if entry.excluded else entry.coupling,
                "" if entry.excluded else entry.returns,
                entry.excluded or entry.doc,
            )
            for entry in entries
        ],
    )
    click.echo(f"{len(entries)} function{'' if len(entries) == 1 else 's'}", err=True)


def _row(entry: FunctionEntry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": entry.id, "library": entry.library, "memory_type": entry.memory_type,
        "contract": entry.contract.name, "coupling": entry.coupling, "returns": entry.returns,
        "origin": entry.origin, "available": entry.excluded is None,
    }  # fmt: skip
    return row | ({"excluded": entry.excluded} if entry.excluded else {})
