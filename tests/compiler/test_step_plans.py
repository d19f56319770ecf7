"""Phase 1: where images, named values and metadata come from."""

# ruff: noqa: E501 (messages stand as they are printed)

import dataclasses
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.metadata import RESOLVERS
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.contexts.lazy import LazyFile
from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.domains import Domain
from hcs_lib.plates.index import PlateIndex


def steps(*lines: str) -> str:
    return "name: demo\nsteps:\n" + "".join(f"  - {line}\n" for line in lines)


BLUR = "{name: blur, func: fake.blur}"
NUCLEI = (
    "{name: nuclei, channels: [DNA], func: {call: fake.segment, args: {min_diameter: 2 px}}, outputs: {labels: nuclei}}"
)
RING = "{name: ring, input: nuclei, func: fake.ring, outputs: {labels: ring}}"
MEASURE = "{name: measure, input: raw, stack: channel, func: fake.measure, inputs: {labels: [nuclei]}, outputs: {table: cells}}"
KEEP = "{name: last, func: fake.gamma, keep: true}"


def test_plans_are_keyed_by_index_and_say_where_they_read(fake: SimpleNamespace) -> None:
    context = fake.compile(steps(BLUR, NUCLEI, RING, MEASURE, "{name: late, func: fake.gamma, keep: true}"))["B03"]
    plans = context.step_plans
    assert [plan.step_name for plan in plans.values()] == ["blur", "nuclei", "ring", "measure", "late"]
    assert [plan.step_index for plan in plans.values()] == list(plans) == [0, 1, 2, 3, 4]
    assert {plan.axis_id for plan in plans.values()} == {"B03"}
    # Labels and tables are not "the step before": late reads blur.
    assert [plan.input for plan in plans.values()] == [None, 0, 1, None, 0]
    assert [plan.input_path for plan in plans.values()] == ["", None, None, "", None]
    assert [plan.output_path for plan in plans.values()] == [
        None, "demo.zarr/B/03", "demo.zarr/B/03", "tables/wells/B03/cells.parquet", "demo.zarr/B/03"
    ]  # fmt: skip
    assert plans[1].domain == Domain((1, 2), ("DNA",), (1,), (0,))
    assert plans[3].domain == Domain((1, 2), ("GFP", "DNA"), (1,), (0,))
    assert plans[3].output_domain == Domain((1, 2), (None,), (1,), (0,))
    assert [link.producer for link in plans[3].special_inputs["labels"]] == [1]
    assert plans[3].func.chain[0].special_inputs == {"labels": ("nuclei",)}


def test_a_disabled_step_does_not_exist(fake: SimpleNamespace) -> None:
    without = fake.compile(steps(BLUR, KEEP))["B02"]
    disabled = fake.compile(steps(BLUR, "{name: idle, func: fake.volume, enabled: false}", KEEP))["B02"]
    assert disabled == without


def test_one_name_and_several(fake: SimpleNamespace) -> None:
    one = MEASURE.replace("[nuclei]", "nuclei")
    assert fake.compile(steps(NUCLEI, one))["B02"].step_plans[1].func.chain[0].special_inputs == {"labels": "nuclei"}
    both = MEASURE.replace("[nuclei]", "[ring, nuclei]")
    plan = fake.compile(steps(NUCLEI, RING, both))["B02"].step_plans[2]
    assert plan.func.chain[0].special_inputs == {"labels": ("ring", "nuclei")}
    assert [(link.name, link.producer) for link in plan.special_inputs["labels"]] == [("ring", 1), ("nuclei", 0)]


def test_metadata_is_injected_where_no_step_is_named(fake: SimpleNamespace) -> None:
    plan = fake.compile(steps(NUCLEI, MEASURE))["B02"].step_plans[1]
    assert plan.func.chain[0].args == {"channel_names": ("GFP", "DNA"), "pixel_size_um": 0.5}
    given = MEASURE.replace("fake.measure", "{call: fake.measure, args: {channel_names: [x, y]}}")
    plan = fake.compile(steps(NUCLEI, given))["B02"].step_plans[1]
    assert plan.func.chain[0].args["channel_names"] == ("x", "y")
    unknown = fake.compile(steps(NUCLEI, MEASURE), fake.index(pixel_size_um=None))["B02"].step_plans[1]
    assert unknown.func.chain[0].args == {"channel_names": ("GFP", "DNA")}


