"""What changes a digest, and what does not; overrides."""

# ruff: noqa: E501 (messages stand as they are printed)

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hcs_lib
from hcs_lib.compiler.batches import batch_wells
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.engine import SOURCES, current_engine
from hcs_lib.core.addresses import Well, well_name
from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.sources import digest_sources
from hcs_lib.plates.index import PlaneProblem, PlateIndex


def digests(contexts: dict[str, FrozenContext]) -> dict[str, str]:
    return {well: context.digest for well, context in contexts.items()}


def changed(before: dict[str, FrozenContext], after: dict[str, FrozenContext]) -> set[str]:
    old, new = digests(before), digests(after)
    return {well for well in old.keys() | new.keys() if old.get(well) != new.get(well)}


ALL = {"B02", "B03", "C02"}


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\n",
        "name: other\n",
        "func: {args: {min_diameter: 8 um}, call: fake.segment}",
        "func: [{call: fake.segment, args: {min_diameter: 8 um}}]",
        "enabled: true\n    slice_by_slice: false",
        "derived: {x: Nuclei_Area * 2}\n",
        "overrides: [{wells: [B02], step: nuclei, args: {fake.segment: {min_diameter: 8 um}}}]\n",
    ],
)
def test_what_says_the_same_changes_no_digest(fake: SimpleNamespace, same: str) -> None:
    text = fake.nuclei
    if same.startswith("func"):
        text = text.replace("func: {call: fake.segment, args: {min_diameter: 8 um}}", same)
    elif same.startswith("name"):
        text = text.replace("name: demo\n", same)
    elif same.startswith("enabled"):
        text = text.replace("channels: [DNA]", f"channels: [DNA]\n    {same}")
    else:
        text += same
    assert text != fake.nuclei
    assert changed(fake.compile(fake.nuclei), fake.compile(text)) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("8 um", "9 um"),
        ("name: nuclei\n", "name: nuclear\n"),
        ("channels: [DNA]", "channels: [GFP]"),
        ("labels: nuclei}\n  -", "labels: dots}\n  -"),
    ],
)
def test_what_says_something_else_changes_all(fake: SimpleNamespace, old: str, new: str) -> None:
    text = fake.nuclei.replace(old, new)
    if "dots" in new:
        text = text.replace("inputs: {labels: nuclei}", "inputs: {labels: dots}")
    assert changed(fake.compile(fake.nuclei), fake.compile(text)) == ALL


def test_an_override_changes_the_wells_that_it_touches(fake: SimpleNamespace) -> None:
    before = fake.compile(fake.nuclei)
    override = "overrides:\n  - {wells: [b3], step: nuclei, args: {fake.segment: {min_diameter: 10 um}}}\n"
    after = fake.compile(fake.nuclei + override)
    assert changed(before, after) == {"B03"}
    assert after["B03"].step_plans[0].func.chain[0].args == {"min_diameter": 20.0}
    assert after["B03"].step_state_map[0]["func"][0]["args"] == {"min_diameter": "10 um"}
    # Later ones win; a plate that is not this one does not count.
    plates = (*fake.settings().plates, fake.settings().plates[0].model_copy(update={"name": "pilot"}))
    more = "  - {plates: [demo], step: nuclei, args: {fake.segment: {min_diameter: 12 um}}}\n"
    more += "  - {plates: [pilot], step: nuclei, args: {fake.segment: {min_diameter: 14 um}}}\n"
    after = fake.compile(fake.nuclei + override + more, plates=plates)
    assert {context.step_plans[0].func.chain[0].args["min_diameter"] for context in after.values()} == {24.0}


def test_a_step_is_switched_off_for_a_well(fake: SimpleNamespace) -> None:
    override = "overrides: [{wells: [C02], step: measure, enabled: false}]\n"
    after = fake.compile(fake.nuclei + override)
    assert {well: len(context.step_plans) for well, context in after.items()} == {"B02": 2, "B03": 2, "C02": 1}


