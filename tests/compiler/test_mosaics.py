"""What a mosaic spans, well by well; and what has to fit it."""

# ruff: noqa: E501 (messages stand as they are printed)

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.plates.index import StagePosition

STAGE = """\
name: demo
steps:
  - {name: where, stack: site, func: fake.stage, outputs: {positions: places}}
"""
MOSAIC = STAGE + "  - {name: whole, stack: site, func: fake.mosaic, inputs: {positions: places}, keep: true}\n"
NUCLEI = "  - {name: nuclei, channels: [DNA], func: {call: fake.segment, args: {min_diameter: 5}}, outputs: {labels: nuclei}}\n"
MEASURE = "  - {name: measure, SOURCE, stack: channel, func: fake.measure, inputs: {labels: nuclei}, outputs: {table: objects}}\n"


def places(**steps_um: float) -> tuple[StagePosition, ...]:
    """Two sites of each well, so far from each other."""
    return tuple(
        StagePosition(well=well, site=site, x_um=(site - 1) * step, y_um=site)
        for well, step in steps_um.items() for site in (1, 2)
    )  # fmt: skip


def test_each_well_has_its_own_positions_and_mosaic(fake: SimpleNamespace) -> None:
    index = fake.index(positions=places(B02=30.0, B03=30.0, C02=35.0))
    contexts = fake.compile(MOSAIC + NUCLEI, index)
    assert {well: context.step_plans[0].func.chain[0].args["stage_positions"] for well, context in contexts.items()} == {
        "B02": ((1.0, 0.0), (2.0, 30.0)), "B03": ((1.0, 0.0), (2.0, 30.0)), "C02": ((1.0, 0.0), (2.0, 35.0)),
    }  # fmt: skip
    arrays = {well: context.step_plans[1].zarr_store.array for well, context in contexts.items()}
    assert {well: array.shape for well, array in arrays.items()} == {
        "B02": (2, 66, 140), "B03": (2, 66, 140), "C02": (2, 66, 150)
    }  # fmt: skip
    assert arrays["C02"].chunks == (1, 66, 150)
    labels = contexts["C02"].step_plans[2].zarr_store
    assert (labels.array.shape, dict(labels.groups)) == ((66, 150), {"all": "C/02/all"})
    # Wells with the same positions have the same arrays; the draft is shared all the same.
    assert arrays["B02"] == arrays["B03"]
    drafts, _ = fake.draft(MOSAIC, index)
    assert [draft.wells for draft in drafts] == [("B02", "B03", "C02")]


def test_a_well_that_moved_changes_no_other(fake: SimpleNamespace) -> None:
    before = fake.compile(MOSAIC, fake.index(positions=places(B02=30.0, B03=30.0, C02=35.0)))
    after = fake.compile(MOSAIC, fake.index(positions=places(B02=30.0, B03=31.0, C02=35.0)))
    assert [well for well in before if before[well].digest != after[well].digest] == ["B03"]


def test_the_argument_of_a_user_wins(fake: SimpleNamespace) -> None:
    text = MOSAIC.replace(
        "func: fake.stage", "func: {call: fake.stage, args: {step: 70, stage_positions: [[0, 0], [0, 1]]}}"
    )
    context = fake.compile(text, fake.index(positions=()))["B02"]
    assert context.step_plans[0].func.chain[0].args["stage_positions"] == ((0, 0), (0, 1))
    assert context.step_plans[1].zarr_store.array.shape == (2, 64, 150)


@pytest.mark.parametrize(
    ("text", "index", "problem"),
    [
        (MOSAIC, {"positions": ()}, "3: Step 'where': fake.stage of well B02: where the tiles lie is not known."),
        (MOSAIC.replace("func: fake.stage", "func: fake.positions"), {"z_spacing_um": 1.0},
         "Take its positions from a function that tells, such as hcs.stage_tile_positions."),
        (MOSAIC + NUCLEI + MEASURE.replace("SOURCE", "input: raw"), {},
         "6: Step 'measure': 'nuclei' lies on a mosaic, and the image that fake.measure is given is a plane of the plate. Take an image that fits, of step 'nuclei', by `input`."),
        (STAGE + NUCLEI + MOSAIC.splitlines()[-1].replace("keep: true", "input: where") + "\n" + MEASURE.replace("SOURCE", "input: whole"), {},
         "6: Step 'measure': 'nuclei' is ambiguous: there is one for each of 2 values of site, and the images of this step have no site any more."),
        (MOSAIC.replace("keep: true", "input: where") + NUCLEI, {},
         "5: Step 'nuclei': its labels do not have the size of the raw image, on which they are to lie. Keep the image that they were made of."),
        (MOSAIC.replace("func: fake.stage", "func: [fake.shrink, fake.stage]"), {},
         "4: Step 'whole': the size of what fake.mosaic yields is not known before it runs"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(fake: SimpleNamespace, text: str, index: dict[str, Any], problem: str) -> None:
    found = fake.problems(text, fake.index(**index))
    assert any(problem in one for one in found), found


REQUIRED = "name: demo\nsteps:\n  - {name: a, KEYS, func: fake.placed}\n"


@pytest.mark.parametrize(
    ("keys", "index", "why"),
    [
        ("stack: channel, keep: true", {}, "it is not given the sites of a well together. Say `stack: site`."),
        ("stack: site, keep: true", {"positions": places(B02=1.0, B03=1.0)},
         "the plate does not tell where site 1 of well C02 lies. Give `stage_positions` by args."),
        ("scope: plate, stack: site, outputs: {image: x}", {},
         "stage positions are those of one well. Make it a step of the wells."),
    ],
)  # fmt: skip
def test_positions_that_cannot_be_injected(
    fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, keys: str, index: dict[str, Any], why: str
) -> None:
    parameter = dataclasses.replace(fake.entries["fake.stage"].parameters[0], required=True)
    made = dataclasses.replace(fake.entries["fake.stage"], parameters=(parameter,), shape=None, special_outputs=())
    monkeypatch.setitem(fake.entries, "fake.placed", made)
    found = fake.problems(REQUIRED.replace("KEYS", keys), fake.index(**index))
    assert any(f"Step 'a': fake.placed needs 'stage_positions', and {why}" for one in found), found
