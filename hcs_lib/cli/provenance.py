"""`hcs provenance` and `hcs crate`."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--snakemake", metavar="VERSION", help="The Snakemake that ran the workflow; it is cited then.")
def provenance(folder: Path, snakemake: str | None) -> None:
    """Write what was done to a plate, from its receipts. FOLDER is results/PLATE.

    \b
    provenance/methods.md      sentences for a methods section, parameters, references
    provenance/versions.json   software, engine, functions, contexts, machines; digests of the tables
    """  # noqa: D301
    from hcs_lib.core.files import write_atomic, write_json
    from hcs_lib.provenance.methods import methods_of
    from hcs_lib.provenance.runs import load_run
    from hcs_lib.provenance.versions import VERSIONS, versions_of

    run = load_run(folder)
    methods = folder / "provenance" / "methods.md"
    write_atomic(methods, methods_of(run, snakemake).encode())
    write_json(folder / VERSIONS, versions_of(run, snakemake))
    click.echo(f"{methods}\n{folder / VERSIONS}")


@click.command()
@click.argument("results", type=click.Path(file_okay=False, path_type=Path))
@click.argument("plates", nargs=-1)
@click.option("--workflow", required=True, type=_FILE, help="The Snakefile.")
@click.option("--config", "configs", multiple=True, type=_FILE, help="A file of the configuration; may be repeated.")
@click.option("--snakemake", metavar="VERSION", help="The Snakemake that ran the workflow.")
def crate(
    results: Path, plates: tuple[str, ...], workflow: Path, configs: tuple[Path, ...], snakemake: str | None
) -> None:
    """Describe a run as a Workflow Run RO-Crate: RESULTS/ro-crate-metadata.json.

    RESULTS is the folder of all plates, the root of the crate; PLATES are all of them, unless named. Workflow and
    configuration are copied to RESULTS/workflow.
    """
    from hcs_lib.provenance.crate import write_crate
    from hcs_lib.provenance.runs import find_plates, load_run

    folders = [results / plate for plate in plates] or find_plates(results)
    click.echo(write_crate(results, [load_run(folder) for folder in folders], workflow, configs, snakemake))
