"""The program `hcs`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from hcs_lib import __version__
from hcs_lib.core.errors import HcsError, MachineError, Terminated

_COMMANDS = {
    "doctor": "hcs_lib.cli.doctor:doctor",
    "demo": "hcs_lib.cli.demo:demo",
    "index": "hcs_lib.cli.index:index",
    "convert": "hcs_lib.cli.convert:convert",
    "registry": "hcs_lib.cli.registry:registry",
    "functions": "hcs_lib.cli.functions:functions",
    "compile": "hcs_lib.cli.compile:compile_command",
    "show": "hcs_lib.cli.compile:show",
    "plan": "hcs_lib.cli.plan:plan",
    "execute": "hcs_lib.cli.execute:execute",
    "status": "hcs_lib.cli.status:status",
    "clean": "hcs_lib.cli.clean:clean",
    "gate": "hcs_lib.cli.gate:gate",
    "collect": "hcs_lib.cli.collect:collect",
    "screen": "hcs_lib.cli.screen:screen",
    "replicates": "hcs_lib.cli.screen:replicates",
    "verdict": "hcs_lib.cli.collect:verdict",
    "figures": "hcs_lib.cli.report:figures",
    "report": "hcs_lib.cli.report:report",
    "provenance": "hcs_lib.cli.provenance:provenance",
    "crate": "hcs_lib.cli.provenance:crate",
    "verify": "hcs_lib.cli.verify:verify",
}
"""Commands in the order of the workflow, each with where it lives; nothing is imported to list them."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="hcs-workflow")
@click.option("--module", "modules", multiple=True, metavar="M",
              help="A Python module with functions of your own, in this folder or installed, as `registry: modules` "
                   "of a configuration names it (may be given several times).")  # fmt: skip
def cli(modules: tuple[str, ...]) -> None:
    """High-content screening, from raw plates to labels, tables, quality control and hits.

    Each command does what one rule of the workflow does. Exit status: 0 done; 1 more failed wells than
    allowed; 2 the input is wrong; 3 the machine failed.
    """
    if modules:
        from hcs_lib.registry.extensions import allow

        allow(modules, Path.cwd())


def main() -> None:
    """Run the program; turn our errors into one message on standard error and an exit status."""
    try:
        cli()
    except (HcsError, Terminated) as error:
        for line in str(error).splitlines():
            click.echo(f"hcs: {line}", err=True)
        sys.exit(error.exit_code)
    except MemoryError:
        click.echo("hcs: out of memory.", err=True)
        sys.exit(MachineError.exit_code)
    except OSError as error:  # what a disk refuses, whoever asked: status 1 would say that wells had failed
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"hcs: {where}{error.strerror or error}.", err=True)
        sys.exit(MachineError.exit_code)


if __name__ == "__main__":
    main()
