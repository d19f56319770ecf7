"""The run as a Workflow Run RO-Crate: results, software and what made them, as linked data.

Source: https://w3id.org/ro/wfrun/workflow/0.5 (Leo et al. 2024, doi:10.1371/journal.pone.0309210), on RO-Crate 1.1
(Soiland-Reyes et al. 2022, doi:10.3233/DS-210053).
"""

from __future__ import annotations

import json
import mimetypes
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib import __version__
from hcs_lib.core.canonical import digest_file, measure_tree
from hcs_lib.core.files import write_atomic
from hcs_lib.provenance import values
from hcs_lib.provenance.citations import software
from hcs_lib.provenance.runs import PlateRun
from hcs_lib.provenance.versions import STATISTICS, TABLES, software_of

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

METADATA = "ro-crate-metadata.json"

_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_TYPES = {".md": "text/markdown", ".parquet": "application/vnd.apache.parquet", ".tsv": "text/tab-separated-values",
          ".yaml": "application/yaml", ".smk": "text/x-snakemake", "": "text/x-snakemake"}  # fmt: skip

_FILES = {
    **{f"tables/{name}": f"Table {name.partition('.')[0]}" for name in (*TABLES, *STATISTICS)},
    "provenance/methods.md": "Methods",
    "provenance/versions.json": "Versions",
    "plan.json": "Plan",
}
"""Files of each plate that the crate describes one by one, where they are."""