def test_stitching_reads_the_grid_and_hands_positions_on(fake: SimpleNamespace) -> None:
    text = steps(
        "{name: positions, channels: [DNA], stack: site, func: fake.positions, outputs: {positions: tiles}}",
        "{name: assemble, input: raw, stack: site, func: fake.assemble, inputs: {positions: tiles}, keep: true}",
    )
    context = fake.compile(text, fake.index(z=3, z_spacing_um=2.0, grid=(4, 6)))["B02"]
    positions, assemble = context.step_plans.values()
    assert positions.func.chain[0].args == {"grid_dimensions": (4, 6), "z_spacing_um": 2.0}
    assert positions.func.chain[0].special_outputs == ("positions",)
    assert assemble.func.chain[0].special_inputs == {"positions": "tiles"}
    assert assemble.output_domain == Domain((None,), ("GFP", "DNA"), (1, 2, 3), (0,))
    assert assemble.zarr_store.groups == {"all": "B/02/all"}


def test_the_step_state_is_the_resolved_configuration(fake: SimpleNamespace) -> None:
    context = fake.compile(steps(BLUR.replace("fake.blur", "{call: fake.blur, args: {sigma: 2}}"), KEEP))["B02"]
    assert context.step_state_map[0] == {"name": "blur", "func": ({"call": "fake.blur", "args": {"sigma": 2}},)}


