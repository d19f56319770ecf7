"""Compiling plates into files, by hand and from the command line."""

# ruff: noqa: E501 (messages stand as they are printed)

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hcs_lib.cli.compile import compile_command, show
from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.manifests import Manifest, PlatePlan
from hcs_lib.core import files
from hcs_lib.core.errors import UserError
from hcs_lib.pipeline.settings import load_settings

PIPELINE = """\
name: translocation
channels: {DNA: "2", GFP: "1"}
steps:
  - name: nuclei
    channels: [DNA]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 4 um}}
    outputs: {labels: nuclei}
  - name: cytoplasm
    input: nuclei
    func: {call: hcs.expand_ring, args: {inner: 2 px, outer: 8 px}}
    outputs: {labels: cytoplasm}
  - name: measure
    input: raw
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: [nuclei, cytoplasm]}
    outputs: {table: objects}
derived:
  fraction: Nuclei_Intensity_MeanIntensity_GFP / Cytoplasm_Intensity_MeanIntensity_GFP
"""


@pytest.fixture
def analysis(tmp_path: Path, fake, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An analysis of one indexed plate with two channels, 1 and 2, in three wells."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work = tmp_path / "work"
    (work / "raw").mkdir(parents=True)
    (work / "config.yaml").write_text("plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 2\n")
    (work / "plates.tsv").write_text("plate\tpath\tplatemap\ndemo\traw\tmap.csv\n")
    (work / "map.csv").write_text("well,control\nB2,neg\nB03,\nC02,pos\n")
    (work / "pipeline.yaml").write_text(PIPELINE)
    fake.index().save(work / "results" / "demo" / "index.json")
    monkeypatch.chdir(work)
    return work


def compile_here(folder: Path, *, check: bool = False) -> PlatePlan:
    config = {"plates": "plates.tsv", "pipeline": "pipeline.yaml", "wells_per_batch": 2}
    settings = load_settings(config, folder, "config.yaml")
    return compile_plate(settings.plate("demo"), settings, folder / "results", check=check)


def written(folder: Path) -> dict[str, int]:
    results = folder / "results" / "demo"
    return {path.relative_to(results).as_posix(): path.stat().st_mtime_ns
            for path in sorted(results.rglob("*.json")) if path.name != "index.json"}  # fmt: skip


def age(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        os.utime(path, ns=(1, 1))


def test_contexts_manifests_store_and_plan(analysis: Path) -> None:
    plan = compile_here(analysis)
    results = analysis / "results" / "demo"
    assert [name for name in written(analysis) if ".zarr" not in name] == [
        "contexts/s01-cpu/B02.json", "contexts/s01-cpu/B03.json", "contexts/s01-cpu/C02.json",
        "manifests/s01-cpu/b003.json", "manifests/s01-cpu/b004.json", "manifests/s01-cpu/b005.json", "plan.json",
    ]  # fmt: skip
    assert plan.stages[0].batches == {"b003": ("B02",), "b004": ("B03",), "b005": ("C02",)}
    assert PlatePlan.load(results / "plan.json") == plan
    for batch, wells in plan.stages[0].batches.items():
        manifest = Manifest.load(results / "manifests" / "s01-cpu" / f"{batch}.json")
        assert manifest.wells == {
            well: FrozenContext.load(results / "contexts" / "s01-cpu" / f"{well}.json").digest for well in wells
        }
    assert plan.raw_folder == str(analysis / "raw")
    assert plan.platemap == str(analysis / "map.csv")
    assert plan.table is not None
    assert plan.table.columns[0] == "Nuclei_Number_Object_Number"
    store = json.loads((results / "demo.zarr" / "zarr.json").read_bytes())
    assert [well["path"] for well in store["attributes"]["ome"]["plate"]["wells"]] == ["B/02", "B/03", "C/02"]
    well = json.loads((results / "demo.zarr" / "B" / "03" / "zarr.json").read_bytes())
    assert [image["path"] for image in well["attributes"]["ome"]["well"]["images"]] == ["1", "2"]


def test_a_pipeline_for_some_wells(analysis: Path) -> None:
    """What stands in the plan, the manifests and the store, and what the command says."""
    pipeline = PIPELINE.replace("  - name: nuclei\n", "  - name: nuclei\n    wells: [B03]\n")
    pipeline = pipeline.replace("input: nuclei", "input: nuclei\n    wells: [B03]")
    pipeline = pipeline.replace("input: raw", "input: raw\n    wells: [B03]")
    (analysis / "pipeline.yaml").write_text(pipeline)
    plan = compile_here(analysis)
    assert (plan.wells, plan.other_wells, plan.imaged) == (("B03",), ("B02", "C02"), ("B03", "B02", "C02"))
    # Batches are those of the plate: they keep their names when other wells come.
    assert plan.stages[0].batches == {"b004": ("B03",)}
    assert [name for name in written(analysis) if ".zarr" not in name] == [
        "contexts/s01-cpu/B03.json", "manifests/s01-cpu/b004.json", "plan.json",
    ]  # fmt: skip
    store = json.loads((analysis / "results/demo/demo.zarr/zarr.json").read_bytes())["attributes"]["ome"]["plate"]
    assert [well["path"] for well in store["wells"]] == ["B/03"]
    result = run("--check")
    assert result.output == "demo: 1 of 3 wells checked; stages s01-cpu (nuclei > cytoplasm > measure) in 1 batches\n"


def test_a_step_of_the_plate_looks_at_wells_that_go_through_no_step(analysis: Path) -> None:
    (analysis / "pipeline.yaml").write_text(
        'name: light\nchannels: {DNA: "2", GFP: "1"}\nsteps:\n'
        "  - {name: light, scope: plate, stack: site, channels: [DNA], func: hcs.estimate_flat_field, outputs: {image: flat}}\n"
        "  - {name: even, wells: [C], input: raw, channels: [DNA], func: hcs.apply_flat_field, inputs: {flat_field: flat}, keep: true}\n"
    )
    plan = compile_here(analysis)
    assert (plan.wells, plan.other_wells) == (("C02",), ("B02", "B03"))
    context = FrozenContext.load(analysis / "results/demo/contexts/s01-cpu/plate.json")
    assert {plane.site.partition("/")[0] for plane in context.planes} == {"B02", "B03", "C02"}


def test_derived_features_replace_no_column_of_the_platemap(analysis: Path) -> None:
    (analysis / "map.csv").write_text("well,fraction\nB2,1\nB03,2\nC02,3\n")
    with pytest.raises(UserError) as caught:
        compile_here(analysis)
    assert [str(problem) for problem in caught.value.problems] == [
        "pipeline.yaml:19: Derived feature 'fraction' is a column of the platemap."
    ]


@pytest.mark.parametrize(
    ("func", "problem"),
    [
        ("scipy.ndimage.fourier_shift, args: {shift: 2}", "its image cannot be written: 'complex128' is no dtype of an image."),
        ("skimage.exposure.rescale_intensity", "skimage.exposure.rescale_intensity rescales pixel values."),
        ("skimage.exposure.adjust_gamma, args: {gamma: 0.5}", "skimage.exposure.adjust_gamma rescales pixel values."),
        ("skimage.filters.rank.autolevel, args: {footprint: [[1, 1]]}", "skimage.filters.rank.autolevel rescales pixel values."),
        ("scipy.ndimage.median_filter, args: {size: three}", "'size' should be float | Sequence[float] | None, found 'three'."),
        ("hcs.segment_nuclei, args: {min_diameter: 8 um2}", "'min_diameter' should be a length above 0, in pixels or with a unit, found '8 um2'."),
        ("hcs.segment_nuclei, args: {min_diameter: 8, min_distance: -2 um}",
         "'min_distance' should be a length above 0, in pixels or with a unit, and '-2 um' is -4 pixels."),
        ("hcs.segment_nuclei, args: {min_diameter: 8, boundary: 7}", "'boundary' should be a number from 0 to below 1, found 7."),
        ("hcs.subtract_background, args: {radius: wide}",
         "'radius' should be a length above 0, in pixels or with a unit, found 'wide'."),
        ("scipy.ndimage.gaussian_filter, args: {sigma: 1, output: float32}",
         "'output' says where scipy.ndimage.gaussian_filter puts its result, and the step does."),
        ("skimage.transform.downscale_local_mean, args: {factors: [2, 2]}",
         "skimage.transform.downscale_local_mean changes the size of the image"),
        ("scipy.ndimage.rotate, args: {angle: 5}", "scipy.ndimage.rotate changes the size of the image, and what is written has that of the plate's planes. Give it `reshape: false`."),
    ],
)  # fmt: skip
def test_what_real_functions_are_refused_for(analysis: Path, func: str, problem: str) -> None:
    text = f"name: demo\nsteps:\n  - {{name: a, func: {{call: {func}}}, keep: true}}\n"
    (analysis / "pipeline.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        compile_here(analysis)
    (found,) = [str(found) for found in caught.value.problems]
    assert found.startswith(f"pipeline.yaml:3: Step 'a': {problem}")


@pytest.mark.torch
def test_a_window_around_each_pixel_keeps_the_size(analysis: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pool = "{call: torch.nn.functional.max_pool2d, args: {kernel_size: [5, 3], padding: PADDING}}"
    text = f"name: demo\nsteps:\n  - {{name: a, func: {pool}, keep: true}}\n"
    (analysis / "pipeline.yaml").write_text(text.replace("PADDING", "[2, 1]"))
    with pytest.raises(UserError, match=r"max_pool2d changes the size of the image, .* Give it `padding: same`\."):
        compile_here(analysis)
    (analysis / "pipeline.yaml").write_text(text.replace("PADDING", "same"))
    compile_here(analysis)
    context = FrozenContext.load(analysis / "results" / "demo" / "contexts" / "s01-cpu" / "B02.json")
    assert context.step_plans[0].func.chain[0].args == {"kernel_size": (5, 3), "padding": "same"}


def test_quantities_of_real_functions(analysis: Path) -> None:
    func = "{call: scipy.ndimage.gaussian_filter, args: {sigma: [1 um, 2 px]}}"
    (analysis / "pipeline.yaml").write_text(f"name: demo\nsteps:\n  - {{name: a, func: {func}, keep: true}}\n")
    compile_here(analysis)
    context = FrozenContext.load(analysis / "results" / "demo" / "contexts" / "s01-cpu" / "B02.json")
    assert context.step_plans[0].func.chain[0].args == {"sigma": (2.0, 2.0)}


def test_results_are_not_compiled_into_the_raw_plate(analysis: Path) -> None:
    result = CliRunner().invoke(compile_command, ["--config", "config.yaml", "--results", "raw/results"])
    assert isinstance(result.exception, UserError)
    assert "results would be written into the plate's folder" in str(result.exception)
    assert not (analysis / "raw" / "results").exists()


def test_what_is_the_same_is_not_written_again(analysis: Path) -> None:
    compile_here(analysis)
    age(analysis)
    (analysis / "pipeline.yaml").write_text(f"# a comment\n{PIPELINE}")
    compile_here(analysis)
    assert set(written(analysis).values()) == {1}
    override = "overrides: [{wells: [B03], step: nuclei, args: {hcs.segment_nuclei: {min_diameter: 5 um}}}]\n"
    (analysis / "pipeline.yaml").write_text(PIPELINE + override)
    compile_here(analysis)
    assert {name for name, time in written(analysis).items() if time != 1} == {
        "contexts/s01-cpu/B03.json", "manifests/s01-cpu/b004.json"
    }  # fmt: skip


def test_the_same_analysis_elsewhere_has_the_same_contexts(analysis: Path, tmp_path: Path) -> None:
    compile_here(analysis)
    here = analysis / "results" / "demo" / "contexts" / "s01-cpu" / "B02.json"
    before = here.read_bytes()
    assert str(tmp_path).encode() not in before
    moved = analysis.rename(tmp_path / "elsewhere")
    os.chdir(moved)
    for context in moved.rglob("contexts/s01-cpu/*.json"):
        context.unlink()
    compile_here(moved)
    assert (moved / "results" / "demo" / "contexts" / "s01-cpu" / "B02.json").read_bytes() == before


def test_what_the_plan_no_longer_names_is_removed(analysis: Path) -> None:
    compile_here(analysis)
    stale = [
        analysis / "results" / "demo" / "contexts" / "s01-gpu" / "B02.json",
        analysis / "results" / "demo" / "contexts" / "s01-cpu" / "H12.json",
        analysis / "results" / "demo" / "manifests" / "s01-cpu" / "b099.json",
    ]
    kept = analysis / "results" / "demo" / "receipts" / "s01-cpu" / "H12.json"
    for path in (*stale, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    compile_here(analysis)
    assert not any(path.exists() for path in (*stale, stale[0].parent))
    assert kept.exists()


def test_checking_writes_nothing(analysis: Path) -> None:
    plan = compile_here(analysis, check=True)
    assert plan.wells == ("B02", "B03", "C02")
    assert written(analysis) == {}


def test_the_plan_is_written_last(analysis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.write_atomic
    order = []

    def record(path: Path, data: bytes) -> None:
        order.append(path.name)
        real(path, data)

    monkeypatch.setattr(files, "write_atomic", record)
    compile_here(analysis)
    assert order[-1] == "plan.json"
    assert order.count("plan.json") == 1


def run(*arguments: str) -> Result:
    return CliRunner().invoke(compile_command, [*arguments, "--config", "config.yaml"])


def problems_of(result: Result) -> list[str]:
    assert isinstance(result.exception, UserError)
    return [str(problem) for problem in result.exception.problems]


def test_the_command(analysis: Path) -> None:
    result = run("--check")
    assert result.output == ("demo: 3 wells checked; stages s01-cpu (nuclei > cytoplasm > measure) in 3 batches\n")
    assert "3 wells compiled" in run("--plate", "demo").output
    context = analysis / "results" / "demo" / "contexts" / "s01-cpu" / "B02.json"
    shown = CliRunner().invoke(show, [str(context)]).output
    (stage,) = PlatePlan.load(analysis / "results/demo/plan.json").stages
    for said in ("demo B02, stage s01-cpu", "hcs.segment_nuclei(min_diameter=8)",
                 "raw, 2 of channel stacked, for 2 of site", "labels: nuclei, cytoplasm",
                 "tables/wells/B02/objects.parquet", FrozenContext.load(context).digest,
                 "TimePoint_1/B02_s1_w1_z1.tif", f"Needs about {stage.mem_mb} MB of memory, 1 thread(s)",
                 "Reads 41 kB of pixels; writes 123 kB before they are compressed", "Versions: hcs."):  # fmt: skip
        assert said in shown


REMOVE = "Remove the line, or name the platemap of this plate."
INDEX = "Run `hcs index` with `--plate wrong`."


def test_errors_of_all_plates_are_said_together(analysis: Path, fake) -> None:
    (analysis / "plates.tsv").write_text("plate\tpath\tplatemap\ndemo\traw\tmap.csv\nlater\traw\t\nwrong\traw\t\n")
    (analysis / "map.csv").write_text("well\nB02\nAB40\n")
    (analysis / "pipeline.yaml").write_text(PIPELINE.replace("hcs.expand_ring", "hcs.expand_rings"))
    fake.index().save(analysis / "results" / "wrong" / "index.json")
    assert problems_of(run()) == [
        "pipeline.yaml:10: Step 'cytoplasm': There is no function 'hcs.expand_rings'. Did you mean hcs.expand_ring?",
        f"{analysis}/map.csv:3: well AB40 is not on plate demo: a plate of 8 x 12 wells. {REMOVE}",
        "results/later/index.json: Plate index (`hcs index` writes it) not found.",
        f"results/wrong/index.json: This is the index of plate 'demo', not of 'wrong'. {INDEX}",
    ]
    assert written(analysis) == {}


def test_a_damaged_index_is_refused(analysis: Path) -> None:
    path = analysis / "results" / "demo" / "index.json"
    path.write_text('{"plate": "demo"}')
    assert problems_of(run())[0].startswith("results/demo/index.json: This is no plate index")
    path.write_bytes(path.read_bytes()[:5])
    assert problems_of(run())[0].startswith("results/demo/index.json: Plate index")


def test_bbbc013(analysis: Path, repository: Path, shared_data: Path) -> None:
    """The example compiles on the published plate: 32 wells, each with a context of less than 10 kB."""
    from hcs_lib.plates.indexing import index_plate

    plate = shared_data / "bbbc013-wortmannin"
    pattern = "Channel{channel}-{n}-{row}-{col}.tif"
    index_plate(plate / "images", plate="demo", pattern=pattern).save(analysis / "results" / "demo" / "index.json")
    example = (repository / "config" / "examples" / "bbbc013" / "pipeline.yaml").read_text(encoding="utf-8")
    (analysis / "pipeline.yaml").write_text(example)
    (analysis / "map.csv").write_bytes((plate / "platemap.csv").read_bytes())
    plan = compile_here(analysis)
    assert len(plan.wells) == 32
    assert plan.derived.keys() == {"nuclear_fraction"}
    contexts = [FrozenContext.load(path) for path in (analysis / "results" / "demo" / "contexts").rglob("*.json")]
    assert {(context.plane_shape, context.plane_dtype, len(context.planes)) for context in contexts} == {
        ((640, 640), "uint8", 2)
    }
    sizes = [path.stat().st_size for path in (analysis / "results" / "demo" / "contexts").rglob("*.json")]
    assert len(sizes) == 32
    assert max(sizes) < 10_000
