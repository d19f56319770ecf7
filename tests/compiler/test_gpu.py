"""Phase 5: what runs on a GPU under which device, fixed in the context."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hcs_lib.cli.showing import moves
from hcs_lib.compiler.compile import draft_contexts
from hcs_lib.pipeline.loading import parse_pipeline
from hcs_lib.registry.cuda import cupy_version
from hcs_lib.registry.service import RegistryService

GRANTED = {"device": "auto", "gpus": 1}


def pipeline(*functions: str, after: str = "") -> str:
    return f"name: demo\nsteps:\n  - {{name: a, func: [{', '.join(functions)}], keep: true}}\n{after}"


def chain(fake: SimpleNamespace, text: str, **settings: object) -> list[tuple[str, str, str | None]]:
    """What the first step calls: function, memory type, and whose twin it is."""
    contexts = fake.stages(text, **settings)
    plan = next(iter(contexts.values())).step_plans[0]
    return [(call.call, call.memory_type, call.twin_of) for call in plan.func.chain]


def test_a_twin_takes_the_place_where_a_gpu_is_granted(fake: SimpleNamespace) -> None:
    contexts = fake.stages(pipeline("{call: fake.blur, args: {sigma: 2.0}}"), **GRANTED)
    assert {stage for stage, _ in contexts} == {"s01-gpu"}
    context = contexts["s01-gpu", "B02"]
    plan = context.step_plans[0]
    (call,) = plan.func.chain
    assert (call.call, call.twin_of, call.memory_type) == ("fakegpu.blur", "fake.blur", "cupy")
    assert (plan.gpu, plan.input_memory_type, plan.output_memory_type) == (1, "cupy", "cupy")
    (reference,) = context.functions
    assert (reference.id, reference.library, reference.target) == (
        "fakegpu.blur", "fakegpu", "fakegpu_functions:blur",
    )  # fmt: skip
    assert context.step_state_map[0]["func"][0]["call"] == "fake.blur"


@pytest.mark.parametrize("settings", [{"device": "cpu"}, {"device": "cpu", "gpus": 4}, {"device": "auto"}])
def test_nothing_moves_without_a_grant(fake: SimpleNamespace, settings: dict[str, object]) -> None:
    contexts = fake.stages(pipeline("fake.blur"), **settings)
    assert {stage for stage, _ in contexts} == {"s01-cpu"}
    assert contexts["s01-cpu", "B02"].digest == fake.stages(pipeline("fake.blur"))["s01-cpu", "B02"].digest


@pytest.mark.parametrize(
    ("settings", "stage"),
    [
        ({"device": "cpu", "gpus": 1}, "s01-cpu"),
        ({"device": "auto"}, "s01-cpu"),
        ({"device": "auto", "gpus": 1}, "s01-gpu"),
        ({"device": "gpu"}, "s01-gpu"),
    ],
)
def test_torch_runs_on_a_gpu_where_one_is_granted(
    fake: SimpleNamespace, settings: dict[str, object], stage: str
) -> None:
    contexts = fake.stages(pipeline("fake.either"), **settings)
    assert {name for name, _ in contexts} == {stage}
    assert contexts[stage, "B02"].step_plans[0].gpu == int(stage == "s01-gpu")


def test_gpu_takes_functions_as_they_are_named(fake: SimpleNamespace) -> None:
    found = chain(fake, pipeline("fake.blur", "fake.cuda"), device="gpu", gpus=1)
    assert found == [("fake.blur", "numpy", None), ("fake.cuda", "cupy", None)]


def test_more_gpus_make_no_other_context(fake: SimpleNamespace) -> None:
    one, two = (fake.stages(pipeline("fake.blur"), device="auto", gpus=gpus) for gpus in (1, 2))
    assert {key: context.digest for key, context in one.items()} == {k: context.digest for k, context in two.items()}


@pytest.mark.parametrize(
    ("call", "moves"),
    [
        ("{call: fake.smooth, args: {sigma: 2}}", False),  # another default
        ("{call: fake.smooth, args: {sigma: 2, mode: reflect}}", True),  # which is given; `fast` may be left out
        ("fake.cut_off", False),  # needs an argument that the other has not
        ("fake.sharpen", True),
        ("{call: fake.sharpen, args: {weights: [1, 2, 1]}}", False),  # a list that SciPy makes an array of
        ("{call: fake.sharpen, args: {amount: [[1.0]]}}", False),
        ("fake.gamma", False),  # has no twin
        ("fake.to_float", False),  # gives another dtype for uint16
        ("[fake.to_float, fake.blur]", True),
    ],
)
def test_only_a_twin_that_does_the_same_does(fake: SimpleNamespace, call: str, moves: bool) -> None:
    found = chain(fake, f"name: demo\nsteps:\n  - {{name: a, func: {call}, keep: true}}\n", **GRANTED)
    assert (found[-1][1] == "cupy") == moves
    assert (found[-1][2] is not None) == moves


def test_a_twin_that_couples_slices_otherwise_does_not(fake: SimpleNamespace) -> None:
    after = "  - {name: ring, input: n, func: fake.ring, outputs: {labels: rings}}\n"
    text = (
        "name: demo\nsteps:\n  - {name: n, func: {call: fake.segment, args: {min_diameter: 4}}, outputs: {labels: n}}\n"
    )
    contexts = fake.stages(text + after, **GRANTED)
    calls = {c.call for context in contexts.values() for plan in context.step_plans.values() for c in plan.func.chain}
    assert calls == {"fakegpu.segment", "fake.ring"}
    assert {stage for stage, _ in contexts} == {"s01-gpu", "s02-cpu"}


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        (("fake.generic",), ["numpy"]),
        (("fake.generic", "fake.gamma"), ["numpy", "numpy"]),
        (("fake.generic", "fake.blur"), ["cupy", "cupy"]),
        (("fake.blur", "fake.generic", "fake.generic"), ["cupy", "cupy", "cupy"]),
        (("fake.gamma", "fake.generic", "fake.blur"), ["numpy", "cupy", "cupy"]),
        (("fake.blur", "fake.generic", "fake.gamma", "fake.generic"), ["cupy", "cupy", "numpy", "numpy"]),
    ],
)
def test_generic_functions_run_where_their_image_lies(
    fake: SimpleNamespace, functions: tuple[str, ...], expected: list[str]
) -> None:
    assert [memory for _, memory, _ in chain(fake, pipeline(*functions), **GRANTED)] == expected


def test_generic_functions_follow_the_step_before(fake: SimpleNamespace) -> None:
    text = pipeline("fake.blur", after="  - {name: b, func: fake.generic, keep: true}\n").replace(", keep: true", "", 1)
    contexts = fake.stages(text, **GRANTED)
    context = contexts["s01-gpu", "B02"]
    assert [plan.func.chain[0].memory_type for plan in context.step_plans.values()] == ["cupy", "cupy"]
    cupy = {reference.id: reference.dependencies.get("cupy") for reference in context.functions}
    assert cupy["fake.generic"] == cupy_version()
    on_cpu = fake.stages(text)["s01-cpu", "B02"]
    assert not any("cupy" in reference.dependencies for reference in on_cpu.functions)


def test_routes_are_replaced_each_by_itself(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, group_by: channel, func: {DNA: fake.blur, GFP: fake.gamma}, keep: true}\n"
    plan = fake.stages(text, **GRANTED)["s01-gpu", "B02"].step_plans[0]
    assert {value: found[0].call for value, found in plan.func.routes.items()} == {
        "DNA": "fakegpu.blur", "GFP": "fake.gamma",
    }  # fmt: skip


def test_a_step_may_ask_for_a_gpu_itself(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, gpu: 1, func: fake.gamma, keep: true}\n"
    assert {stage for stage, _ in fake.stages(text, device="auto")} == {"s01-gpu"}
    (problem,) = fake.problems(text, device="cpu")
    assert problem.startswith("pipeline.yaml:3: Step 'a': it asks for a GPU, and the configuration says `device: cpu`.")


def test_what_moves_between_memories_is_shown(fake: SimpleNamespace) -> None:
    context = fake.stages(pipeline("fake.generic", "fake.blur", "fake.gamma"), **GRANTED)["s01-gpu", "B02"]
    assert moves(context, context.step_plans[0]) == [
        "numpy → cupy before fake.generic", "cupy → numpy before fake.gamma",
    ]  # fmt: skip
    on_cpu = fake.stages(pipeline("fake.generic", "fake.blur"))["s01-cpu", "B02"]
    assert moves(on_cpu, on_cpu.step_plans[0]) == []


def test_real_functions_and_their_inferred_twins(fake: SimpleNamespace, tmp_path: Path) -> None:
    text = pipeline(
        "{call: skimage.filters.gaussian, args: {sigma: 2}}",
        "{call: scipy.ndimage.grey_opening, args: {size: 5}}",
        "{call: skimage.morphology.white_tophat, args: {footprint: [[1, 1], [1, 1]]}}",
    )
    made = fake.settings(**GRANTED)
    drafts, problems = draft_contexts(
        made.plates[0], made, fake.index(), parse_pipeline(text, "pipeline.yaml"), RegistryService(tmp_path)
    )
    assert problems == []
    calls = drafts[0].step_plans[0].func.chain
    assert [(call.call, call.twin_of) for call in calls] == [
        ("cucim.skimage.filters.gaussian", "skimage.filters.gaussian"),
        ("cupyx.scipy.ndimage.grey_opening", "scipy.ndimage.grey_opening"),
        ("skimage.morphology.white_tophat", None),
    ]
    versions = {
        reference: drafts[0].functions.reference(reference).dependencies for reference in (calls[0].call, calls[1].call)
    }
    assert all(dict(found) == {"cupy": cupy_version()} for found in versions.values())
