"""`hcs compile` and `hcs show`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="compile")
@click.option("--config", "config_file", type=click.Path(dir_okay=False, path_type=Path), default="config/config.yaml",
              show_default=True, help="The configuration.")  # fmt: skip
@click.option("--plate", "plates", multiple=True, metavar="P", help="Only this plate (may be given several times).")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default="results", show_default=True,
              help="The folder of results. It must hold PLATE/index.json, which `hcs index` writes.")  # fmt: skip
@click.option("--registry", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="The folder of the registry's files.  [default: registry in the folder of results]")  # fmt: skip
@click.option("--check", is_flag=True, help="Only look for errors; write nothing.")
def compile_command(
    config_file: Path, plates: tuple[str, ...], results: Path, registry: Path | None, check: bool
) -> None:
    """Compile plates: one frozen context for each well, or every error at once.

    \b
    results/PLATE/contexts/STAGE/WELL.json     all that execution knows of a well
    results/PLATE/manifests/STAGE/BATCH.json   wells of a batch, with the digests of their contexts
    results/PLATE/plan.json                    stages and batches

    No pixel is read. Files that would not change are left alone: what their digests do not tell to be
    different is not executed again.
    """  # noqa: D301
    from hcs_lib.compiler.compile import compile_plate
    from hcs_lib.core.errors import Problem, UserError
    from hcs_lib.pipeline.located import read_yaml
    from hcs_lib.pipeline.settings import load_settings
    from hcs_lib.registry.extensions import allow

    document = read_yaml(config_file)
    settings = load_settings(document.value, config_file.absolute().parent, document.source, results.absolute())
    allow(settings.registry.modules, config_file.absolute().parent)
    problems: list[Problem] = []
    for plate in [settings.plate(name) for name in plates] or settings.plates:
        try:
            plan = compile_plate(plate, settings, results, check=check, registry=registry)
        except UserError as error:
            problems += error.problems
            continue
        stages = ", ".join(
            f"{stage.name} ({' > '.join(stage.steps)}) in {len(stage.batches)} batches" for stage in plan.stages
        )
        wells = f"{len(plan.wells)} of {len(plan.imaged)} wells" if plan.other_wells else f"{len(plan.wells)} wells"
        click.echo(f"{plan.plate}: {wells} {'checked' if check else 'compiled'}; stages {stages}")
    if problems:
        raise UserError(problems)


@click.command()
@click.argument("context", type=click.Path(dir_okay=False, path_type=Path))
def show(context: Path) -> None:
    """Show a frozen context as a person reads it. CONTEXT is results/PLATE/contexts/STAGE/WELL.json."""
    from hcs_lib.cli.showing import print_context
    from hcs_lib.contexts.context import FrozenContext

    print_context(FrozenContext.load(context))
