"""Phases 2, 3 and 5: stores, materialization, GPU."""

# ruff: noqa: E501 (messages stand as they are printed)

from types import SimpleNamespace

import pytest

HEAD = "name: demo\nsteps:\n"
NUCLEI = """\
  - name: nuclei
    channels: [DNA]
    func: {call: fake.segment, args: {min_diameter: 2 px}}
    outputs: {labels: nuclei}
"""


def test_labels_bring_the_raw_planes_along(fake: SimpleNamespace) -> None:
    context = fake.compile(HEAD + NUCLEI)["C02"]
    plan = context.step_plans[0]
    assert (plan.read_backend, plan.write_backend, plan.keep) == ("raw", "zarr", False)
    assert plan.zarr_store.path == "demo.zarr"
    assert plan.zarr_store.groups == {"1": "C/02/1", "2": "C/02/2"}
    assert (plan.zarr_store.label, plan.zarr_store.array.axes, plan.zarr_store.array.shape) == (
        "nuclei",
        "yx",
        (64, 80),
    )
    assert (plan.zarr_store.array.dtype, plan.zarr_store.array.scale) == ("int32", (0.5, 0.5))
    raw = context.raw_store
    assert raw is not None
    assert (raw.label, raw.array.axes, raw.array.shape, raw.array.dtype) == (None, "cyx", (1, 64, 80), "uint16")
    # Only what the pipeline reads: GFP is left out.
    assert raw.array.channels == context.metadata.channel_names == ("DNA",)
    assert {plane.channel for plane in context.planes} == {"DNA"}


def test_a_kept_image_takes_the_place_of_the_raw_one(fake: SimpleNamespace) -> None:
    text = HEAD + "  - {name: p, stack: z, func: [fake.project, fake.to_float], keep: true}\n" + NUCLEI
    context = fake.compile(text, fake.index(z=3, z_spacing_um=2.0))["B02"]
    assert context.raw_store is None
    kept = context.step_plans[0]
    assert (kept.keep, kept.write_backend, kept.dtype) == (True, "zarr", "float64")
    assert kept.zarr_store is not None
    assert (kept.zarr_store.array.axes, kept.zarr_store.array.shape) == ("cyx", (2, 64, 80))
    assert (kept.zarr_store.array.dtype, kept.zarr_store.array.channels) == ("float64", ("GFP", "DNA"))
    assert context.step_plans[1].read_backend == "memory"


def test_z_and_t_are_axes_where_there_are_several(fake: SimpleNamespace) -> None:
    context = fake.compile(HEAD + "  - {name: a, func: fake.blur, keep: true}\n", fake.index(z=3, z_spacing_um=2.0))[
        "B02"
    ]
    array = context.step_plans[0].zarr_store.array
    assert (array.axes, array.shape, array.scale) == ("czyx", (2, 3, 64, 80), (1.0, 2.0, 0.5, 0.5))


