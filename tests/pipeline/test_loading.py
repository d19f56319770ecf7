"""Loading pipelines: the four patterns, and every message."""

# ruff: noqa: E501 (messages stand as they are printed)

from pathlib import Path

import pytest

from hcs_lib.core.errors import UserError
from hcs_lib.pipeline.loading import load_pipeline, parse_pipeline, pipeline_from_model
from hcs_lib.pipeline.models import FunctionCall, Pipeline, Step

NAMING = "A name begins with a letter and has letters, digits and _ only, at most 64."
FORMS = "a function, a mapping with the key `call`, a list of them, or a table of them by `group_by`"
CALL = "For a function with arguments, name the function with the key `call`."


def problems_of(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_pipeline(text, "p.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_four_patterns() -> None:
    pipeline = parse_pipeline(
        """\
name: four
steps:
  - {name: a, func: f}
  - {name: b, func: {call: f, args: {x: 1}}}
  - {name: c, func: [f, {call: g}]}
  - {name: d, group_by: site, func: {1: f, 2: [f, {call: g, args: {y: 2}}]}}
""",
        "p.yaml",
    )
    routes = [step.routes() for step in pipeline.model.steps]
    f, g = FunctionCall(call="f"), FunctionCall(call="g")
    assert routes == [
        {None: (f,)},
        {None: (FunctionCall(call="f", args={"x": 1}),)},
        {None: (f, g)},
        {"1": (f,), "2": (f, FunctionCall(call="g", args={"y": 2}))},
    ]
    assert [step.places() for step in pipeline.model.steps] == [
        {None: ((),)},
        {None: ((),)},
        {None: ((0,), (1,))},
        {"1": (("1",),), "2": (("2", 0), ("2", 1))},
    ]
    assert pipeline.where("steps", 2, "func", 1) == "p.yaml:5"


def test_everything_that_is_wrong_is_said_at_once_with_its_line() -> None:
    assert problems_of(
        """\
name: many
chanels: {DNA: 1}
steps:
  - name: nuc lei
    stak: z
    func: [{call: f, argz: {}, args: {sigma: .nan}}, 3]
  - func: {DNA: 3, GFP: []}
    group_by: colour
  - name: k
    func:
    keep: maybe
overrides:
  - {stp: a}
derived: {"a b": 3}
"""
    ) == [
        "p.yaml:2: Unknown key 'chanels'. Did you mean channels?",
        f"p.yaml:4: steps[0].name: 'nuc lei' is no name. {NAMING}",
        "p.yaml:5: Unknown key 'stak'. Did you mean stack?",
        "p.yaml:6: steps[0].func[0].args: must be finite; found {'sigma': nan}.",
        "p.yaml:6: Unknown key 'argz'. Did you mean args?",
        "p.yaml:6: steps[0].func[1]: expected a function, or a mapping with the key `call`; found 3.",
        "p.yaml:7: steps[1]: the key 'name' is missing.",
        "p.yaml:7: steps[1].func.DNA: expected a function, a mapping with the key `call`, or a list of them; found 3.",
        "p.yaml:7: steps[1].func.GFP: should not be empty.",
        "p.yaml:8: steps[1].group_by: should be 'site', 'channel', 'z' or 't'; found 'colour'.",
        f"p.yaml:10: steps[2].func: expected {FORMS}; found None.",
        "p.yaml:11: steps[2].keep: should be a valid boolean, unable to interpret input; found 'maybe'.",
        "p.yaml:13: overrides[0]: the key 'step' is missing.",
        "p.yaml:13: Unknown key 'stp'. Did you mean step?",
        f"p.yaml:14: derived.a b: 'a b' is no name. {NAMING}",
        "p.yaml:14: derived.a b: should be a valid string; found 3.",
    ]


STEP = "name: x\nsteps:\n  - {name: a, func: f}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "p.yaml: Expected keys and values, found None."),
        ("- 1", "p.yaml:1: Expected keys and values, found [1]."),
        ("name: x\nsteps: []", "p.yaml:2: steps: should not be empty."),
        (STEP + "  - {name: a, func: f}", "p.yaml:4: Step 'a': is the name of an earlier step. Choose another."),
        ("name: x\nsteps:\n  - {name: raw, func: f}",
         "p.yaml:3: Step 'raw': is the name of the raw planes. Choose another."),
        ("name: x\nsteps:\n  - {name: a, func: {DNA: f}}",
         f"p.yaml:3: Step 'a': a routing table needs the key `group_by`. {CALL}"),
        ("name: x\nsteps:\n  - {name: a, func: f, group_by: z}",
         "p.yaml:3: Step 'a': group_by needs a routing table under `func`, one chain for each z."),
        ("name: x\nsteps:\n  - name: a\n    func: {1: f}\n    stack: z\n    group_by: z",
         "p.yaml:6: Step 'a': z is stacked, and cannot route too."),
        (STEP + "overrides:\n  - {step: a, enabled: false}",
         "p.yaml:5: An override needs `plates`, `wells` or both."),
        (STEP + "overrides:\n  - {step: a, wells: [B02]}", "p.yaml:5: An override needs `args` or `enabled`."),
        (STEP + "overrides:\n  - {step: b, wells: [B02], enabled: false}",
         "p.yaml:5: There is no step 'b'. Steps are a."),
        (STEP + "overrides:\n  - step: a\n    wells: [B02]\n    args:\n      ff: {x: 1}",
         "p.yaml:8: Step 'a' does not call 'ff'. Did you mean f?"),
        (STEP + "overrides:\n  - {step: a, wells: [B02, 7B], enabled: false}",
         "p.yaml:5: '7B' stands for no wells; expected a well (B03), a row (B), a column (3), or a range of these (A01-C06, A-C, 1-6)."),
        (STEP + "derived:\n  ratio: a /\n",
         "p.yaml:5: Derived feature 'ratio': this is no expression: invalid syntax."),
        (STEP + "derived:\n  ratio: lgo(a)",
         "p.yaml:5: Derived feature 'ratio': unknown function 'lgo'. Did you mean log?"),
    ],
)  # fmt: skip
def test_what_a_pipeline_may_not_say(text: str, problem: str) -> None:
    assert problems_of(text) == [problem]


