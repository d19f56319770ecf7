"""Valid pipelines and configurations, mutated at random: each compiles or ends in one of our errors."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import UserError
from hcs_lib.pipeline.settings import QcGate, load_settings

EXAMPLES = int(os.environ.get("HCS_EXAMPLES", "200"))
"""`make faults` asks for thousands."""

WHOLE = yaml.safe_load("""\
name: whole
channels: {DNA: "2"}
steps:
  - {name: light, scope: plate, stack: site, sample: 4, wells: [B], func: fake.mean, outputs: {image: field}}
  - {name: even, input: raw, func: fake.divide, inputs: {field: field}, checkpoint: true}
  - {name: flat, stack: z, func: fake.project, gpu: 1}
  - {name: smooth, func: [{call: fake.blur, args: {sigma: 1 um}}, fake.rescale]}
  - name: route
    input: flat
    group_by: channel
    wells: [B02-B03]
    func: {DNA: fake.blur, GFP: [{call: fake.gamma, args: {gamma: 2.0}}, fake.blur]}
  - {name: look, input: route, wells: [B02, "3"], func: {call: fake.consult, args: {table: {file: plates.schema.json}}}}
  - {name: seen, input: look, wells: [B02, "3"], stack: channel, func: fake.quality, outputs: {table: focus}}
  - {name: where, input: smooth, stack: site, func: fake.stage, outputs: {positions: places}}
  - {name: whole, input: smooth, stack: site, func: fake.mosaic, inputs: {positions: places}, keep: true}
  - name: nuclei
    channels: [DNA]
    func: {call: fake.segment, args: {min_diameter: 8 um, min_area: 30 um2}}
    outputs: {labels: nuclei}
  - {name: ring, input: nuclei, func: {call: fake.ring, args: {inner: 2 px}}, outputs: {labels: ring}}
  - name: measure
    input: whole
    stack: channel
    func: {call: fake.measure, args: {texture: true}}
    inputs: {labels: [nuclei, ring]}
    outputs: {table: objects}
derived: {ratio: Nuclei_Mean_GFP / (Nuclei_Mean_GFP + Ring_Mean_GFP)}
overrides:
  - {wells: [B03], step: nuclei, args: {fake.segment: {min_diameter: 10 um}}}
  - {plates: [demo], wells: [C02], step: smooth, args: {fake.blur: {sigma: 2}}}
