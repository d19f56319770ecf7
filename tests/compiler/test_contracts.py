"""Phase 4: functions, arguments, and what flows between calls."""

# ruff: noqa: E501 (messages stand as they are printed)

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.images import ImageType, result_of


def one(func: str, keys: str = "keep: true") -> str:
    return f"name: demo\nsteps:\n  - name: a\n    func: {func}\n    {keys}\n"


def stacked(func: str, axis: str, keys: str = "keep: true") -> str:
    return one(func, f"stack: {axis}\n    {keys}")


def calls(fake: SimpleNamespace, text: str, **index: Any) -> Any:
    return fake.compile(text, fake.index(**index))["B02"].step_plans[0].func.chain


@pytest.mark.parametrize(
    ("func", "axis", "contract", "slice_by_slice", "values_left"),
    [
        ("fake.to_float", "z", "PURE_2D", False, 3),
        ("fake.blur", "z", "FLEXIBLE", False, 3),
        ("fake.blur", "site", "FLEXIBLE", True, 2),
        ("fake.blur", "channel", "FLEXIBLE", True, 2),
        ("fake.gamma", "channel", "FLEXIBLE", False, 2),
        ("fake.along", "channel", "FLEXIBLE", False, 2),
        ("{call: fake.along, args: {axis: 0}}", "channel", "FLEXIBLE", True, 2),
        ("{call: fake.along, args: {axis: 0}}", "z", "FLEXIBLE", False, 3),
        ("fake.project", "z", "VOLUMETRIC_TO_SLICE", False, 1),
        ("fake.volume", "z", "PURE_3D", False, 3),
        ("fake.unmix", "channel", "PURE_3D", False, 2),
    ],
)
def test_what_a_stack_becomes(
    fake: SimpleNamespace, func: str, axis: str, contract: str, slice_by_slice: bool, values_left: int
) -> None:
    plan = fake.compile(stacked(func, axis), fake.index(z=3))["B02"].step_plans[0]
    call = plan.func.chain[0]
    assert (call.contract, call.slice_by_slice) == (contract, slice_by_slice)
    assert len(plan.output_domain.values(axis)) == values_left


@pytest.mark.parametrize(
    ("axis", "more", "args", "slice_by_slice"),
    [
        ("z", "", {"sigma": 2}, False),
        ("z", "slice_by_slice: true", {"sigma": 2, "axes": (-2, -1)}, False),
        ("site", "", {"sigma": 2, "axes": (-2, -1)}, False),
    ],
)
def test_slices_are_kept_apart_by_arguments_where_some_are_known(
    fake: SimpleNamespace, axis: str, more: str, args: dict[str, Any], slice_by_slice: bool
) -> None:
    text = stacked("{call: fake.apart, args: {sigma: 2}}", axis, f"keep: true\n    {more}")
    (call,) = calls(fake, text, z=3)
    assert (dict(call.args), call.slice_by_slice) == (args, slice_by_slice)


def test_arguments_of_the_user_stay(fake: SimpleNamespace) -> None:
    (call,) = calls(fake, stacked("{call: fake.apart, args: {axes: [1]}}", "site", "keep: true"), z=3)
    assert (dict(call.args), call.slice_by_slice) == ({"axes": (1,)}, True)