def test_the_plate_does_not_depend_on_which_wells_go_through_other_steps(fake: SimpleNamespace) -> None:
    text = (
        "name: demo\nsteps:\n"
        "  - {name: a, wells: [B], func: fake.blur, keep: true}\n"
        "  - {name: light, scope: plate, channels: [DNA], stack: site, func: fake.mean, outputs: {image: flat}}\n"
        "  - {name: even, wells: [C], input: raw, channels: [DNA], func: fake.divide, inputs: {field: flat}, outputs: {image: e}}\n"
        "  - {name: shape, wells: [C], func: fake.shapes, outputs: {table: t}}\n"
    )
    before, after = (fake.stages(changed) for changed in (text, text.replace("wells: [B]", "wells: [C]")))
    assert before["s01-cpu", "plate"].digest == after["s01-cpu", "plate"].digest
    assert [passed.name for passed in before["s01-cpu", "plate"].passes] == ["flat"]
    assert {well for _, well in before} == {"plate", "B02", "B03", "C02"}
    assert {well for _, well in after} == {"plate", "C02"}
    assert fake.problems(text.replace("func: fake.divide, inputs: {field: flat}", "func: fake.blur")) == [
        "pipeline.yaml:4: Step 'light': its result is used by no other step and written nowhere. Take flat by `inputs` of a later step, or switch it off with `enabled: false`."
    ]


def test_wells_that_no_step_is_for_have_no_context(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, func: fake.blur, keep: true, KEY}\n"
    assert set(fake.compile(text.replace("KEY", "wells: [B]"))) == {"B02", "B03"}
    override = "overrides: [{wells: [C02], step: a, enabled: false}]\n"
    assert set(fake.compile(text.replace(", KEY", "") + override)) == {"B02", "B03"}
    assert fake.problems(text.replace("KEY", "enabled: false")) == [
        "pipeline.yaml:2: No step is for any well of plate 'demo'. See `wells` and `enabled` of the steps."
    ]
    # A problem of all wells that go through the step is not one of some of them.
    wrong = text.replace("KEY", "wells: [B]").replace("fake.blur", "fake.project")
    assert not any("wells)" in problem for problem in fake.problems(wrong))


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("{wells: [H12], step: nuclei, enabled: false}",
         "14: Plate 'demo' has no well 'H12'. It has B02 to C02. Name under `plates` those that the override is for."),
        ("{plates: [demo], wells: [H12], step: nuclei, enabled: false}",
         "14: Plate 'demo' has no well 'H12'. It has B02 to C02."),
        ("{plates: [dmeo], step: nuclei, enabled: false}", "14: There is no plate 'dmeo'. Did you mean demo?"),
        ("{wells: [B03], step: nuclei, args: {fake.segment: {min_diametre: 3}}}",
         "14: Step 'nuclei': fake.segment has no parameter 'min_diametre' (B03: 1 of 3 wells). Did you mean min_diameter or min_area?"),
        ("{wells: [B03, C02], step: nuclei, enabled: false}",
         "11: Step 'measure': 'nuclei' is made by step 'nuclei', which is switched off here (B03, C02: 2 of 3 wells)."),
    ],
)  # fmt: skip
def test_what_an_override_may_not_say(fake: SimpleNamespace, override: str, problem: str) -> None:
    problems = fake.problems(fake.nuclei + f"overrides:\n  - {override}\n")
    assert problems == [f"pipeline.yaml:{problem}"]


def test_a_well_of_an_override_is_missed_beside_other_plates(fake: SimpleNamespace) -> None:
    plates = (*fake.settings().plates, fake.settings().plates[0].model_copy(update={"name": "pilot"}))
    override = "overrides:\n  - {wells: [H12], step: nuclei, enabled: false}\n"
    assert fake.problems(fake.nuclei + override, plates=plates) == [
        "pipeline.yaml:14: Plate 'demo' has no well 'H12'. It has B02 to C02. Name under `plates` those that the override is for."
    ]
    assert fake.compile(fake.nuclei + override.replace("{wells", "{plates: [pilot], wells"), plates=plates)


def test_a_problem_of_all_wells_is_said_once(fake: SimpleNamespace) -> None:
    wells = tuple(well_name(Well(row, column)) for row in range(16) for column in range(24))
    text = fake.nuclei.replace("fake.measure", "fake.mesure")
    text += "overrides: [{wells: [A01], step: nuclei, args: {fake.segment: {min_diameter: 9 um}}}]\n"
    assert fake.problems(text, fake.index(wells)) == [
        "pipeline.yaml:10: Step 'measure': There is no function 'fake.mesure'. Did you mean fake.measure or fake.mean or fake.blur?"
    ]