def test_a_table_goes_to_the_tables_of_its_well(fake: SimpleNamespace) -> None:
    plan = fake.compile(fake.nuclei)["B03"].step_plans[1]
    assert (plan.write_backend, plan.table.name, plan.table.path) == (
        "table",
        "objects",
        "tables/wells/B03/objects.parquet",
    )
    assert (plan.zarr_store, plan.dtype, plan.returns) == (None, None, "table")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("  - {name: a, func: fake.blur, keep: true}\n  - {name: b, func: fake.blur, keep: true}\n",
         "pipeline.yaml:4: Step 'b': its image is kept, but step 'a' does that; only one can."),
        (NUCLEI.replace("outputs", "keep: true\n    outputs"),
         "pipeline.yaml:6: Step 'nuclei': only images are kept by `keep`; labels and tables always are."),
        ("  - {name: a, func: fake.blur}\n",
         "pipeline.yaml:3: Step 'a': its result is used by no other step and written nowhere. Say `keep: true`, name what it yields under `outputs`, or switch it off with `enabled: false`."),
        ("  - {name: a, func: fake.blur, outputs: {image: soft}}\n",
         "pipeline.yaml:3: Step 'a': its result is used by no other step and written nowhere. Take soft by `inputs` of a later step, or switch it off with `enabled: false`."),
        ("  - {name: a, scope: plate, stack: site, func: fake.mean}\n",
         "pipeline.yaml:3: Step 'a': its result is used by no other step and written nowhere. Name its `image` under `outputs`, and take that by `inputs` of a step, or switch it off with `enabled: false`."),
        ("  - {name: p, stack: z, func: fake.project, keep: true}\n" + NUCLEI.replace("channels", "input: raw\n    channels"),
         "pipeline.yaml:8: Step 'nuclei': its labels have 3 values of z, and the image of step 'p', on which they are to lie, has 1."),
        ("  - {name: a, func: fake.to_float}\n  - {name: b, func: fake.guess, keep: true}\n",
         "pipeline.yaml:4: Step 'b': the dtype of its image is unknown, so it cannot be kept. Keep a step before or after it."),
    ],
)  # fmt: skip
def test_what_cannot_be_written(fake: SimpleNamespace, lines: str, problem: str) -> None:
    assert problem in fake.problems(HEAD + lines, fake.index(z=3))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("  - {name: a, group_by: channel, func: {DNA: fake.to_float, GFP: fake.blur}, keep: true}\n",
         "3: Step 'a': it is to be kept, and its routes give different dtypes: DNA float64, GFP uint16. Let all of them end with the same."),
        ("  - {name: a, func: fake.to_float}\n  - {name: b, func: fake.to_float, keep: true}\n",
         "4: Step 'b': fake.to_float does not take float64. It takes uint16, uint8."),
        ("  - {name: a, func: fake.bluur}\n  - {name: b, func: fake.blur, keep: true}\n",
         "3: Step 'a': There is no function 'fake.bluur'. Did you mean fake.blur or fake.volume or fake.measure?"),
        ("  - {name: a, func: [fake.threshold, fake.blur], keep: true}\n",
         "3: Step 'a': fake.blur needs an image, and is given a scalar. Take the one before it out."),
        ("  - {name: a, func: fake.threshold, keep: true}\n",
         "3: Step 'a': fake.threshold yields a scalar, where an image is needed. A step needs an image, labels or a table."),
    ],
)  # fmt: skip
def test_why_no_dtype_is_known_is_said_once(fake: SimpleNamespace, lines: str, problem: str) -> None:
    assert fake.problems(HEAD + lines) == [f"pipeline.yaml:{problem}"]


def test_two_tables_are_one_too_many(fake: SimpleNamespace) -> None:
    second = fake.nuclei.partition("  - name: measure")[2].replace("objects", "more")
    problems = fake.problems(f"{fake.nuclei}  - name: again{second}")
    assert problems == [
        "pipeline.yaml:18: Step 'again': it yields the table, but step 'measure' does that; only one can."
    ]


CUDA = HEAD + "  - {name: a, func: fake.cuda, keep: true}\n"
CPU = HEAD + "  - {name: a, func: fake.blur, keep: true}\n"


@pytest.mark.parametrize(
    ("text", "device", "gpu"), [(CPU, "cpu", 0), (CPU, "auto", 0), (CUDA, "auto", 1), (CUDA, "gpu", 1)]
)
def test_the_gpu_requirement_follows_the_functions(fake: SimpleNamespace, text: str, device: str, gpu: int) -> None:
    plan = fake.compile(text, device=device)["B02"].step_plans[0]
    assert plan.gpu == gpu
    assert plan.input_memory_type == plan.output_memory_type == ("cupy" if gpu else "numpy")


def test_the_device_that_is_granted_must_fit(fake: SimpleNamespace) -> None:
    assert fake.problems(CUDA, device="cpu") == [
        "pipeline.yaml:3: Step 'a': fake.cuda needs a GPU, and the configuration says `device: cpu`. Say `device: gpu` or `auto`, or take another function."
    ]
    assert fake.problems(CPU, device="gpu") == [
        "pipeline.yaml:2: The configuration says `device: gpu`, and no function of the pipeline uses one. Say `device: cpu` or `auto`."
    ]