def test_later_edits_do_not_reach_a_context(fake: SimpleNamespace) -> None:
    """Neither of the pipeline that it was compiled from, nor of the drafts that the phases filled."""
    drafts, problems = fake.draft(steps("{name: first, func: {call: fake.gamma, args: {gamma: [1, 2]}}}", KEEP))
    assert problems == []
    (part,) = divide_into_stages(drafts, gated=False)
    first, *_ = part.freeze(fake.execution, {})
    before = first.digest, canonical_json(first.to_json())
    call = part.step_plans[0].pattern[None][0]
    call.args["gamma"].append(3)
    call.args["more"] = 1
    call.source.args["gamma"].append(3)
    part.step_state_map[0]["name"] = "other"
    part.step_plans.pop(1)
    assert (first.digest, canonical_json(first.to_json())) == before
    with pytest.raises(TypeError):
        first.step_plans[2] = first.step_plans[0]
    with pytest.raises(TypeError):
        first.step_state_map[0]["name"] = "other"
    with pytest.raises(AttributeError):
        first.step_plans[0].func.chain[0].args["gamma"].append(3)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (("{name: a, input: blurr, func: fake.gamma, keep: true}",),
         "pipeline.yaml:3: Step 'a': there is no step 'blurr'. Earlier are raw."),
        ((BLUR, "{name: a, input: blurr, func: fake.gamma, keep: true}"),
         "pipeline.yaml:4: Step 'a': there is no step 'blurr'. Did you mean blur?"),
        (("{name: a, input: last, func: fake.gamma, keep: false}", KEEP),
         "pipeline.yaml:3: Step 'a': step 'last' does not come before this one. Earlier are raw."),
        (("{name: idle, func: fake.blur, enabled: false}", "{name: a, input: idle, func: fake.gamma, keep: true}"),
         "pipeline.yaml:4: Step 'a': step 'idle' is switched off here. Earlier are raw."),
        ((NUCLEI.replace("labels: nuclei", "labels: dots"), "{name: a, input: dots, func: fake.ring, outputs: {labels: r}}"),
         "pipeline.yaml:4: Step 'a': 'dots' is the name of an output. Name its step: nuclei."),
        ((NUCLEI, MEASURE, "{name: a, input: measure, func: fake.gamma, keep: true}"),
         "pipeline.yaml:5: Step 'a': step 'measure' yields a table, which is no image. Images come from raw."),
        (("{name: a, channels: [DNS], func: fake.gamma, keep: true}",),
         "pipeline.yaml:3: Step 'a': plate 'demo' has no channel 'DNS'. Did you mean DNA?"),
        (("{name: b, channels: [GFP], func: fake.blur}", "{name: a, channels: [DNA], func: fake.gamma, keep: true}"),
         "pipeline.yaml:4: Step 'a': its input has no channel 'DNA', only GFP. Take raw, or another step, by `input`."),
        (("{name: p, stack: z, func: fake.project}", "{name: a, stack: z, func: fake.volume, keep: true}"),
         "pipeline.yaml:4: Step 'a': there is no z left to stack, it was stacked before. Take an earlier step, or raw, by `input`."),
        (("{name: a, group_by: channel, func: {DNA: fake.blur}, keep: true}",),
         "pipeline.yaml:3: Step 'a': the routing table has nothing for channel GFP. Add it, or leave it out of `channels`."),
        (("{name: a, group_by: channel, func: {DNA: fake.blur, GFB: fake.blur, GFP: fake.blur}, keep: true}",),
         "pipeline.yaml:3: Step 'a': its input has no channel 'GFB'. Did you mean GFP?"),
        (("{name: a, group_by: channel, func: {DNA: fake.blur, GFP: [fake.blur, fake.threshold]}, keep: true}",),
         "pipeline.yaml:3: Step 'a': the routes give different things: DNA image (planes of uint16), GFP scalar (planes of unknown dtype)."),
        ((NUCLEI, MEASURE.replace("[nuclei]", "[nuclie]")),
         "pipeline.yaml:4: Step 'measure': no earlier step names 'nuclie' among its outputs. Did you mean nuclei?"),
        ((MEASURE, NUCLEI), "pipeline.yaml:3: Step 'measure': 'nuclei' is made by step 'nuclei', which does not come before this one."),
        ((NUCLEI.replace("outputs", "enabled: false, outputs"), MEASURE),
         "pipeline.yaml:4: Step 'measure': 'nuclei' is made by step 'nuclei', which is switched off here."),
        ((NUCLEI, MEASURE.replace("labels: [", "label: [")),
         "pipeline.yaml:4: Step 'measure': no function takes 'label'. Did you mean labels?"),
        ((NUCLEI, NUCLEI.replace("name: nuclei", "name: again")),
         "pipeline.yaml:4: Step 'again': 'nuclei' is the name of an output of step 'nuclei' already. Names that differ only in case count as the same."),
        ((NUCLEI.replace("channels: [DNA], ", ""), MEASURE),
         "pipeline.yaml:4: Step 'measure': fake.measure takes one 'nuclei' for all channels, and there is one for each of GFP, DNA. Say `channels: [GFP]` in the step that makes it."),
        ((NUCLEI.replace("labels: nuclei", "label: nuclei"),),
         "pipeline.yaml:3: Step 'nuclei': it has no output 'label'. Did you mean labels or table?"),
        ((NUCLEI.replace("labels: nuclei", "labels: nuclei, table: t"),),
         "pipeline.yaml:3: Step 'nuclei': what a step yields is labels or a table, not both."),
        ((NUCLEI, MEASURE.replace("stack: channel, ", "")),
         "pipeline.yaml:4: Step 'measure': fake.measure needs 'channel_names', and it is called for each of the channels GFP, DNA by itself. Stack them (`stack: channel`), or take one with `channels`."),
        (("{name: a, stack: site, func: fake.positions, keep: true}",),
         "pipeline.yaml:3: Step 'a': fake.positions needs 'z_spacing_um', and the distance of the plate's z-planes is unknown. Give it under `args`."),
        (("{name: a, stack: site, func: fake.assemble, keep: true}",),
         "pipeline.yaml:3: Step 'a': fake.assemble needs 'positions', and no earlier step is named for it. Write `inputs: {positions: …}`."),
    ],
)  # fmt: skip
def test_what_cannot_be_planned(fake: SimpleNamespace, lines: tuple[str, ...], problem: str) -> None:
    assert problem in fake.problems(steps(*lines), fake.index(z=2))


def test_a_value_for_each_z_is_ambiguous_without_z(fake: SimpleNamespace) -> None:
    text = steps(
        NUCLEI,
        "{name: flat, input: raw, stack: z, func: fake.project}",
        MEASURE.replace("input: raw", "input: flat"),
    )
    assert (
        "pipeline.yaml:5: Step 'measure': 'nuclei' is ambiguous: there is one for each of 3 values of z, and the images of this step have no z any more. Take it before z is stacked, or make it after."
    ) in fake.problems(text, fake.index(z=3))
    fake.compile(text, fake.index(z=1))