def test_slice_by_slice_where_the_step_says_so(fake: SimpleNamespace) -> None:
    text = stacked("fake.blur", "z", "keep: true\n    slice_by_slice: true")
    assert calls(fake, text, z=3)[0].slice_by_slice is True


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (one("fake.noise"), "4: Step 'a': fake.noise gives another result at each call. Give `rng` a number."),
        (one("fake.chance"), "4: Step 'a': fake.chance gives another result at each call. Take another function."),
        (stacked("fake.volume", "channel"),
         "4: Step 'a': fake.volume mixes the slices of a stack as if they were z-planes, and the step stacks channel."),
        (stacked("fake.volume", "site"),
         "4: Step 'a': fake.volume mixes the slices of a stack as if they were z-planes, and the step stacks site."),
        (stacked("fake.unmix", "z"), "4: Step 'a': fake.unmix is made for channel, and the step stacks z."),
        (stacked("fake.project", "channel"), "4: Step 'a': fake.project is made for z, and the step stacks channel."),
        (one("fake.volume"), "4: Step 'a': fake.volume takes stacks (n, y, x), and is given planes. Stack an axis with `stack`."),
        (stacked("[fake.project, fake.volume]", "z"), "4: Step 'a': fake.volume takes stacks (n, y, x), and is given planes. The stack was reduced by a function before."),
        (stacked("fake.volume", "z", "keep: true\n    slice_by_slice: true"),
         "4: Step 'a': fake.volume takes whole stacks, not slice by slice."),
        (one("[fake.threshold, fake.blur]"),
         "4: Step 'a': fake.blur needs an image, and is given a scalar. Take the one before it out."),
        (one("fake.threshold"), "4: Step 'a': fake.threshold yields a scalar, where an image is needed. A step needs an image, labels or a table."),
        (stacked("fake.threshold", "z"), "4: Step 'a': fake.threshold takes planes and yields a scalar, which slices of a stack cannot share. Leave out `stack`: it is called for every plane."),
        (one("fake.blur", "outputs: {labels: x}"), "5: Step 'a': fake.blur yields an image, not labels."),
        (one("{call: fake.segment, args: {min_diameter: 2}}", "outputs: {table: x}"),
         "5: Step 'a': fake.segment yields labels, not a table."),
        (one("[fake.to_float, fake.to_float]"), "4: Step 'a': fake.to_float does not take float64. It takes uint16, uint8."),
        (one("fake.ring", "outputs: {labels: x}"), "4: Step 'a': fake.ring does not take uint16. It takes labels: name their step by `input`."),
        (one("fake.stretch"), "4: Step 'a': fake.stretch rescales pixel values. Say `may_rescale: true` in the step, if that is meant."),
        (one("{call: fake.rescale, args: {preserve_range: false}}"),
         "4: Step 'a': with preserve_range: False, fake.rescale rescales pixel values. Leave it out, or say `may_rescale: true` in the step."),
        (one("fake.blurr"), "4: Step 'a': There is no function 'fake.blurr'. Did you mean fake.blur or fake.volume or fake.measure?"),
        (one("[fake.blur, {call: fake.blur, args: {sgima: 1}}]"),
         "4: Step 'a': fake.blur has no parameter 'sgima'. Did you mean sigma?"),
        (one("{call: fake.to_float, args: {x: 1}}"), "4: Step 'a': fake.to_float has no parameter 'x'. It has none."),
        (one("fake.segment", "outputs: {labels: x}"),
         "4: Step 'a': fake.segment needs the argument 'min_diameter'. Give it under `args`."),
        (stacked("{call: fake.project, args: {method: maximum}}", "z"),
         "4: Step 'a': 'method' should be max or mean, found 'maximum'."),
        (one("{call: fake.blur, args: {sigma: wide}}"), "4: Step 'a': 'sigma' should be float, found 'wide'."),
        (one("{call: fake.blur, args: {sigma: true}}"), "4: Step 'a': 'sigma' should be float, found True."),
        (one("{call: fake.blur, args: {sigma: 8 s}}"),
         "4: Step 'a': 'sigma': the unit of '8 s' is no length; expected px, nm, um or mm (or px2, um2 for an area)."),
        (one("{call: fake.segment, args: {min_diameter: 2, min_area: 3 um}}", "outputs: {labels: x}"),
         "4: Step 'a': 'min_area' should be an area of 0 or more, in pixels or with a unit, found '3 um'."),
        (one("{call: fake.segment, args: {min_diameter: 2, min_area: small}}", "outputs: {labels: x}"),
         "4: Step 'a': 'min_area' should be an area of 0 or more, in pixels or with a unit, found 'small'."),
        (one("{call: fake.segment, args: {min_diameter: 2, min_area: -3}}", "outputs: {labels: x}"),
         "4: Step 'a': 'min_area' should be an area of 0 or more, in pixels or with a unit, found -3."),
        (one("{call: fake.segment, args: {min_diameter: 2, min_area: -3 um2}}", "outputs: {labels: x}"),
         "4: Step 'a': 'min_area' should be an area of 0 or more, in pixels or with a unit, and '-3 um2' is -12 pixels."),
        (one("{call: fake.segment, args: {min_diameter: 2, rank: 0.3 um}}", "outputs: {labels: x}"),
         "4: Step 'a': 'rank' should be int | None, and '0.3 um' is 0.6 pixels."),
        (one("{call: fake.segment, args: {min_diameter: 2, declump: 1}}", "outputs: {labels: x}"),
         "4: Step 'a': 'declump' should be bool, found 1."),
        (one("{call: fake.blur, args: {sigma: [1 px, 2 px]}}"),
         "4: Step 'a': 'sigma' should be float, found ['1 px', '2 px']."),
        (one("{call: fake.windowed, args: {size: three}}"), "4: Step 'a': 'size' should be float | Sequence[float], found 'three'."),
        (one("{call: fake.windowed, args: {size: [3, x]}}"), "4: Step 'a': 'size' should be float | Sequence[float], found [3, 'x']."),
        (one("{call: fake.windowed, args: {size: [1 px, x]}}"), "4: Step 'a': 'size' should be float | Sequence[float], found ['1 px', 'x']."),
        (one("{call: fake.gamma, args: {gamma: [1, x]}}"), "4: Step 'a': 'gamma' should be a number, found [1, 'x']."),
        (one("{call: fake.to_complex, args: {output: float32}}"),
         "4: Step 'a': 'output' says where fake.to_complex puts its result, and the step does. Leave it out."),
        (one("fake.to_complex"), "5: Step 'a': its image cannot be written: 'complex128' is no dtype of an image."),
        (one("fake.shrink"), "5: Step 'a': fake.shrink changes the size of the image, and what is written has that of the plate's planes."),
        (one("fake.rotate"), "5: Step 'a': fake.rotate changes the size of the image, and what is written has that of the plate's planes. Give it `reshape: false`."),
        (one("[fake.shrink, {call: fake.segment, args: {min_diameter: 2}}]", "outputs: {labels: x}"),
         "5: Step 'a': fake.shrink changes the size of the image, and what is written has that of the plate's planes."),
        (one("{call: fake.gamma, args: {gamma: high}}"), "4: Step 'a': 'gamma' should be a number, found 'high'."),
        (one("{call: fake.rescale, args: {preserve_range: 1}}", "keep: true\n    may_rescale: true"),
         "4: Step 'a': 'preserve_range' should be true or false, found 1."),
    ],
)  # fmt: skip
def test_what_a_contract_refuses(fake: SimpleNamespace, text: str, problem: str) -> None:
    assert f"pipeline.yaml:{problem}" in fake.problems(text, fake.index(z=2))


