.DEFAULT_GOAL := help
.PHONY: help setup profile demo test lint bench faults slurm truth lock
.DELETE_ON_ERROR:

comma := ,
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell \
	$(python) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $(python))))
EXTRAS ?=
PROFILE ?= slurm

# One stamp for each set of extras that was asked for: a second call costs nothing, a new lock installs again.
installed = $(VENV)/.installed-$(subst $(comma),-,$(or $(1),base))

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(call installed,$(EXTRAS))  ## .venv from the lock; EXTRAS=opencl,torch,kornia,nd2,czi,slurm,cuda12,cuda13,dev adds to it

# As Snakemake is told where the workflow is, profiles/default is not found by itself.
profile:  ## `snakemake --profile slurm` from any folder: a copy for you to edit; PROFILE=local-gpu
	@profile="$${XDG_CONFIG_HOME:-$$HOME/.config}/snakemake/$(PROFILE)/config.yaml" && \
	if [ -e "$$profile" ]; then echo "$$profile is there already; remove it first." >&2; exit 1; fi && \
	mkdir -p "$$(dirname "$$profile")" && \
	{ cat profiles/$(PROFILE)/config.yaml profiles/default/config.yaml && echo 'snakefile: "$(CURDIR)/Snakefile"'; } >"$$profile" && \
	echo "Edit $$profile: partition, account, GPUs."

demo: demo/plate  ## a synthetic plate through the whole workflow, compared with its truth
	$(BIN)/snakemake --cores 2
	$(BIN)/hcs demo demo --compare results/demo

test: $(call installed,dev)  ## all tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(call installed,dev) demo/plate  ## ruff, mypy, import-linter, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

bench: $(call installed,dev)  ## what a run costs: benchmarks/
	$(BIN)/python benchmarks/bbbc013.py
	$(BIN)/python benchmarks/compile.py
	$(BIN)/python benchmarks/index.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/estimates.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/reruns.py
	$(BIN)/python benchmarks/dag.py
	$(BIN)/python benchmarks/omezarr.py
	$(BIN)/python benchmarks/registry.py
	$(BIN)/python benchmarks/report.py

faults: $(call installed,dev)  ## 110 kills and every other fault of docs/faults.md; pipelines, configurations and contexts changed at random
	HCS_FAULTS=100 $(BIN)/pytest --numprocesses 2 --dist loadfile tests/faults
	HCS_EXAMPLES=3000 $(BIN)/pytest tests/compiler/test_random.py tests/execution/test_forged.py

slurm: $(call installed,dev-slurm)  ## on a Slurm cluster that the tests start: more losses, BBBC013, and what jobs cost
	HCS_SLURM=full $(BIN)/pytest tests/slurm
	$(BIN)/python benchmarks/scale.py

truth: $(call installed,dev)  ## the complete test of contracts: every function probed again
	HCS_TRUTH=1 $(BIN)/pytest tests/registry

lock: | $(BIN)/python  ## requirements.lock anew, from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra slurm --extra opencl --universal \
		--python-version 3.11 --no-annotate --no-header --no-emit-index-url --output-file requirements.lock

demo/plate: | $(call installed,)
	$(BIN)/hcs demo demo

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is missing on this machine." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "The module venv of $(PYTHON) is missing on this machine (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip byte-compiles what it installs; Snakemake starts three times slower where it is not.
$(VENV)/.installed-%: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --compile \
		--constraint requirements.lock --editable '.$(addprefix [,$(addsuffix ],$(subst -,$(comma),$(filter-out base,$*))))'
	$(BIN)/python -m compileall -q hcs_lib
	@touch $@