def test_labels_of_one_channel_do_not_serve_what_they_were_not_made_for(fake: SimpleNamespace) -> None:
    both = NUCLEI.replace("channels: [DNA], ", "channels: [DNA, GFP], ")
    text = steps(both, MEASURE)
    index = fake.index(channels={"1": "DNA", "2": "GFP", "3": "RFP"})
    assert "pipeline.yaml:4: Step 'measure': 'nuclei' was not made for channel RFP." in fake.problems(text, index)
    fake.compile(steps(NUCLEI, MEASURE), index)


FLAT = "{name: light, scope: plate, channels: [DNA], stack: site, func: fake.mean, outputs: {image: flat}}"
EVEN = "{name: even, input: raw, func: fake.divide, inputs: {field: flat}, keep: true}"


def test_an_image_of_one_channel_does_not_serve_others(fake: SimpleNamespace) -> None:
    for maker in (FLAT, FLAT.replace("scope: plate, ", "")):
        assert fake.problems(steps(maker, EVEN)) == [
            (
                "pipeline.yaml:4: Step 'even': 'flat' is an image of channel DNA, and would be used for channel GFP. "
                "Make it of the same channels: say which by `channels`, there or here."
            )
        ]
        fake.compile(steps(maker, EVEN.replace("raw,", "raw, channels: [DNA],")))
        fake.compile(steps(maker.replace("channels: [DNA], ", ""), EVEN))


def test_an_image_of_one_channel_does_not_serve_merged_channels(fake: SimpleNamespace) -> None:
    merged = "{name: merged, input: raw, stack: channel, func: fake.brightest}"
    assert fake.problems(steps(FLAT, merged, EVEN.replace("raw", "merged"))) == [
        (
            "pipeline.yaml:5: Step 'even': 'flat' is an image of channel DNA, and would be used for images that have no "
            "channel any more. Make it of the same channels: say which by `channels`, there or here."
        )
    ]


def test_a_merged_image_and_a_mask_of_one_channel_serve_all(fake: SimpleNamespace) -> None:
    for maker in ("stack: channel, func: fake.brightest", "channels: [DNA], func: fake.cut_off"):
        fake.compile(steps(f"{{name: a, {maker}, outputs: {{image: flat}}}}", EVEN))


@pytest.mark.parametrize(
    ("channels", "index", "problems"),
    [
        ('{DNA: "2", GFP: "1"}', {}, []),
        ("{DNA: DAPI}", {"channels": {"w1": "DAPI", "w2": "GFP"}}, []),
        ("{DNA: w1}", {"channels": {"w1": "DAPI", "w2": "GFP"}}, []),
        ('{DNA: "3"}', {"channels": {"1": "a", "2": "b"}},
         ["pipeline.yaml:2: Plate 'demo' has no channel '3'. It has 1 (a), 2 (b)."]),
        ("{DNA: DAPI, Nuc: w1}", {"channels": {"w1": "DAPI", "w2": "GFP"}},
         ["pipeline.yaml:2: Channel 'w1' of plate 'demo' is named 'DNA' already."]),
        ("{DNA: w1}", {"channels": {"w1": "x", "w2": "DNA"}},
         ["pipeline.yaml:2: Two channels of plate 'demo' are called 'DNA'. Name both under `channels`, by their ids: w1, w2."]),
    ],
)  # fmt: skip
def test_names_of_channels(fake: SimpleNamespace, channels: str, index: dict[str, Any], problems: list[str]) -> None:
    text = f"name: x\nchannels: {channels}\nsteps:\n  - {{name: a, func: fake.blur, keep: true}}\n"
    if problems:
        assert fake.problems(text, fake.index(**index)) == problems
    else:
        assert "DNA" in fake.compile(text, fake.index(**index))["B02"].metadata.channel_names


def test_all_errors_of_all_steps_are_said_at_once(fake: SimpleNamespace) -> None:
    text = steps(
        "{name: a, channels: [DNS], func: fake.blurr}",
        "{name: b, func: {call: fake.blur, args: {sigmas: 2}}}",
        "{name: c, input: bb, func: fake.threshold}",
    )
    assert len(fake.problems(text)) == 6


def uneven(fake: SimpleNamespace) -> PlateIndex:
    """DNA was taken at z 1, 2, 3, and GFP at z 2 alone."""
    index = fake.index(z=3)
    planes = tuple(plane for plane in index.planes if plane.channel == "2" or plane.z == 2)
    return PlateIndex(**(dict(index) | {"planes": planes}))


PROJECT = "{name: project, channels: [DNA], stack: z, func: fake.project, keep: true}"


