"""What changed between two contexts, said in words; and nothing where nothing did."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.compile import draft_contexts
from hcs_lib.compiler.difference import compare_contexts
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.pipeline.loading import parse_pipeline

BLUR = "  - {name: blur, func: {call: fake.blur, args: {sigma: 1}}, keep: true}\n"


def contexts(fake: SimpleNamespace, text: str, **settings: Any) -> dict[str, Any]:
    return {well: context.to_json() for well, context in fake.compile(text, **settings).items()}


def said(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [change.text for change in compare_contexts(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("8 um", "10 um", ["step 'nuclei' argument min_diameter 8 um → 10 um"]),
        ("{min_diameter: 8 um}", "{min_diameter: 8 um, rank: 2}", ["step 'nuclei' argument rank not given → 2"]),
        ("stack: channel", "stack: channel\n    gpu: 0", []),
        ("name: measure", "name: measured",
         ["step 'measure' is gone from the stage", "step 'measured' is new in the stage"]),
        ("steps:\n", f"steps:\n{BLUR}", ["step 'blur' is new in the stage"]),
    ],
)  # fmt: skip
def test_what_the_user_changed_in_a_step(fake: SimpleNamespace, old: str, new: str, told: list[str]) -> None:
    text = fake.nuclei.replace(old, new)
    assert text != fake.nuclei
    before, after = contexts(fake, fake.nuclei), contexts(fake, text)
    for well in before:
        assert said(before[well], after[well]) == told


def test_routes_functions_and_the_order_of_steps_are_named(fake: SimpleNamespace) -> None:
    routed = (
        "name: demo\nsteps:\n  - {name: blur, keep: true, group_by: channel, "
        "func: {DNA: {call: fake.blur, args: {sigma: 1}}, GFP: fake.gamma}}\n"
    )
    before = contexts(fake, routed)["B02"]
    after = contexts(fake, routed.replace("sigma: 1", "sigma: 2").replace("fake.gamma", "fake.blur"))["B02"]
    assert said(before, after) == [
        "step 'blur' argument sigma of DNA 1 → 2",
        "step 'blur' function of GFP fake.gamma → fake.blur",
    ]


def test_files_versions_and_the_engine(fake: SimpleNamespace) -> None:
    old = contexts(fake, fake.nuclei)["B02"]

    def changed(place: tuple[str | int, ...], value: Any) -> list[str]:
        new = contexts(fake, fake.nuclei)["B02"]
        at: Any = new
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = value
        return said(old, new)

    assert changed(("engine", "digest"), "other") == ["the code of the executor changed"]
    assert changed(("engine", "versions", "numpy"), "3") == ["numpy 2 → 3"]
    assert changed(("functions", 0, "version"), "2.0") == ["fake 1.0 → 2.0"]
    assert changed(("functions", 0, "dependencies"), {"scikit-image": "0.26"}) == ["scikit-image nothing → 0.26"]
    assert changed(("functions", 0, "entry_digest"), "x") == ["what is known of fake.measure changed"]
    assert changed(("functions", 1, "source_digest"), "x") == ["the code of fake.segment changed"]
    file = old["planes"][0]["file"]
    assert changed(("planes", 0, "mtime_ns"), 1) == [f"file {file} changed (time stamp)"]
    assert changed(("planes", 0, "size"), 1) == [f"file {file} changed (10000 → 1 bytes)"]
    assert changed(("planes", 0, "sha256"), "x") == [f"file {file} changed (fingerprint)"]
    assert changed(("planes",), old["planes"][1:]) == [f"file {file} missing"]
    assert changed(("planes",), []) == [f"file {file} missing, and {len(old['planes']) - 1} more"]
    assert changed(("before",), {"s01-cpu": "x"}) == ["stage s01-cpu before it changed"]
    assert changed(("bad_planes",), "skip_well") == ["bad_planes fail → skip_well"]
    assert changed(("metadata", "pixel_size_um"), 0.6) == ["metadata.pixel_size_um 0.5 → 0.6"]
    # What no comparison of its own covers is told all the same.
    assert changed(("step_plans", "0", "read_backend"), "zarr") == ["step 'nuclei' as planned: read_backend raw → zarr"]


def test_a_pixel_size_is_told_once_and_not_in_all_places_that_follow(fake: SimpleNamespace) -> None:
    old = contexts(fake, fake.nuclei)["B02"]
    new = contexts(fake, fake.nuclei, index=fake.index(pixel_size_um=0.6))["B02"]
    assert said(old, new) == ["metadata.pixel_size_um 0.5 → 0.6"]


def test_any_two_contexts_that_differ_are_told_apart(fake: SimpleNamespace) -> None:
    found = contexts(fake, fake.nuclei)
    for one in found.values():
        for other in found.values():
            assert bool(said(one, other)) == (one != other)


CLASSIFIED = """\
name: demo
steps:
  - {name: blur, func: {call: fake.blur, args: {sigma: 1.5}}}
  - name: classify
    group_by: channel
    func:
      DNA: {call: fake.consult, args: {table: {file: nuclei.json}}}
      GFP: [fake.gamma, {call: fake.consult, args: {table: {file: nuclei.json}}}]
    keep: true
