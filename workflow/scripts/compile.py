"""Compile one plate from the parameters that Snakemake tracks."""

import sys
from pathlib import Path

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.core.errors import HcsError
from hcs_lib.pipeline.settings import Settings

settings = Settings.model_validate(snakemake.params.settings)
with Path(snakemake.log[0]).open("w") as log:
    try:
        compile_plate(settings.plates[0], settings, Path("results"))
    except HcsError as error:
        log.write(f"{error}\n")
        sys.exit(error.exit_code)