def write_crate(
    results: Path, runs: Sequence[PlateRun], workflow: Path, inputs: Sequence[Path], snakemake: str | None = None
) -> Path:
    """Write `ro-crate-metadata.json` into the folder of results; the workflow's files are copied beside it.

    The same results give the same bytes: dates are those of receipts.

    Parameters
    ----------
    results
        The folder of all plates: the root of the crate.
    runs
        What was executed of each plate.
    workflow
        The Snakefile. With the rules beside it, it is copied to `workflow/`.
    inputs
        Files of the configuration; copied to `workflow/config/`.
    snakemake
        Version of the Snakemake that ran it.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(_TERMS)
    root = crate.root_dataset
    plates = values.listed([run.plan.plate for run in runs])
    crate.name = f"High-content screening: {plates}"
    crate.description = (
        f"Results of hcs-workflow for {values.count(len(runs), 'plate')} ({plates}): label images, tables, "
        "receipts of every well, and how they were made."
    )
    # The data are the user's; the crate can only say that nobody stated a licence.
    crate.license = "No licence was stated for these data."
    crate.datePublished = max(receipt.finished for run in runs for well in run.executed for receipt in well.receipts)
    specification = crate.metadata.properties()["conformsTo"]
    crate.metadata["conformsTo"] = [specification, {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}]
    root["conformsTo"] = [_add(crate, iri, {"@type": "CreativeWork", "name": name, "version": iri.rpartition("/")[2]})
                          for iri, name in _PROFILES.items()]  # fmt: skip
    for part in ("config", "workflow"):
        shutil.rmtree(results / "workflow" / part, ignore_errors=True)
    main = _workflow(crate, results, workflow, runs, snakemake)
    names = [path.name for path in inputs]
    given = [
        # Files of one name, from several folders, are told apart by a number.
        _copied(crate, results, path, f"workflow/config/{number if path.name in names[:number] else ''}{path.name}")
        for number, path in enumerate(inputs)
    ]
    for entity in given:
        _parameter(crate, main, "input", f"configuration-{entity.id.rpartition('/')[2]}", [entity])
    raw, made = [], []
    for run in runs:
        title = f"Index of the raw plate {run.plan.plate}: the file of every plane, its size and time stamp"
        raw.append(_file(crate, results, run.folder / "index.json", {"name": title}))
        made.append(_outputs(crate, results, run))
        _action(crate, run, main, [raw[-1], *given], list(made[-1].values()))
    _parameter(crate, main, "input", "raw-plate", raw)
    for name in dict.fromkeys(name for outputs in made for name in outputs):
        _parameter(crate, main, "output", name, [outputs[name] for outputs in made if name in outputs])
    path = results / METADATA
    write_atomic(path, json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False).encode())
    return path


def _workflow(
    crate: ROCrate, results: Path, snakefile: Path, runs: Sequence[PlateRun], snakemake: str | None
) -> Entity:
    """Describe the workflow: its files, its language, and the software that it stands on."""
    from rocrate.model import ComputationalWorkflow, ComputerLanguage

    language = ComputerLanguage(
        crate,
        "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
        properties={
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.12688/f1000research.29032.2"},
            "url": {"@id": "https://snakemake.github.io"},
            **({"version": snakemake} if snakemake else {}),
        },
    )
    crate.add(language)
    target = results / "workflow" / "Snakefile"
    _copy(snakefile, target)
    workflow: Entity = crate.add(
        ComputationalWorkflow(
            crate,
            dest_path="workflow/Snakefile",
            properties=_measured(target)
            | {"name": "hcs-workflow", "version": __version__, "conformsTo": {"@id": _BIOSCHEMAS}},
        )
    )
    workflow["programmingLanguage"] = language
    rules = sorted((snakefile.parent / "workflow" / "rules").glob("*.smk"))
    workflow["hasPart"] = [_copied(crate, results, rule, f"workflow/workflow/rules/{rule.name}") for rule in rules]
    workflow["softwareRequirements"] = [
        _software(crate, name, version)
        for name, version in sorted(
            {(name, version) for run in runs for name, found in software_of(run).items() for version in found}
        )
    ]
    crate.mainEntity = workflow
    return workflow


def _software(crate: ROCrate, distribution: str, version: str) -> Entity:
    known = software(distribution)
    home = known.url if known.url.startswith("https") else None
    return _add(
        crate,
        f"{known.url}#{version}" if home else f"{known.url}-{version}",
        {"@type": "SoftwareApplication", "name": known.name, "softwareVersion": version}
        | ({"url": {"@id": home}} if home else {}),
    )


def _outputs(crate: ROCrate, results: Path, run: PlateRun) -> dict[str, Entity]:
    """Describe what was made of a plate, by a name that is the same for all plates."""
    found: dict[str, Entity] = {}
    for name, title in _FILES.items():
        path = run.folder / name
        if path.is_file():
            key = path.stem
            found[key] = _file(crate, results, path, {"name": f"{title} of plate {run.plan.plate}"})
    stores = {"images": run.plan.store, "receipts": "receipts", "contexts": "contexts"}
    for key, folder in stores.items():
        if folder is None or not (run.folder / folder).is_dir():
            continue
        files, size = measure_tree(run.folder / folder)
        what = {
            "images": f"OME-Zarr {run.plan.ome_zarr} plate of images and label images; the receipts of wells hold "
            "digests of all of it",
            "receipts": "what was done for each well, with digests of its outputs and of the pixels that were read",
            "contexts": "the frozen plan of each well: functions, versions, arguments, planes",
        }[key]
        found[key] = crate.add_dataset(
            dest_path=f"{(run.folder / folder).relative_to(results).as_posix()}/",
            properties={
                "name": f"{key.capitalize()} of plate {run.plan.plate}",
                "description": f"{what[0].upper()}{what[1:]}. {values.count(files, 'file')}, {size:,} bytes.",
            },
        )
    return found


def _action(crate: ROCrate, run: PlateRun, workflow: Entity, given: list[Entity], made: list[Entity]) -> None:
    """Describe the execution of one plate."""
    receipts = [receipt for well in run.executed for receipt in well.receipts]
    failed = [well for well in run.executed if well.failure]
    whole = not failed and len(run.executed) == len(run.wells)
    action = crate.add_action(
        workflow,
        identifier=f"#run-{run.plan.plate}",
        object=given,
        result=made,
        properties={
            "name": f"Run of hcs-workflow on plate {run.plan.plate}",
            "description": f"{len(run.done)} of {values.count(len(run.wells), 'well')} done, {len(failed)} failed or "
            f"left out, {len(run.wells) - len(run.executed)} not executed.",
            "startTime": min(receipt.started for receipt in receipts),
            "endTime": max(receipt.finished for receipt in receipts),
            "actionStatus": "http://schema.org/CompletedActionStatus"
            if whole
            else "http://schema.org/FailedActionStatus",
        },
    )
    if failed:
        action["error"] = "; ".join(f"{well.well}: {' '.join(well.failure.split())}" for well in failed)
    crate.root_dataset.append_to("mentions", action, compact=True)


def _parameter(crate: ROCrate, workflow: Entity, slot: str, name: str, examples: list[Entity]) -> None:
    """Describe an input or output of the workflow, with the entities that took its place."""
    kind = "Dataset" if "Dataset" in examples[0].properties()["@type"] else "File"
    parameter = crate.add_formal_parameter(name, kind, identifier=f"#{slot}-{name}", valueRequired=slot == "input")
    for example in examples:
        parameter.append_to("workExample", example, compact=True)
        example.append_to("exampleOfWork", parameter, compact=True)
    workflow.append_to(slot, parameter)


def _add(crate: ROCrate, identifier: str, properties: dict[str, Any]) -> Entity:
    from rocrate.model import ContextEntity

    entity: Entity = crate.add(ContextEntity(crate, identifier, properties=properties))
    return entity


def _file(crate: ROCrate, results: Path, path: Path, properties: dict[str, Any]) -> Entity:
    """Describe a file of the results, with its size and digest."""
    entity: Entity = crate.add_file(
        dest_path=path.relative_to(results).as_posix(), properties=_measured(path) | properties
    )
    return entity


def _measured(path: Path) -> dict[str, str]:
    kind = _TYPES.get(path.suffix) or mimetypes.types_map.get(path.suffix, "application/octet-stream")
    return {"encodingFormat": kind, "contentSize": str(path.stat().st_size), "sha256": digest_file(path)}


def _copied(crate: ROCrate, results: Path, source: Path, target: str) -> Entity:
    _copy(source, results / target)
    return _file(crate, results, results / target, {"name": source.name})


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