def test_a_unit_needs_the_pixel_size(fake: SimpleNamespace) -> None:
    problems = fake.problems(one("{call: fake.blur, args: {sigma: 8 um}}"), fake.index(pixel_size_um=None))
    assert problems == [
        "pipeline.yaml:4: Step 'a': 'sigma': '8 um' cannot be converted to pixels, because the plate's pixel size is unknown: write it into the column `pixel_size_um` of the table of plates."
    ]


@pytest.mark.parametrize(
    ("args", "stored"),
    [
        ("{sigma: 8 um}", {"sigma": 16.0}),
        ("{sigma: 3}", {"sigma": 3}),
        ("{sigma: 2 px}", {"sigma": 2.0}),
    ],
)
def test_quantities_become_pixels(fake: SimpleNamespace, args: str, stored: dict[str, Any]) -> None:
    assert calls(fake, one(f"{{call: fake.blur, args: {args}}}"))[0].args == stored


def test_quantities_within_lists_become_pixels(fake: SimpleNamespace) -> None:
    assert calls(fake, one("{call: fake.windowed, args: {size: [8 um, 3 px, 2]}}"))[0].args == {"size": (16.0, 3.0, 2)}
    assert calls(fake, one("{call: fake.gamma, args: {gamma: [1 um, 3]}}"))[0].args == {"gamma": (2.0, 3)}


def test_a_switch_keeps_the_size(fake: SimpleNamespace) -> None:
    assert calls(fake, one("{call: fake.rotate, args: {reshape: false}}"))[0].args == {"reshape": False}


def test_labels_do_not_lie_on_an_image_of_another_size(fake: SimpleNamespace) -> None:
    small = "  - {name: small, input: raw, func: fake.shrink}\n  - name: measure\n    input: small"
    text = fake.nuclei.replace("  - name: measure\n    input: raw", small)
    assert fake.problems(text) == [
        "pipeline.yaml:11: Step 'measure': fake.measure takes labels, which may not fit its image: fake.shrink changed the size."
    ]