def replaced(index: PlateIndex, **facts: Any) -> PlateIndex:
    return PlateIndex(**({name: getattr(index, name) for name in PlateIndex.model_fields} | facts))


def touched(index: Any, well: str, **facts: Any) -> Any:
    planes = tuple(
        plane.model_copy(update=facts) if (plane.well, plane.site, plane.channel) == (well, 1, "2") else plane
        for plane in index.planes
    )
    return replaced(index, planes=planes)


def test_planes_count_by_size_and_time_or_by_content(fake: SimpleNamespace) -> None:
    index = fake.index()
    before = fake.compile(fake.nuclei, index)
    assert changed(before, fake.compile(fake.nuclei, touched(index, "B03", mtime_ns=5))) == {"B03"}
    hashed = replaced(index, planes=tuple(plane.model_copy(update={"sha256": "a" * 64}) for plane in index.planes))
    before = fake.compile(fake.nuclei, hashed)
    assert changed(before, fake.compile(fake.nuclei, touched(hashed, "B03", mtime_ns=5))) == set()
    assert changed(before, fake.compile(fake.nuclei, touched(hashed, "B03", sha256="b" * 64))) == {"B03"}
    assert {plane.mtime_ns for plane in before["B03"].planes} == {None}


def test_what_the_pipeline_does_not_use_changes_nothing(fake: SimpleNamespace) -> None:
    text = "name: x\nsteps:\n  - {name: a, channels: [GFP], func: fake.blur, keep: true}\n"
    index = fake.index()
    before = fake.compile(text, index)
    assert changed(before, fake.compile(text, touched(index, "B03", mtime_ns=5))) == set()
    fewer = replaced(
        index, wells=("B02", "B03"), planes=tuple(plane for plane in index.planes if plane.well != "C02"), positions=()
    )
    without = replaced(index, positions=())
    assert changed(fake.compile(text, without), fake.compile(text, fewer)) == {"C02"}
    assert changed(before, fake.compile(text, index, wells_per_batch=1, allowed_failures=3)) == set()


