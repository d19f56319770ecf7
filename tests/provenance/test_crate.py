"""The crate of a real run, against the requirements of the profiles that it says it conforms to.

The validator of the community judges it in `test_validator.py`; what it cannot know is held here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hcs_lib.core.canonical import digest_file
from hcs_lib.provenance.crate import write_crate
from hcs_lib.provenance.runs import load_run

Graph = dict[str, dict[str, Any]]


def listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def ids(value: Any) -> list[str]:
    return [item["@id"] for item in listed(value)]


def graph_of(path: Path) -> Graph:
    entities = json.loads(path.read_text())["@graph"]
    graph = {entity["@id"]: entity for entity in entities}
    assert len(graph) == len(entities)
    return graph


@pytest.fixture
def make(repository: Path, analysis: Path) -> Callable[[Path], Graph]:
    """Write the crate of the results of a plate; return its entities by id."""

    def write(results: Path) -> Graph:
        inputs = [analysis / "pipeline.yaml", analysis / "plates.tsv", analysis / "demo/platemap.csv"]
        return graph_of(write_crate(results.parent, [load_run(results)], repository / "Snakefile", inputs, "9.27.0"))

    return write


@pytest.fixture
def graph(make: Callable[[Path], Graph], results: Path) -> Graph:
    return make(results)


def test_metadata_descriptor_and_root(graph: Graph) -> None:
    """RO-Crate 1.1: a descriptor about the root, which has a name, description, date and licence."""
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert "https://w3id.org/ro/crate/1.1" in ids(descriptor["conformsTo"])
    assert "https://w3id.org/workflowhub/workflow-ro-crate/1.0" in ids(descriptor["conformsTo"])
    assert root["@type"] == "Dataset"
    assert all(root[name] for name in ("name", "description", "datePublished", "license"))


def test_profiles(graph: Graph) -> None:
    """Process Run and Workflow Run Crate: the root conforms to their versioned permalinks, which are CreativeWorks."""
    profiles = ids(graph["./"]["conformsTo"])
    assert "https://w3id.org/ro/wfrun/process/0.5" in profiles
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in profiles
    assert all(graph[profile]["@type"] == "CreativeWork" for profile in profiles)


def test_main_workflow(graph: Graph, results: Path) -> None:
    """Workflow RO-Crate: mainEntity is a File, SoftwareSourceCode and ComputationalWorkflow with a language."""
    (main,) = ids(graph["./"]["mainEntity"])
    workflow = graph[main]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert workflow["name"]
    assert graph[workflow["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    assert graph[workflow["programmingLanguage"]["@id"]]["version"] == "9.27.0"
    assert main in ids(graph["./"]["hasPart"])
    rules = {Path(rule).name for rule in ids(workflow["hasPart"])}
    assert {"compile.smk", "execute.smk", "collect.smk"} <= rules
    names = {graph[software]["name"] for software in ids(workflow["softwareRequirements"])}
    assert {"Python", "NumPy", "SciPy", "scikit-image", "zarr-python"} <= names
    assert all(graph[software]["softwareVersion"] for software in ids(workflow["softwareRequirements"]))


def test_action(graph: Graph, results: Path) -> None:
    """Workflow Run Crate: an action whose instrument is mainEntity; mentioned, named, timed; with what it made."""
    action = graph["#run-demo"]
    assert action["@type"] == "CreateAction"
    assert ids(action["instrument"]) == ids(graph["./"]["mainEntity"])
    assert "#run-demo" in ids(graph["./"]["mentions"])
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert "3 of 3 wells done, 0 failed" in action["description"]
    receipts = [json.loads(path.read_text()) for path in results.glob("receipts/s01-cpu/*.json")]
    assert action["startTime"] == min(receipt["started"] for receipt in receipts)
    assert action["endTime"] == max(receipt["finished"] for receipt in receipts)
    assert graph["./"]["datePublished"] == action["endTime"]
    assert {"demo/demo.zarr/", "demo/tables/wells.csv", "demo/receipts/"} <= set(ids(action["result"]))
    assert "demo/index.json" in ids(action["object"])
    assert all(name in graph for name in (*ids(action["object"]), *ids(action["result"])))


def test_formal_parameters(graph: Graph) -> None:
    """Workflow Run Crate: inputs and outputs are FormalParameters with additionalType, linked both ways."""
    (main,) = ids(graph["./"]["mainEntity"])
    parameters = ids(graph[main]["input"]) + ids(graph[main]["output"])
    assert {"#input-raw-plate", "#output-wells", "#output-images"} <= set(parameters)
    for name in parameters:
        parameter = graph[name]
        assert parameter["@type"] == "FormalParameter"
        for example in ids(parameter["workExample"]):
            assert parameter["additionalType"] in listed(graph[example]["@type"])
            assert name in ids(graph[example]["exampleOfWork"])


def test_data_entities_are_there_with_size_and_digest(graph: Graph, results: Path) -> None:
    """RO-Crate 1.1: data entities exist below the root, are part of it; datasets end with a slash."""
    parts = set(ids(graph["./"]["hasPart"]))
    files = [entity for entity in graph.values() if "File" in listed(entity["@type"])]
    folders = [entity for entity in graph.values() if entity["@type"] == "Dataset" and entity["@id"] != "./"]
    assert len(files) > 10
    assert {folder["@id"] for folder in folders} == {"demo/demo.zarr/", "demo/receipts/", "demo/contexts/"}
    for file in files:
        path = results.parent / file["@id"]
        assert file["@id"] in parts
        assert int(file["contentSize"]) == path.stat().st_size
        assert file["sha256"] == digest_file(path)
        assert "/" in file["encodingFormat"]
    for folder in folders:
        assert folder["@id"] in parts
        assert folder["@id"].endswith("/")
        assert (results.parent / folder["@id"]).is_dir()


def test_every_link_leads_somewhere(graph: Graph) -> None:
    for entity in graph.values():
        for value in entity.values():
            for item in listed(value):
                if isinstance(item, dict):
                    assert item["@id"] in graph or item["@id"].startswith("https://"), item


def test_the_same_results_give_the_same_bytes(make: Callable[[Path], Graph], results: Path) -> None:
    make(results)
    first = (results.parent / "ro-crate-metadata.json").read_bytes()
    make(results)
    assert (results.parent / "ro-crate-metadata.json").read_bytes() == first
    assert str(results).encode() not in first


def test_a_run_with_a_failed_well_says_so(make: Callable[[Path], Graph], rerun: Callable[..., Path]) -> None:
    def truncate(folder: Path) -> None:
        file = next(path for path in sorted((folder / "demo/plate").rglob("*.tif*")) if "B03" in path.name)
        file.write_bytes(file.read_bytes()[:400])

    action = make(rerun(truncate))["#run-demo"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"].startswith("B03: ")
    assert "2 of 3 wells done, 1 failed" in action["description"]