def test_numbers_are_taken_for_channels_and_truth_values_are_not() -> None:
    pipeline = parse_pipeline("name: x\nchannels: {DNA: 2}\nsteps: [{name: a, func: f, channels: [1]}]", "p.yaml")
    assert pipeline.model.channels == {"DNA": "2"}
    assert pipeline.model.steps[0].channels == ["1"]
    assert problems_of("name: x\nchannels: {DNA: no}\nsteps: [{name: a, func: f}]") == [
        "p.yaml:2: channels.DNA: should be a valid string; found False. YAML reads on, off, yes and no as true and false; put quotes around a name."
    ]


def test_the_same_can_be_built_in_python(tmp_path: Path) -> None:
    built = Pipeline(name="x", steps=[Step(name="a", func=[FunctionCall(call="f", args={"s": 1}), "g"])])
    (tmp_path / "p.yaml").write_text("name: x\nsteps: [{name: a, func: [{call: f, args: {s: 1}}, g]}]")
    assert load_pipeline(tmp_path / "p.yaml").model == built == pipeline_from_model(built).model
    with pytest.raises(UserError, match="pipeline x: Step 'a': is the name of an earlier step"):
        pipeline_from_model(Pipeline(name="x", steps=[Step(name="a", func="f"), Step(name="a", func="f")]))


def test_nothing_can_be_changed_once_loaded() -> None:
    pipeline = parse_pipeline(STEP, "p.yaml").model
    with pytest.raises(ValueError, match="frozen"):
        pipeline.steps[0].keep = True
