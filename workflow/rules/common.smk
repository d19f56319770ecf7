import os
import sys
from functools import lru_cache, partial, wraps
from pathlib import Path
from types import SimpleNamespace

from snakemake import __version__ as SNAKEMAKE
from snakemake.exceptions import IncompleteCheckpointException

from hcs_lib.contexts.engine import current_engine
from hcs_lib.contexts.gates import waits_at_gate
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.core.errors import HcsError, MachineError, UserError
from hcs_lib.core.refusals import when_useless
from hcs_lib.core.sources import digest_sources
from hcs_lib.execution.cleaning import forget
from hcs_lib.pipeline.files import named_files
from hcs_lib.pipeline.loading import load_pipeline
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.indexing import snapshot
from hcs_lib.registry.extensions import allow
from hcs_lib.registry.versions import gpus_to_probe, libraries_of, library_versions

CLONE = Path(str(workflow.current_basedir)).parents[1]
PACKAGE = Path(sys.modules["hcs_lib"].__file__).parent

# Of the processes of Snakemake that a job on a cluster runs in: its limit holds for all of them.
AROUND_A_JOB_MB = 400

os.environ.update(
    # Jobs find `hcs` beside the Python that runs Snakemake, whether its environment is active or not.
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    # Where hcs.post-deploy.sh installs hcs_lib from.
    HCS_CLONE=str(CLONE),
)


# Paths in the configuration are relative to the file that it was read from.
SOURCE = Path((workflow.overwrite_configfiles or workflow.configfiles or ["config"])[-1]).absolute()


def read_configuration():
    """Return settings, and pipelines by plate. What is wrong stops the workflow here, without a traceback."""
    try:
        settings = load_settings(config, SOURCE.parent, str(SOURCE), Path("results").absolute())
        allow(settings.registry.modules, SOURCE.parent)
        pipelines = {plate.name: load_pipeline(plate.pipeline) for plate in settings.plates}
        for pipeline in pipelines.values():
            check_libraries(settings, pipeline)
        return settings, pipelines
    except HcsError as error:
        demo = SOURCE == CLONE / "config/config.yaml" and not (CLONE / "demo/plate").is_dir()
        hint = "\n`make demo`, or `hcs demo demo`, writes the plate of the demo."
        # Snakemake would put lines of this file around the message of an exception of its own.
        print(f"{error}{hint if demo else ''}", file=sys.stderr)
        sys.exit(error.exit_code)


def check_libraries(settings, pipeline):
    """See that the libraries that a pipeline names are here: their versions decide what runs."""
    for library in libraries(settings, pipeline):
        try:
            library_versions(library)
        except MachineError as error:
            raise MachineError(f"{pipeline.where('steps')}: {error}") from None


def libraries(settings, pipeline):
    """Return the libraries that a pipeline names, and those of twins on a GPU where they may take their place."""
    functions = [call.call for step in pipeline.model.steps for chain in step.routes().values() for call in chain]
    return libraries_of(functions, twins=settings.device == "auto" and settings.gpus > 0)


SETTINGS, PIPELINES = read_configuration()


def code(*packages):
    """Return a digest of the sources behind a command, which is run again where they change."""
    return digest_sources(PACKAGE, packages)


def settings_of(wildcards):
    """Return the settings that one plate depends on, as plain data: where they change, it is compiled anew."""
    plate = SETTINGS.plate(wildcards.plate)
    return SETTINGS.model_copy(update={"plates": (plate,)}).model_dump(mode="json", exclude={"registry", "screen"})


def configuration_files():
    """Return the files of the configuration, each once."""
    plates = SETTINGS.plates
    files = [SOURCE, SOURCE.parent / config["plates"], *(plate.pipeline for plate in plates)]
    files += [plate.platemap for plate in plates if plate.platemap]
    files += [file for pipeline in PIPELINES.values() for file in files_of(pipeline)]
    return list(dict.fromkeys(map(str, files)))