def test_channels_of_other_z_planes_each_in_a_step_of_its_own(fake: SimpleNamespace) -> None:
    measure = MEASURE.replace("input: raw,", "input: raw, channels: [GFP],")
    context = fake.compile(steps(PROJECT, NUCLEI, measure), uneven(fake))["B03"]
    assert [plan.domain.z for plan in context.step_plans.values()] == [(1, 2, 3), (None,), (2,)]
    assert context.problems == ()
    assert [(ref.channel, ref.z) for ref in context.planes if ref.site == 1] == [
        ("GFP", 2), ("DNA", 1), ("DNA", 2), ("DNA", 3),
    ]  # fmt: skip


def test_a_hole_is_still_one_where_channels_differ(fake: SimpleNamespace) -> None:
    index = uneven(fake)
    planes = tuple(plane for plane in index.planes if plane.address != ("B03", 2, "2", 3, 0))
    context = fake.compile(steps(PROJECT), PlateIndex(**(dict(index) | {"planes": planes})))["B03"]
    assert [(bad.kind, bad.site, bad.channel, bad.z) for bad in context.problems] == [("missing", 2, "DNA", 3)]


def test_channels_of_other_z_planes_in_one_step(fake: SimpleNamespace) -> None:
    (found,) = fake.problems(steps(KEEP), uneven(fake))
    assert found == (
        "pipeline.yaml:3: Step 'last': its channels were not taken at the same z-planes and time points: "
        "GFP at z 2 and t 0; DNA at z 1, 2, 3 and t 0. "
        "Take channels that were taken alike, by `channels`; others in a step of their own."
    )


def test_z_planes_of_one_time_point_only(fake: SimpleNamespace) -> None:
    index = fake.index(channels={"1": "DNA"}, z=2)
    late = tuple(plane.model_copy(update={"t": 1}) for plane in index.planes if plane.z == 1)
    ragged = PlateIndex(**(dict(index) | {"planes": (*index.planes, *late), "t": (0, 1)}))
    (found,) = fake.problems(steps(KEEP), ragged)
    assert "DNA at other z-planes at other time points" in found


def test_labels_do_not_lie_on_a_raw_image_of_uneven_channels(fake: SimpleNamespace) -> None:
    measure = MEASURE.replace("input: raw,", "input: raw, channels: [GFP],")
    (found,) = fake.problems(steps(PROJECT.replace(", keep: true", ""), NUCLEI, measure), uneven(fake))
    assert "Step 'nuclei': no step keeps an image" in found
    assert "keep: true" in found


def test_a_resolver_may_give_a_reference_to_a_file(fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    consult = dataclasses.replace(fake.entries["fake.consult"], special_inputs=("table",))
    monkeypatch.setitem(fake.entries, "fake.consult", consult)
    monkeypatch.setitem(RESOLVERS, "table", lambda context, plan: context.files.reference("plates.schema.json"))
    context = fake.compile("name: demo\nsteps:\n  - {name: a, func: fake.consult, keep: true}\n")["B02"]
    given = LazyFile.of(context.step_plans[0].func.chain[0].args["table"])
    assert given is not None
    schemas = Path(__file__).parents[2] / "workflow" / "schemas"
    assert (given.lazy, given.name) == ("json", "plates.schema.json")
    assert given.sha256 == hashlib.sha256((schemas / "plates.schema.json").read_bytes()).hexdigest()
    # What the user names wins.
    text = "name: demo\nsteps:\n  - {name: a, func: {call: fake.consult, args: {table: {x: 1}}}, keep: true}\n"
    assert fake.compile(text)["B02"].step_plans[0].func.chain[0].args["table"] == {"x": 1}


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        ("input: raw, stack: site, func: fake.mosaic, inputs: {positions: tile}, keep: true",
         "no earlier step names 'tile' among its outputs. Did you mean tiles?"),
        ("input: place, func: fake.blur, keep: true", "there is no step 'place'. Did you mean places?"),
    ],
)  # fmt: skip
def test_what_follows_from_a_name_that_is_not_there_is_not_told(fake: SimpleNamespace, last: str, problem: str) -> None:
    places = "{name: places, stack: site, func: fake.stage, outputs: {positions: tiles}}"
    found = fake.problems(steps(places, f"{{name: last, {last}}}"))
    assert found == [f"pipeline.yaml:4: Step 'last': {problem}"]