"""


def compile_beside(fake: SimpleNamespace, folder: Path, text: str, **settings: object) -> FrozenContext:
    """The context of well B02 of a pipeline that lies in a folder."""
    made = fake.settings(**settings)
    loaded = parse_pipeline(text, "pipeline.yaml", folder)
    drafts, problems = draft_contexts(made.plates[0], made, fake.index(), loaded, fake.registry)
    assert not problems
    (part,) = divide_into_stages(drafts, gated=False)
    return next(part.freeze(fake.execution, {}))


def test_a_file_with_other_bytes_is_named_once_for_a_step(fake: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "nuclei.json").write_text('{"threshold": 1}')
    before = compile_beside(fake, tmp_path, CLASSIFIED)
    (tmp_path / "nuclei.json").write_text('{"threshold": 2}')
    after = compile_beside(fake, tmp_path, CLASSIFIED)
    digests = [context.step_plans[1].func.routes["DNA"][0].args["table"]["sha256"] for context in (before, after)]
    changed = f"step 'classify' file nuclei.json {digests[0][:12]} → {digests[1][:12]}"
    assert said(before.to_json(), after.to_json()) == [changed]
    # It is a cause like others: it is told beside them.
    both = compile_beside(fake, tmp_path, CLASSIFIED.replace("sigma: 1.5", "sigma: 2.5"))
    assert said(before.to_json(), both.to_json()) == ["step 'blur' argument sigma 1.5 → 2.5", changed]


def test_another_file_is_told_as_the_argument_that_names_it(fake: SimpleNamespace, tmp_path: Path) -> None:
    for name, threshold in (("nuclei", 1), ("cells", 2)):
        (tmp_path / f"{name}.json").write_text(f'{{"threshold": {threshold}}}')
    before = compile_beside(fake, tmp_path, CLASSIFIED)
    text = CLASSIFIED.replace("file: nuclei.json", "file: cells.json", 1)
    after = compile_beside(fake, tmp_path, text)
    told = "step 'classify' argument table.file of DNA nuclei.json → cells.json"
    assert said(before.to_json(), after.to_json()) == [told]


def test_what_the_compiler_alone_decides_is_told_by_the_name_of_the_step(fake: SimpleNamespace, tmp_path: Path) -> None:
    text = "name: demo\nsteps:\n  - {name: soften, func: fake.either, keep: true}\n"
    before, after = (compile_beside(fake, tmp_path, text, **facts) for facts in ({}, {"device": "auto", "gpus": 1}))
    assert after.step_plans[0].gpu == 1
    same_stage = after.model_copy(update={"stage": before.stage})
    assert said(before.to_json(), same_stage.to_json()) == ["step 'soften' as planned: gpu 0 → 1"]