def files_of(pipeline):
    """Return the files that arguments of a pipeline name."""
    return [str(pipeline.folder / value["file"]) for _, value in named_files(pipeline.model)]


def platemap(wildcards):
    """Return the plate's platemap, where it has one."""
    return SETTINGS.plate(wildcards.plate).platemap or []


def registry_files(wildcards):
    """Return what is known of the libraries that the pipeline of a plate names."""
    return expand("results/registry/{library}.json", library=libraries(SETTINGS, PIPELINES[wildcards.plate]))


def index_options(wildcards):
    """Return the arguments of `hcs index` for a plate."""
    plate = SETTINGS.plate(wildcards.plate)
    options = {
        "--plate": plate.name,
        "--format": plate.format,
        "--pattern": plate.pattern,
        "--pixel-size-um": plate.pixel_size_um,
        "--fingerprint": SETTINGS.fingerprint,
    }
    given = [str(part) for pair in options.items() if pair[1] is not None for part in pair]
    return [str(plate.path), *given]


def waits_for_checkpoint(function):
    """Have an input function return the file of the checkpoint that it waits for.

    Snakemake does so too where the exception reaches it, but then asks the functions of all waiting jobs again, and
    looks at all jobs twice, whenever any checkpoint is done. It asks those that depend on the file in any case.
    """

    @wraps(function)
    def files_or_checkpoint(wildcards):
        try:
            return function(wildcards)
        except IncompleteCheckpointException as incomplete:
            return incomplete.targetfile

    return files_or_checkpoint