""")

WORDS = st.sampled_from(
    ["raw", "nuclei", "ring", "smooth", "flat", "DNA", "GFP", "2", "z", "site", "channel", "t", "call", "args", "func",
     "name", "labels", "table", "objects", "positions", "inputs", "outputs", "stack", "group_by", "keep", "enabled",
     "input", "channels", "steps", "scope", "plate", "well", "wells", "sample", "checkpoint", "gpu", "image", "field",
     "whole", "where", "places", "file", "lazy", "json", "plates.schema.json", "../x.json", "slice_by_slice",
     "may_rescale", "overrides", "derived", "stage_positions", "step", "A01-C06", "B", "fake.blur", "fake.project",
     "fake.segment", "fake.ring", "fake.measure", "fake.threshold", "fake.volume", "fake.assemble", "fake.positions",
     "fake.cuda", "fake.any", "fake.stage", "fake.mosaic", "fake.mean", "fake.divide", "fake.consult", "fake.shrink",
     "fake.quality", "8 um", "3 s", "B02", "demo", "Nuclei_Area", "a + 1", ""]
)  # fmt: skip
SCALARS = WORDS | st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, item in items for place in places(item, (*path, key))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    pipeline = copy.deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(pipeline)))
        parent = pipeline
        for key in path:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "remove", "rename", "copy", "move"])):
            case "replace":
                parent[last] = draw(VALUES)
            case "remove":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[draw(WORDS)] = parent.pop(last)
            case "copy" if isinstance(parent, list):
                parent.append(copy.deepcopy(parent[last]))
            case "move" if isinstance(parent, list):
                parent.insert(0, parent.pop(last))
        if not pipeline or not places(pipeline):
            break
    return pipeline


CONFIGURATIONS = st.fixed_dictionaries(
    {}, optional={"bad_planes": st.sampled_from(["fail", "skip_site"]), "qc_gate": st.builds(QcGate)}
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(pipeline=mutated(), configuration=CONFIGURATIONS)
def test_a_mutated_pipeline_compiles_or_is_refused_in_words(
    fake: SimpleNamespace, pipeline: Any, configuration: dict[str, Any]
) -> None:
    text = yaml.safe_dump(pipeline, allow_unicode=True, sort_keys=False)
    contexts, problems = {}, ()
    try:
        contexts = fake.stages(text, fake.index(z=2, z_spacing_um=1.0), device="auto", **configuration)
    except UserError as error:
        problems = error.problems
    assert bool(contexts) != bool(problems)
    assert all(problem.message and problem.where.startswith("pipeline.yaml") for problem in problems)
    assert all(context.digest == digest(context.to_json()) for context in contexts.values())


def test_what_is_mutated_is_valid(fake: SimpleNamespace) -> None:
    contexts = fake.stages(yaml.safe_dump(WHOLE), fake.index(z=2), device="auto")
    steps: dict[str, list[str]] = {}
    for (_, axis_id), context in contexts.items():
        steps.setdefault(axis_id, []).extend(plan.step_name for plan in context.step_plans.values())
    after = ["where", "whole", "nuclei", "ring", "measure"]
    assert steps == {
        "plate": ["light"],
        "B02": ["even", "flat", "smooth", "route", "look", "seen", *after],
        "B03": ["even", "flat", "smooth", "route", "look", "seen", *after],
        "C02": ["even", "flat", "smooth", *after],
    }


CONFIG = {"plates": "plates.tsv", "pipeline": "pipeline.yaml", "device": "auto", "wells_per_batch": 4,
          "bad_planes": "fail", "allowed_failures": 1, "fingerprint": "stat", "qc_flags": {"blurred": 4.0},
          "qc_gate": {"max_flagged": 0.1, "flags": ["blurred"]}, "screen": {}}  # fmt: skip
CELLS = ["demo", "raw", "auto", "", "map.csv", "pipeline.yaml", "0.65", "x/y", "-1", "nan", "../raw", "a b", "DEMO"]
COLUMNS = ["plate", "path", "format", "pattern", "platemap", "pipeline", "pixel_size_um"]


@st.composite
def configurations(draw: st.DrawFn) -> tuple[Any, str]:
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from([*config, "qc_gates", "plate"]))
        if draw(st.booleans()):
            config[key] = draw(VALUES)
        else:
            config.pop(key, None)
    columns = draw(st.lists(st.sampled_from([*COLUMNS, "well"]), min_size=1, max_size=5))
    rows = draw(st.lists(st.lists(st.sampled_from(CELLS), min_size=1, max_size=6), max_size=3))
    table = [["plate", "path"], ["demo", "raw"]] if draw(st.booleans()) else [columns, *rows]
    return config, "\n".join("\t".join(cells) for cells in table)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=configurations())
def test_a_mutated_configuration_is_read_or_refused_in_words(tmp_path: Path, made: tuple[Any, str]) -> None:
    config, table = made
    (tmp_path / "raw").mkdir(exist_ok=True)
    (tmp_path / "pipeline.yaml").write_text("name: x\nsteps: [{name: a, func: b, keep: true}]\n")
    (tmp_path / "map.csv").write_text("well\nA01\n")
    (tmp_path / "plates.tsv").write_text(table)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    plates, problems = (), ()
    try:
        plates = load_settings(config, tmp_path, "config.yaml", tmp_path / "results").plates
    except UserError as error:
        problems = error.problems
    assert bool(plates) != bool(problems)
    assert all(problem.message and problem.where for problem in problems)
    assert all(plate.path.is_dir() and plate.pipeline.is_file() for plate in plates)
