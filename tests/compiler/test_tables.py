"""The object table that is to come, and derived features over it."""

# ruff: noqa: E501 (messages stand as they are printed)

from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.plate_plan import plan_plate
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.pipeline.screen import Hits, Screen


def plan_of(fake: SimpleNamespace, text: str, **facts: Any) -> PlatePlan:
    drafts, problems = fake.draft(text, **facts)
    assert problems == []
    settings = fake.settings(**facts)
    return plan_plate(
        settings.plates[0], settings, fake.index(), drafts[0].pipeline, divide_into_stages(drafts, gated=False),
        fake.execution,
    )  # fmt: skip


def test_columns_are_known_before_anything_runs(fake: SimpleNamespace) -> None:
    table = plan_of(fake, fake.nuclei).table
    assert table is not None
    assert (table.name, table.primary, table.objects) == ("objects", "nuclei", ("nuclei",))
    assert table.columns == ("Nuclei_Area", "Nuclei_Mean_GFP", "Nuclei_Mean_DNA")
    texture = fake.nuclei.replace("func: fake.measure", "func: {call: fake.measure, args: {texture: true}}")
    assert plan_of(fake, texture).table.columns[:2] == ("Nuclei_Area", "Nuclei_Texture")


def test_the_plan_of_a_plate(fake: SimpleNamespace) -> None:
    text = (
        fake.nuclei + "derived: {double: Nuclei_Area * 2}\noverrides: [{wells: [B03], step: measure, enabled: false}]\n"
    )
    plan = plan_of(fake, text, wells_per_batch=12, allowed_failures=2)
    assert (plan.plate, plan.pipeline, plan.raw_folder, plan.wells) == ("demo", "demo", "/raw", ("B02", "B03", "C02"))
    assert (plan.labels, plan.derived, plan.channel_names) == (
        ("nuclei",),
        {"double": "Nuclei_Area * 2"},
        ("GFP", "DNA"),
    )
    assert (plan.allowed_failures, plan.store, plan.platemap) == (2, "demo.zarr", None)
    (stage,) = plan.stages
    assert (stage.name, stage.gpu, stage.steps) == ("s01-cpu", 0, ("nuclei", "measure"))
    assert stage.batches == {"b001": ("B02", "B03", "C02")}
    assert 90 < stage.mem_mb < 110
    assert stage.gpu_mb == 0


def test_a_stage_with_a_gpu(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, func: fake.cuda, keep: true}\n"
    (stage,) = plan_of(fake, text, device="auto").stages
    assert (stage.name, stage.gpu) == ("s01-gpu", 1)


@pytest.mark.parametrize(
    ("derived", "problem"),
    [
        ("Nuclei_Mean_GPF / 2",
         "Derived feature 'x': the table has no column 'Nuclei_Mean_GPF'. Did you mean Nuclei_Mean_GFP or Nuclei_Mean_DNA or Nuclei_Area?"),
        ("zzz", "Derived feature 'x': the table has no column 'zzz'. It has Nuclei_Area, Nuclei_Mean_DNA, Nuclei_Mean_GFP, …: 3 in all."),
    ],
)  # fmt: skip
def test_derived_features_use_columns_that_exist(fake: SimpleNamespace, derived: str, problem: str) -> None:
    assert fake.problems(f"{fake.nuclei}derived:\n  x: {derived}\n") == [f"pipeline.yaml:14: {problem}"]


def test_derived_features_need_a_table_and_a_name_of_their_own(fake: SimpleNamespace) -> None:
    assert fake.problems(f"{fake.nuclei}derived:\n  Nuclei_Area: Nuclei_Area * 2\n") == [
        "pipeline.yaml:14: Derived feature 'Nuclei_Area' is a column of the table already."
    ]
    labels = fake.nuclei.partition("  - name: measure")[0]
    assert fake.problems(f"{labels}derived: {{x: a}}\n") == [
        "pipeline.yaml:7: Derived feature 'x': no step yields a table. Measure objects first."
    ]


@pytest.mark.parametrize("name", ["Metadata_Well", "well", "count_nuclei", "sites_left_out"])
def test_derived_features_replace_no_column_of_the_tables(fake: SimpleNamespace, name: str) -> None:
    assert fake.problems(f"{fake.nuclei}derived:\n  {name}: Nuclei_Area * 2\n") == [
        (
            f"pipeline.yaml:14: Derived feature '{name}' has the name of a column that the tables have anyhow. "
            "Take one that does not begin with Metadata_, count_ or sites_ and is none of plate, well, status, reason, sites, sites_left_out."
        )
    ]


def test_derived_features_need_columns_that_are_known(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, func: fake.shapes, outputs: {table: shapes}}\n"
    assert fake.compile(text)
    assert fake.problems(f"{text}derived:\n  x: area * 2\n") == [
        (
            "pipeline.yaml:5: Derived feature 'x': the columns of table 'shapes' are not known before it is made. "
            "Measure with a function that declares its columns, such as hcs.measure_objects."
        )
    ]


def test_columns_that_clash_are_an_error_of_the_step(fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def clash(objects: list[str], channel_names: list[str]) -> list[str]:
        raise ValueError("two columns would have one name")

    monkeypatch.setattr("fake_functions.columns", clash)
    assert fake.problems(fake.nuclei) == ["pipeline.yaml:10: Step 'measure': two columns would have one name."]


def test_a_hook_outside_of_the_functions_package_is_never_imported(
    fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    entry = dataclasses.replace(fake.entries["fake.measure"], columns="os:system")
    monkeypatch.setitem(fake.entries, "fake.measure", entry)
    (problem,) = fake.problems(fake.nuclei)
    assert "os:system, outside of its own package" in problem


def test_features_that_the_screen_names_are_those_of_the_wells(fake: SimpleNamespace) -> None:
    text = f"{fake.nuclei}derived:\n  double: Nuclei_Area * 2\n"
    good = ("Nuclei_Area", "double", "count_nuclei")
    assert fake.draft(text, screen=Screen(features=good, hits=Hits(feature="double", threshold=3)))[1] == []
    wrong = Screen(features=("dobule", "zzz"), hits=Hits(feature="count_nucleus", threshold=3))
    assert fake.problems(text, screen=wrong) == [
        "screen.features: 'dobule' is no feature of the wells of plate demo. Did you mean double?",
        "screen.features: 'zzz' is no feature of the wells of plate demo. It has 5: Nuclei_Area, Nuclei_Mean_DNA, Nuclei_Mean_GFP, count_nuclei, double, ….",
        "screen.hits.feature: 'count_nucleus' is no feature of the wells of plate demo. Did you mean count_nuclei?",
    ]


def test_features_of_the_screen_need_columns_that_are_known(fake: SimpleNamespace) -> None:
    text = "name: demo\nsteps:\n  - {name: a, func: fake.shapes, outputs: {table: shapes}}\n"
    assert fake.draft(text, screen=Screen(features=("area",)))[1] == []