def grouped(plates, most=10):
    """Return groups of plates by name, ten at most: up to ten plates wait for none but themselves."""
    size = -(-len(plates) // most)
    return {f"g{start // size + 1:02d}": plates[start : start + size] for start in range(0, len(plates), size)}


GROUPS = grouped(list(PIPELINES))
GROUP_OF = {plate: group for group, plates in GROUPS.items() for plate in plates}
REFUSED = SimpleNamespace(stages=(), gate=None)
"""Stands for the plan of a plate that was refused: its verdict says why."""


@lru_cache
def load_plan(path, mtime_ns):
    """Read a plan, once for each time that it was written."""
    try:
        return PlatePlan.load(path)
    except UserError:
        return REFUSED


def plan_of(plate):
    """Return the plan of a plate; Snakemake compiles the plates of its group first."""
    checkpoints.plans.get(group=GROUP_OF[plate])
    path = Path(f"results/{plate}/plan.json")
    return load_plan(path, path.stat().st_mtime_ns)


def more(amount):
    """Return a resource of which there is more at each further attempt."""
    return lambda wildcards, attempt: amount * attempt


def stage_of(wildcards):
    """Return what is planned of a stage."""
    return next(stage for stage in plan_of(wildcards.plate).stages if stage.name == wildcards.stage)


def stage_memory(wildcards, attempt):
    """Return the memory that a job of a stage needs, in MB; more at each further attempt."""
    return (stage_of(wildcards).mem_mb + AROUND_A_JOB_MB) * attempt


def stage_minutes(wildcards, attempt):
    """Return the minutes that a job of a stage may take; more at each further attempt."""
    return stage_of(wildcards).minutes * attempt


@waits_for_checkpoint
def manifest(wildcards):
    """Return the manifest of a batch: written with the plan, compared by content."""
    plan_of(wildcards.plate)
    return f"results/{wildcards.plate}/manifests/{wildcards.stage}/{wildcards.batch}.json"


def batches(plate, stage):
    """Return the receipts of all batches of a stage."""
    return [f"results/{plate}/receipts/{stage.name}/batches/{batch}.json" for batch in stage.batches]


@waits_for_checkpoint
def stages_before(wildcards):
    """Return the receipts of the stages before: of the same wells, and of the plate."""
    stages = plan_of(wildcards.plate).stages
    names = [stage.name for stage in stages]
    return [
        receipt
        for stage in stages[: names.index(wildcards.stage)]
        for batch, receipt in zip(stage.batches, batches(wildcards.plate, stage))
        if stage.scope == "plate" or batch == wildcards.batch and stages[names.index(wildcards.stage)].scope == "well"
    ]


@waits_for_checkpoint
def all_receipts(wildcards):
    """Return the receipts of all stages of a plate: not every well need have all of them."""
    return [receipt for stage in plan_of(wildcards.plate).stages for receipt in batches(wildcards.plate, stage)]


@waits_for_checkpoint
def gated_receipts(wildcards):
    """Return the receipts that the gate of a plate judges."""
    plan = plan_of(wildcards.plate)
    stages = [stage for stage in plan.stages if stage.name == plan.gate.stage]
    return [receipt for stage in stages for receipt in batches(wildcards.plate, stage)]


@waits_for_checkpoint
def gate_of(wildcards):
    """Return what the gate of a plate writes, where it has one."""
    return f"results/{wildcards.plate}/gate.json" if plan_of(wildcards.plate).gate else []


@waits_for_checkpoint
def gate_before(wildcards):
    """Return what the gate before a stage writes, where there is one."""
    gate = plan_of(wildcards.plate).gate
    return gate_of(wildcards) if gate and gate.stage != wildcards.stage else []


def gone_on(plate):
    """Return whether a plate was compiled and went through its gate; Snakemake does both first."""
    plan = plan_of(plate)
    if plan.gate is None:
        return plan is not REFUSED
    checkpoints.gate.get(plate=plate)
    return waits_at_gate(Path("results", plate), plan) is None


def decided(goes_on, files, otherwise=lambda: []):
    """Return a function that gives `files` where plates go on.

    While that is not known, it gives the checkpoint that tells; and where there is no gate, the files as well, so that
    a dry-run knows all jobs of a plate.
    """

    def function(wildcards):
        try:
            return files() if goes_on() else otherwise()
        except IncompleteCheckpointException as incomplete:
            return [incomplete.targetfile, *(files() if SETTINGS.qc_gate is None else [])]

    return function


def held_up(plate):
    """Return the file that tells why a plate is held up: what its gate found, or its plan, which was refused."""
    return f"results/{plate}/{'plan' if plan_of(plate) is REFUSED else 'gate'}.json"


def plates_gone_on(*files):
    """Return a function for each plate: its files; of a plate that is held up, what tells why.

    One for each, so that no plate waits for the gate of another.
    """
    return [
        decided(
            partial(gone_on, plate), partial(expand, files, plate=plate), otherwise=lambda plate=plate: held_up(plate)
        )
        for plate in PIPELINES
    ]


def folders_of(files):
    """Return the results of the plates that files are of."""
    return list(dict.fromkeys(f"results/{Path(file).parts[1]}" for file in files))


def failures(wildcards):
    """Return the failures of a plate; of one that is held up, what tells why."""
    plate = wildcards.plate
    return decided(
        lambda: gone_on(plate), lambda: [f"results/{plate}/tables/failures.csv"], otherwise=lambda: held_up(plate)
    )(wildcards)


# The statistics over plates, where there are plates to compare; and the crate, where there is a plate for it.
replicates = decided(
    lambda: len(PIPELINES) > 1 and any(map(gone_on, PIPELINES)), lambda: rules.screen_replicates.output
)
crate = decided(lambda: any(map(gone_on, PIPELINES)), lambda: rules.crate.output)


def say_how_it_ended():
    """Print what the run left: wells, failures, tables, report."""
    from hcs_lib.cli.status import summary_lines

    for line in summary_lines(Path("results"), PIPELINES):
        print(line)


wildcard_constraints:
    plate="|".join(map(re.escape, PIPELINES)),
    library=r"[\w.]+",
    stage=r"s\d+-(cpu|gpu)",
    batch=r"b\d+",
    group=r"g\d+",
