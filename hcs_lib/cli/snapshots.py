"""`hcs registry snapshot` and `infer`: what ships with the package of libraries, for developers of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcs_lib.core.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hcs_lib.registry.entry import FunctionEntry


@click.command()
@click.argument("libraries", nargs=-1, metavar="[LIBRARY]...")
def snapshot(libraries: tuple[str, ...]) -> None:
    """Probe every LIBRARY anew, by default all that can be used here, and replace the snapshots that ship.

    On a machine with a GPU this measures the libraries of CUDA, of which entries are only inferred until then.
    """
    from hcs_lib.registry.libraries import get_library, library_names

    for name in libraries or [known for known in library_names() if known != "hcs"]:
        registry = get_library(name)
        try:
            registry.get_library_object()
        except MachineError as error:
            if libraries:
                raise
            click.echo(f"{name}: left out. {error}", err=True)
            continue
        _write(name, registry.versions(), registry.build())


@click.command()
@click.argument("wheels", nargs=-1, required=True, metavar="WHEEL...",
                type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
def infer(wheels: tuple[Path, ...]) -> None:
    """Write the snapshots of libraries of CUDA on a machine without one, from the wheels that they come in.

    Names, parameters and docstrings are read from the sources within; nothing of them is installed or run. Behaviour is
    that of the function of the same name and parameters on the CPU, and every entry says that it is inferred.

    \b
    pip download --no-deps cucim-cu12==26.10.* cupy-cuda12x==14.2.*
    hcs registry infer cucim_cu12-*.whl cupy_cuda12x-*.whl
    """  # noqa: D301
    from hcs_lib.registry.inference import infer_libraries
    from hcs_lib.registry.service import RegistryService
    from hcs_lib.registry.wheels import Wheel

    for found in infer_libraries([Wheel(path) for path in wheels], RegistryService()):
        _write(found.library, found.versions, found.entries)


def _write(library: str, versions: Mapping[str, str], entries: Iterable[FunctionEntry]) -> None:
    from hcs_lib.registry import cache

    entries = list(entries)
    path = cache.snapshot_folder() / f"{library}.json"
    cache.write_library(path, library, versions, entries)
    usable = sum(entry.excluded is None for entry in entries)
    click.echo(f"{library} {versions[library]}: {usable} of {len(entries)} functions usable, {path}")
