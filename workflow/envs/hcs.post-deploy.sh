#!/usr/bin/env bash
# Snakemake runs a copy of this file, in the new environment, with HCS_CLONE set by workflow/rules/common.smk.
# The version is part of the environment's hash: another release makes another environment.
set -euo pipefail
: "${HCS_CLONE:?is where the workflow lies on this machine; the rules set it}"
version=0.1.0
"$CONDA_PREFIX/bin/python" -m pip install --no-input --constraint "$HCS_CLONE/requirements.lock" --editable "$HCS_CLONE"
"$CONDA_PREFIX/bin/python" -c "
import sys, hcs_lib
sys.exit(hcs_lib.__version__ != '$version' and f'hcs_lib is {hcs_lib.__version__}, expected $version')"