def test_areas_and_whole_numbers_of_pixels(fake: SimpleNamespace) -> None:
    text = one("{call: fake.segment, args: {min_diameter: 2, min_area: 30 um2, rank: 2 um}}", "outputs: {labels: x}")
    assert calls(fake, text)[0].args == {"min_diameter": 2, "min_area": 120.0, "rank": 4}


def test_arbitrary_keywords_are_taken_where_the_function_takes_them(fake: SimpleNamespace) -> None:
    assert calls(fake, one("{call: fake.any, args: {whatever: [1, two]}}"))[0].args == {"whatever": (1, "two")}


def test_the_scale_is_kept_unless_the_step_says_otherwise(fake: SimpleNamespace) -> None:
    assert calls(fake, one("fake.rescale"))[0].args == {"preserve_range": True}
    assert calls(fake, one("fake.rescale", "keep: true\n    may_rescale: true"))[0].args == {}
    assert calls(fake, one("fake.stretch", "keep: true\n    may_rescale: true"))[0].args == {}


def test_what_draws_numbers_is_taken_with_a_seed(fake: SimpleNamespace) -> None:
    assert calls(fake, one("{call: fake.noise, args: {rng: 7}}"))[0].args == {"rng": 7}


def test_an_argument_that_is_an_input_too(fake: SimpleNamespace) -> None:
    text = fake.nuclei.replace("func: fake.measure", "func: {call: fake.measure, args: {labels: 3}}")
    assert fake.problems(text) == ["pipeline.yaml:10: Step 'measure': 'labels' is given under `inputs` too."]


def test_the_pattern_is_stored_with_routes(fake: SimpleNamespace) -> None:
    text = one(
        "{DNA: fake.blur, GFP: [fake.blur, {call: fake.gamma, args: {gamma: 2}}]}", "keep: true\n    group_by: channel"
    )
    func = fake.compile(text)["B02"].step_plans[0].func
    assert func.group_by == "channel"
    assert [call.call for call in func.chain_for("GFP")] == ["fake.blur", "fake.gamma"]
    assert func.chain_for("GFP")[1].args == {"gamma": 2}
    assert [call.call for call in func.chain_for("DNA")] == ["fake.blur"]


@pytest.mark.parametrize(("dtype", "kind"), [("bool", "mask"), ("float64", "image"), ("int64", "labels")])
def test_what_takes_labels_and_masks_gives_what_it_was_given(fake: SimpleNamespace, dtype: str, kind: str) -> None:
    entry = dataclasses.replace(fake.entries["fake.gamma"], returns="labels", dtypes={dtype: dtype})
    assert result_of(entry, ImageType("image", 2, dtype), {}).kind == kind


def test_labels_of_a_step_are_int32(fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = dataclasses.replace(fake.entries["fake.segment"], dtypes={"uint16": "int64"})
    monkeypatch.setitem(fake.entries, "fake.segment", wide)
    ring = "  - {name: ring, input: a, func: fake.ring, outputs: {labels: y}}\n"
    plans = fake.compile(one("{call: fake.segment, args: {min_diameter: 2}}", "outputs: {labels: x}") + ring)[
        "B02"
    ].step_plans
    assert [plan.dtype for plan in plans.values()] == ["int32", "int32"]


def test_labels_stay_labels_through_functions_of_images(fake: SimpleNamespace) -> None:
    text = one("[{call: fake.segment, args: {min_diameter: 2}}, fake.gamma]", "outputs: {labels: x}")
    assert fake.compile(text)["B02"].step_plans[0].returns == "labels"


def test_wide_values_are_not_squeezed_into_narrow_integers(
    fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rank filters of scikit-image turn floats into [0, 255], whatever they were."""
    probed = dataclasses.replace(fake.entries["fake.rank"], origin="probed")
    monkeypatch.setitem(fake.entries, "fake.rank", probed)
    func = "[fake.to_float, fake.rank]"
    assert fake.problems(one(func)) == [
        (
            "pipeline.yaml:4: Step 'a': fake.rank rescales pixel values of float64 to those of uint8. "
            "Give it uint16 or uint8, or say `may_rescale: true` in the step, if that is meant."
        )
    ]
    assert calls(fake, one(func, "may_rescale: true\n    keep: true"))[1].dtypes == ("float64", "uint16", "uint8")
    # Where the dtype is not known before, what is given when it runs is held against this.
    assert calls(fake, one("[fake.guess, fake.rank, fake.shapes]", "outputs: {table: t}"))[1].dtypes == (
        "uint16",
        "uint8",
    )
