"""Tables of sites, and the stages that a gate makes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hcs_lib.compiler.plate_plan import plan_plate
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.compiler.writing import write_plate_plan
from hcs_lib.contexts.manifests import Gate, Manifest, PlatePlan, SiteTable
from hcs_lib.core.errors import UserError
from hcs_lib.pipeline.loading import parse_pipeline
from hcs_lib.pipeline.settings import QcFlags, QcGate

QUALITY = "  - {name: quality, input: raw, stack: channel, func: fake.quality, outputs: {table: image_quality}}\n"


def compiled(fake: SimpleNamespace, text: str, folder: Path, **settings: object) -> PlatePlan:
    """Compile and write a plate; return its plan as it is read back."""
    drafts, problems = fake.draft(text, **settings)
    if problems:
        raise UserError(problems)
    made = fake.settings(**settings)
    parts = divide_into_stages(drafts, gated=made.qc_gate is not None)
    plan = plan_plate(made.plates[0], made, fake.index(), parse_pipeline(text, "pipeline.yaml"), parts, fake.execution)
    write_plate_plan(folder, plan, parts, fake.execution)
    return PlatePlan.load(folder / "plan.json")


def context(folder: Path, stage: str, well: str = "B02") -> dict:
    return json.loads((folder / "contexts" / stage / f"{well}.json").read_text())["context"]


def test_a_table_of_sites_stands_beside_that_of_objects(fake: SimpleNamespace, tmp_path: Path) -> None:
    plan = compiled(fake, fake.nuclei + QUALITY, tmp_path / "demo")
    assert plan.site_table == SiteTable(
        name="image_quality", columns=("ImageQuality_Focus_GFP", "ImageQuality_Focus_DNA")
    )
    assert (plan.table.name, plan.gate) == ("objects", None)
    assert plan.qc_flags == QcFlags().model_dump()
    (stage,) = plan.stages
    assert (stage.name, stage.steps) == ("s01-cpu", ("nuclei", "measure", "quality"))


def test_the_plan_tells_the_memory_of_a_gpu(fake: SimpleNamespace, tmp_path: Path) -> None:
    text = (
        "name: demo\nsteps:\n  - {name: a, channels: [DNA], func: fake.cuda}\n"
        "  - {name: b, func: fake.shapes, outputs: {table: t}}\n"
    )
    plan = compiled(fake, text, tmp_path / "demo", device="gpu", gpus=1)
    assert [(stage.name, stage.gpu, stage.gpu_mb > 500) for stage in plan.stages] == [
        ("s01-gpu", 1, True), ("s02-cpu", 0, False),
    ]  # fmt: skip
    contexts = [(tmp_path / "demo/contexts" / stage.name / "B02.json").read_text() for stage in plan.stages]
    assert not any("gpu_mb" in text or "mem_mb" in text for text in contexts)


def test_without_a_table_of_sites_nothing_changes(fake: SimpleNamespace, tmp_path: Path) -> None:
    plan = compiled(fake, fake.nuclei, tmp_path / "demo")
    assert (plan.site_table, plan.qc_flags, plan.gate) == (None, {}, None)
    manifest = Manifest.load(tmp_path / "demo/manifests/s01-cpu/b001.json")
    assert (manifest.after, manifest.gated) == ({}, False)


def test_the_gate_divides_the_steps(fake: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    gate = QcGate(max_flagged=0.1, flags=["blurred"])
    plan = compiled(fake, fake.nuclei + QUALITY, folder, qc_gate=gate)
    assert [(stage.name, stage.steps) for stage in plan.stages] == [
        ("s01-cpu", ("quality",)), ("s02-cpu", ("nuclei", "measure")),
    ]  # fmt: skip
    assert plan.gate == Gate(stage="s01-cpu", max_flagged=0.1, flags=("blurred",))
    first, second = context(folder, "s01-cpu"), context(folder, "s02-cpu")
    assert ([*first["step_plans"]], [*second["step_plans"]]) == (["2"], ["0", "1"])
    assert (first["raw_store"], second["raw_store"]["label"]) == (None, None)
    assert {function["id"] for function in first["functions"]} == {"fake.quality"}
    manifests = [Manifest.load(folder / f"manifests/{stage}/b001.json") for stage in ("s01-cpu", "s02-cpu")]
    assert [(manifest.after, manifest.gated) for manifest in manifests] == [({}, False), ({"s01-cpu": "well"}, True)]


def test_behind_the_gate_steps_are_those_without_it(fake: SimpleNamespace, tmp_path: Path) -> None:
    compiled(fake, fake.nuclei, tmp_path / "plain/demo")
    compiled(fake, fake.nuclei + QUALITY, tmp_path / "gated/demo", qc_gate=QcGate())
    plain = context(tmp_path / "plain/demo", "s01-cpu")
    assert context(tmp_path / "gated/demo", "s02-cpu") == plain | {"stage": "s02-cpu"}
    assert plain["before"] == {}


def test_all_flags_that_are_on_count_by_default(fake: SimpleNamespace, tmp_path: Path) -> None:
    flags = QcFlags(dim=None, uneven=None)
    plan = compiled(fake, fake.nuclei + QUALITY, tmp_path / "demo", qc_gate=QcGate(), qc_flags=flags)
    assert set(plan.gate.flags) == set(plan.qc_flags) == {"blurred", "background", "saturated"}


def test_a_well_whose_quality_is_not_measured_has_one_stage(fake: SimpleNamespace, tmp_path: Path) -> None:
    text = f"{fake.nuclei}{QUALITY}overrides: [{{wells: [B03], step: quality, enabled: false}}]\n"
    first, second = compiled(fake, text, tmp_path / "demo", qc_gate=QcGate(), wells_per_batch=12).stages
    assert first.batches == {"b001": ("B02", "C02")}
    assert second.batches == {"b001": ("B02", "B03", "C02")}


def test_what_quality_needs_comes_before_the_gate_too(fake: SimpleNamespace, tmp_path: Path) -> None:
    blur = "steps:\n  - {name: smooth, func: fake.blur}\n"
    text = fake.nuclei.replace("steps:\n", blur).replace("channels: [DNA]\n", "channels: [DNA]\n    input: raw\n")
    plan = compiled(fake, text + QUALITY.replace("raw", "smooth"), tmp_path / "demo", qc_gate=QcGate())
    assert [stage.steps for stage in plan.stages] == [("smooth", "quality"), ("nuclei", "measure")]


def test_what_is_made_before_the_gate_passes_it(fake: SimpleNamespace, tmp_path: Path) -> None:
    text = fake.nuclei.replace("steps:\n", "steps:\n  - {name: smooth, func: fake.blur}\n")
    plan = compiled(fake, text + QUALITY.replace("raw", "smooth"), tmp_path / "demo", qc_gate=QcGate())
    assert [stage.steps for stage in plan.stages] == [("smooth", "quality"), ("nuclei", "measure")]
    first, second = (context(tmp_path / "demo", stage) for stage in ("s01-cpu", "s02-cpu"))
    assert first["passes"] == second["takes"]
    found = [(item["stage"], item["step_name"], item["name"]) for item in second["takes"]]
    assert found == [("s01-cpu", "smooth", None)]


def test_a_gate_needs_image_quality(fake: SimpleNamespace) -> None:
    (problem,) = fake.problems(fake.nuclei, qc_gate=QcGate())
    assert problem.startswith("pipeline.yaml:2: The configuration has a qc_gate, and no step measures image quality.")


ASSEMBLED = """\
  - {name: all, stack: site, func: [fake.positions, fake.assemble], keep: true}
  - {name: focus, input: all, stack: channel, func: fake.quality, outputs: {table: focus}}
"""


@pytest.mark.parametrize(
    ("steps", "line", "problem"),
    [
        ("  - {name: focus, func: fake.focus, outputs: {table: focus}}\n", 3,
         "Step 'focus': it measures sites, and is called for each channel of them. Say `stack: channel`."),
        (ASSEMBLED, 4, "Step 'focus': it measures sites, and its images have no site any more."),
        (QUALITY + QUALITY.replace("name: quality", "name: again").replace("image_quality", "more"), 4,
         "Step 'again': it yields the table of sites, but step 'quality' does that; only one can."),
    ],
)  # fmt: skip
def test_a_table_of_sites_has_one_row_of_each(fake: SimpleNamespace, steps: str, line: int, problem: str) -> None:
    found = fake.problems(f"name: demo\nsteps:\n{steps}")
    assert any(text.startswith(f"pipeline.yaml:{line}: {problem}") for text in found), found
