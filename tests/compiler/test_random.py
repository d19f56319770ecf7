"""Valid pipelines, mutated at random: each compiles or ends in one of our errors."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import UserError

WHOLE = yaml.safe_load("""\
name: whole
channels: {DNA: "2"}
steps:
  - {name: flat, stack: z, func: fake.project}
  - {name: smooth, func: [{call: fake.blur, args: {sigma: 1 um}}, fake.rescale], keep: true}
  - name: route
    input: flat
    group_by: channel
    func: {DNA: fake.blur, GFP: {call: fake.gamma, args: {gamma: 2.0}}}
  - name: nuclei
    channels: [DNA]
    func: {call: fake.segment, args: {min_diameter: 8 um, min_area: 30 um2}}
    outputs: {labels: nuclei}
  - {name: ring, input: nuclei, func: {call: fake.ring, args: {inner: 2 px}}, outputs: {labels: ring}}
  - name: measure
    input: smooth
    stack: channel
    func: {call: fake.measure, args: {texture: true}}
    inputs: {labels: [nuclei, ring]}
    outputs: {table: objects}
derived: {ratio: Nuclei_Mean_GFP / (Nuclei_Mean_GFP + Ring_Mean_GFP)}
overrides:
  - {wells: [B03], step: nuclei, args: {fake.segment: {min_diameter: 10 um}}}
  - {plates: [demo], step: route, enabled: false}
""")

WORDS = st.sampled_from(
    ["raw", "nuclei", "ring", "smooth", "flat", "DNA", "GFP", "2", "z", "site", "channel", "t", "call", "args", "func",
     "name", "labels", "table", "objects", "positions", "inputs", "outputs", "stack", "group_by", "keep", "enabled",
     "input", "channels", "steps", "fake.blur", "fake.project", "fake.segment", "fake.ring", "fake.measure",
     "fake.threshold", "fake.volume", "fake.assemble", "fake.positions", "fake.cuda", "fake.any", "8 um", "3 s", "B02",
     "demo", "Nuclei_Area", "a + 1", ""]
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


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(pipeline=mutated())
def test_a_mutated_pipeline_compiles_or_is_refused_in_words(fake: SimpleNamespace, pipeline: Any) -> None:
    text = yaml.safe_dump(pipeline, allow_unicode=True, sort_keys=False)
    contexts, problems = {}, ()
    try:
        contexts = fake.compile(text, fake.index(z=2, z_spacing_um=1.0), device="auto")
    except UserError as error:
        problems = error.problems
    assert bool(contexts) != bool(problems)
    assert all(problem.message and problem.where.startswith("pipeline.yaml") for problem in problems)
    assert all(context.digest == digest(context.to_json()) for context in contexts.values())


def test_what_is_mutated_is_valid(fake: SimpleNamespace) -> None:
    contexts = fake.compile(yaml.safe_dump(WHOLE), fake.index(z=2))
    assert {well: len(context.step_plans) for well, context in contexts.items()} == {"B02": 5, "B03": 5, "C02": 5}