def test_the_functions_used_are_part_of_it(fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    before = fake.compile(fake.nuclei)
    used = {reference.id: reference for reference in before["B02"].functions}
    assert set(used) == {"fake.segment", "fake.measure"}
    for facts in ({"version": "2.0"}, {"source_digest": "s"}, {"dependencies": {"numpy": "9"}}, {"tags": ("new",)}):
        with monkeypatch.context() as patch:
            patch.setitem(fake.entries, "fake.segment", dataclasses.replace(fake.entries["fake.segment"], **facts))
            assert changed(before, fake.compile(fake.nuclei)) == ALL
        with monkeypatch.context() as patch:
            patch.setitem(fake.entries, "fake.blur", dataclasses.replace(fake.entries["fake.blur"], **facts))
            assert changed(before, fake.compile(fake.nuclei)) == set()


def test_nothing_of_the_machine_is_in_a_context(fake: SimpleNamespace) -> None:
    text = canonical_json(fake.compile(fake.nuclei)["B02"].to_json()).decode()
    assert "/raw" not in text
    assert '"/' not in text


def test_missing_and_broken_planes_are_problems_of_their_well(fake: SimpleNamespace) -> None:
    index = fake.index()
    gone = {("B02", 1, "2"), ("B02", 2, "2"), ("C02", 1, "1")}
    kept = tuple(plane for plane in index.planes if (plane.well, plane.site, plane.channel) not in gone)
    broken = PlaneProblem(kind="truncated", well="B02", site=1, channel="2", z=1, t=0, file="a.tif", message="short")
    unknown = PlaneProblem(
        kind="unreadable", well="C02", site=2, channel="1", z=1, t=0, file="b.tif", message="why not"
    )
    index = replaced(index, planes=kept, problems=(broken, unknown))
    contexts = fake.compile(fake.nuclei, index)
    found = {well: [(bad.kind, bad.site, bad.channel, bad.file) for bad in contexts[well].problems] for well in ALL}
    # The whole channel DNA of B02 is absent; the second problem of C02 is about a plane that is there.
    assert found == {
        "B02": [("truncated", 1, "DNA", "a.tif"), ("missing", 2, "DNA", None)],
        "B03": [],
        "C02": [("missing", 1, "GFP", None)],
    }
    assert [len(contexts[well].planes) for well in ("B02", "B03", "C02")] == [2, 4, 3]
    only = fake.compile("name: x\nsteps:\n  - {name: a, channels: [GFP], func: fake.blur, keep: true}\n", index)
    assert only["B02"].problems == ()


def test_a_problem_of_an_unknown_channel_concerns_what_is_missing(fake: SimpleNamespace) -> None:
    index = fake.index(sites=1)
    kept = tuple(plane for plane in index.planes if plane.well != "B02" or plane.channel == "1")
    vague = PlaneProblem(kind="unreadable", well="B02", site=None, channel=None, z=None, t=None, file="x", message="?")
    contexts = fake.compile(fake.nuclei, replaced(index, planes=kept, problems=(vague,)))
    assert [(bad.kind, bad.file) for bad in contexts["B02"].problems] == [("unreadable", "x")]


def test_batches_are_chunks_of_the_plate() -> None:
    wells = ["A01", "A02", "A12", "B01", "H12"]
    assert batch_wells(wells, 16) == {"b001": ("A01", "A02", "A12", "B01"), "b006": ("H12",)}
    assert batch_wells(wells, 12) == {"b001": ("A01", "A02", "A12"), "b002": ("B01",), "b008": ("H12",)}
    # Names hold when wells come and go.
    assert batch_wells([*wells, "C01"], 12).items() >= batch_wells(wells, 12).items()
    assert batch_wells(["A01"], 1536) == {"b001": ("A01",)}


def test_the_engine_is_its_sources(tmp_path: Path) -> None:
    for source in (*SOURCES, "cli", "functions"):
        file = tmp_path / source if source.endswith(".py") else tmp_path / source / "deep" / "a.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
    before = digest_sources(tmp_path, SOURCES)
    for other in ("cli/deep/a.py", "functions/deep/a.py", "core/deep/a.pyc", "plates/index.py"):
        (tmp_path / other).write_text("2")
    assert digest_sources(tmp_path, SOURCES) == before
    (tmp_path / "storage" / "deep" / "a.py").write_text("2")
    assert digest_sources(tmp_path, SOURCES) != before


def test_the_engine_that_is_installed() -> None:
    engine = current_engine()
    assert set(engine.versions) == {"imagecodecs", "numcodecs", "numpy", "pyarrow", "tifffile", "zarr"}
    assert engine.digest == digest_sources(Path(hcs_lib.__file__).parent, SOURCES)


TEN = """\
name: ten
steps:
  - {name: a, channels: [C1], func: fake.blur}
  - {name: b, input: raw, func: [fake.blur, fake.gamma]}
  - {name: c, func: fake.blur}
  - {name: d, func: fake.gamma}
  - name: e
    group_by: channel
    func: {C1: fake.blur, C2: fake.blur, C3: fake.blur, C4: [fake.blur, fake.gamma], C5: fake.gamma}
    keep: true
  - {name: f, input: a, func: {call: fake.segment, args: {min_diameter: 9 px}}, outputs: {labels: nuclei}}
  - {name: g, input: f, func: fake.ring, outputs: {labels: cells}}
  - {name: h, input: f, func: fake.ring, outputs: {labels: rings}}
  - {name: i, input: g, func: fake.ring, outputs: {labels: outer}}
  - {name: j, input: e, stack: channel, func: fake.measure, inputs: {labels: [nuclei, cells, rings]}, outputs: {table: t}}
"""


def mean_bytes(fake: SimpleNamespace, rows: int, columns: int) -> float:
    wells = tuple(well_name(Well(row, column)) for row in range(rows) for column in range(columns))
    index = fake.index(wells, sites=9, channels={str(n): f"C{n}" for n in range(1, 6)})
    sizes = [len(canonical_json(context.to_json())) for context in fake.compile(TEN, index).values()]
    return sum(sizes) / len(wells)


def test_size_is_linear_and_a_context_small(fake: SimpleNamespace) -> None:
    small, large = mean_bytes(fake, 2, 3), mean_bytes(fake, 8, 12)
    assert large == pytest.approx(small, rel=0.02)
    assert large <= 30_000
