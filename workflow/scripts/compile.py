"""Compile one plate, from the configuration as Snakemake read it. Of a plate that is refused, the plan says why."""

import sys
from pathlib import Path

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.core.errors import HcsError, UserError
from hcs_lib.core.refusals import refuse
from hcs_lib.pipeline.settings import load_settings

source = Path(snakemake.params.source)
with Path(snakemake.log[0]).open("w") as log:
    try:
        settings = load_settings(snakemake.config, source.parent, str(source))
        compile_plate(settings.plate(snakemake.wildcards.plate), settings, Path("results"))
    except UserError as error:
        log.write(f"{error}\n")
        refuse(Path(snakemake.output[0]), error)
    except HcsError as error:
        log.write(f"{error}\n")
        sys.exit(error.exit_code)
