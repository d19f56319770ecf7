"""What is said of contexts whose model files or plans differ."""

from pathlib import Path
from types import SimpleNamespace

from hcs_lib.compiler.compile import draft_contexts
from hcs_lib.compiler.difference import compare_contexts
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.pipeline.loading import parse_pipeline

PIPELINE = """\
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


def said(old: FrozenContext, new: FrozenContext) -> list[str]:
    return [change.text for change in compare_contexts(old.to_json(), new.to_json())]


def test_a_file_with_other_bytes_is_named_once_for_a_step(fake: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "nuclei.json").write_text('{"threshold": 1}')
    before = compile_beside(fake, tmp_path, PIPELINE)
    (tmp_path / "nuclei.json").write_text('{"threshold": 2}')
    after = compile_beside(fake, tmp_path, PIPELINE)
    digests = [context.step_plans[1].func.routes["DNA"][0].args["table"]["sha256"] for context in (before, after)]
    changed = f"step 'classify' file nuclei.json {digests[0][:12]} → {digests[1][:12]}"
    assert said(before, after) == [changed]
    # It is a cause like others: it is told beside them.
    both = compile_beside(fake, tmp_path, PIPELINE.replace("sigma: 1.5", "sigma: 2.5"))
    assert said(before, both) == ["step 'blur' argument sigma 1.5 → 2.5", changed]


def test_another_file_is_told_as_the_argument_that_names_it(fake: SimpleNamespace, tmp_path: Path) -> None:
    for name, threshold in (("nuclei", 1), ("cells", 2)):
        (tmp_path / f"{name}.json").write_text(f'{{"threshold": {threshold}}}')
    before = compile_beside(fake, tmp_path, PIPELINE)
    after = compile_beside(fake, tmp_path, PIPELINE.replace("{table: {file: nuclei.json}}}\n      G", "{table: {file: cells.json}}}\n      G"))  # noqa: E501 # fmt: skip
    assert said(before, after) == ["step 'classify' argument table.file of DNA nuclei.json → cells.json"]


def test_what_the_compiler_alone_decides_is_told_by_the_name_of_the_step(fake: SimpleNamespace, tmp_path: Path) -> None:
    text = "name: demo\nsteps:\n  - {name: soften, func: fake.either, keep: true}\n"
    before, after = (compile_beside(fake, tmp_path, text, **facts) for facts in ({}, {"device": "auto", "gpus": 1}))
    assert after.step_plans[0].gpu == 1
    same_stage = after.model_copy(update={"stage": before.stage})
    assert said(before, same_stage) == ["step 'soften' as planned: gpu 0 → 1"]
