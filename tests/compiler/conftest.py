"""A plate and a registry made by hand, and a compiler run on them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.compile import draft_contexts
from hcs_lib.compiler.draft import DraftContext, ExecutionSettings
from hcs_lib.compiler.stages import divide_into_stages
from hcs_lib.contexts.context import Engine, FrozenContext
from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.pipeline.loading import parse_pipeline
from hcs_lib.pipeline.settings import PlateSettings, Settings
from hcs_lib.plates.index import Channel, Plane, PlateIndex, StagePosition
from hcs_lib.registry.entry import FunctionEntry, Parameter

SAME = {dtype: dtype for dtype in ("uint8", "uint16", "int32", "float32", "float64", "bool")}


def columns(objects: list[str], channel_names: list[str], *, texture: bool = False) -> list[str]:
    """What `fake.measure` will measure."""
    kinds = ["Area", *(["Texture"] if texture else [])]
    return [
        *(f"{name.capitalize()}_{kind}" for name in objects for kind in kinds),
        *(f"{name.capitalize()}_Mean_{channel}" for name in objects for channel in channel_names),
    ]


sys.modules["fake_functions"] = ModuleType("fake_functions")
sys.modules["fake_functions"].columns = columns  # type: ignore[attr-defined]
sys.modules["fake_functions"].quality_columns = (  # type: ignore[attr-defined]
    lambda objects, channel_names: [f"ImageQuality_Focus_{channel}" for channel in channel_names]
)


def span(shape: tuple[int, int, int], *, stage_positions: Any = None, step: int | None = None) -> tuple[int, int]:
    """What `fake.stage` tells of a mosaic: from positions of 0.5 um pixels, or so many pixels apart, side by side."""
    if step is None and stage_positions is None:
        raise ValueError("where the tiles lie is not known")
    if step is not None:
        return shape[1], shape[2] + (shape[0] - 1) * step
    ys, xs = ([at[axis] for at in stage_positions] for axis in (0, 1))
    return shape[1] + int((max(ys) - min(ys)) / 0.5), shape[2] + int((max(xs) - min(xs)) / 0.5)


sys.modules["fake_functions"].span = span  # type: ignore[attr-defined]


def entry(name: str, *parameters: Parameter, **facts: Any) -> FunctionEntry:
    fields = {"accepts": (2,), "returns": "image", "dtypes": SAME, "keeps_scale": True} | facts
    return FunctionEntry(
        id=f"fake.{name}",
        library="fake",
        version="1.0",
        memory_type=fields.pop("memory_type", "numpy"),
        target=f"fake_functions:{name}",
        parameters=parameters,
        origin="declared",
        **fields,
    )


ENTRIES = {
    made.id: made
    for made in (
        entry("blur", Parameter("sigma", default=1, annotation="float"), accepts=(2, 3), coupling="mixes"),
        entry("gamma", Parameter("gamma", default=1.0), accepts=(2, 3)),
        entry("along", Parameter("axis", default=-1, annotation="int"), accepts=(2, 3)),
        entry("noise", Parameter("rng"), tags=("nondeterministic",)),
        entry("chance", tags=("nondeterministic",)),
        entry("project", Parameter("method", default="max", annotation="Literal['max', 'mean']"),
              accepts=(3,), coupling="reduces", axis="z"),
        entry("volume", accepts=(3,), coupling="mixes"),
        entry("brightest", accepts=(3,), coupling="reduces"),
        entry("unmix", accepts=(3,), coupling="mixes", axis="channel"),
        entry("to_float", dtypes={"uint16": "float64", "uint8": "float64"}),
        entry("rescale", Parameter("preserve_range", default=False), keeps_scale=False,
              keep_scale={"preserve_range": True}),
        entry("rank", dtypes={"uint8": "uint8", "uint16": "uint16", "float64": "uint8"}, keeps_scale=True),
        entry("stretch", keeps_scale=False),
        entry("threshold", returns="scalar"),
        entry("segment", Parameter("min_diameter", required=True, annotation="float"),
              Parameter("min_area", default=0.0, annotation="SquarePixels"),
              Parameter("declump", default=True, annotation="bool"),
              Parameter("rank", default=1, annotation="int | None"),
              returns="labels", dtypes=dict.fromkeys(SAME, "int32")),
        entry("ring", Parameter("inner", default=0, annotation="float"),
              Parameter("outer", default=5, annotation="float"),
              returns="labels", dtypes={"int32": "int32"}),
        entry("measure", Parameter("labels", required=True), Parameter("channel_names", required=True),
              Parameter("pixel_size_um"), Parameter("texture", default=False, annotation="bool"),
              accepts=(3,), coupling="mixes", axis="channel", returns="table", dtypes=SAME,
              special_inputs=("labels", "channel_names", "pixel_size_um"), columns="fake_functions:columns"),
        entry("quality", Parameter("channel_names", required=True), accepts=(3,), axis="channel", returns="table",
              special_inputs=("channel_names",), columns="fake_functions:quality_columns", rows="sites"),
        entry("focus", returns="table", rows="sites"),
        entry("positions", Parameter("grid_dimensions", required=True), Parameter("z_spacing_um", required=True),
              accepts=(3,), coupling="mixes", axis="site", special_inputs=("grid_dimensions", "z_spacing_um"),
              special_outputs=("positions",)),
        entry("assemble", Parameter("positions", required=True), accepts=(3,), coupling="reduces", axis="site",
              special_inputs=("positions",)),
        entry("stage", Parameter("stage_positions"), Parameter("step", annotation="int | None"), accepts=(3,),
              axis="site", special_inputs=("stage_positions",), special_outputs=("positions",),
              shape="fake_functions:span"),
        entry("mosaic", Parameter("positions", required=True), accepts=(3,), coupling="reduces", axis="site",
              special_inputs=("positions",), shape="positions"),
        entry("mean", accepts=(3,), coupling="reduces", axis="site", dtypes=dict.fromkeys(SAME, "float32")),
        entry("divide", Parameter("field", required=True), special_inputs=("field",)),
        entry("consult", Parameter("table", required=True, annotation="Mapping[str, Any]")),
        entry("shrink", resizes=True),
        entry("guess", dtypes={}),
        entry("rotate", Parameter("reshape", default=True), resizes=True, keep_size={"reshape": False}),
        entry("to_complex", Parameter("output"), dtypes={"uint16": "complex128"}),
        entry("windowed", Parameter("size", required=True, annotation="float | Sequence[float]")),
        entry("shapes", returns="table", dtypes=SAME),
        entry("apart", Parameter("sigma", default=1), Parameter("axes"), accepts=(2, 3), coupling="mixes",
              uncouple={"axes": [-2, -1]}),
        entry("cuda", memory_type="cupy"),
        entry("either", memory_type="torch"),
        entry("any", Parameter("options", kind="any")),
        entry("generic", Parameter("low", default=0), accepts=(2, 3), generic=True),
        entry("sharpen", Parameter("amount", default=1.0), Parameter("weights"), accepts=(2, 3), coupling="mixes"),
        entry("smooth", Parameter("sigma", default=1), Parameter("mode", default="reflect"), accepts=(2, 3)),
        entry("cut_off", returns="mask", dtypes=dict.fromkeys(SAME, "bool")),
    )
}  # fmt: skip

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
"""A folder with files of JSON, for arguments that are files."""


TWINS = {
    f"fake.{name}": replace(
        ENTRIES[f"fake.{name}"], id=f"fakegpu.{name}", library="fakegpu", memory_type="cupy",
        target=f"fakegpu_functions:{name}", origin="inferred", device="cuda", **fields,
    )
    for name, fields in {
        "blur": {}, "segment": {}, "sharpen": {}, "ring": {"coupling": "mixes"},
        "smooth": {"parameters": (Parameter("sigma", default=1), Parameter("mode", default="wrap"), Parameter("fast"))},
        "cut_off": {"parameters": (Parameter("bins", required=True),)},
        "to_float": {"dtypes": {"uint16": "float32", "uint8": "float64"}},
    }.items()
}  # fmt: skip
"""Twins on the GPU by the function on the CPU; some differ."""


class FakeRegistry:
    def entry(self, function: str) -> FunctionEntry:
        known = ENTRIES | {twin.id: twin for twin in TWINS.values()}
        if function not in known:
            raise UserError(Problem("", f"There is no function '{function}'.", nearest(function, ENTRIES)))
        return known[function]

    def twin(self, function: str) -> FunctionEntry | None:
        return TWINS.get(function)


def make_index(
    wells: tuple[str, ...] = ("B02", "B03", "C02"),
    sites: int = 2,
    channels: Mapping[str, str] | None = None,
    z: int = 1,
    t: int = 1,
    **facts: Any,
) -> PlateIndex:
    """A complete plate of uint16 planes of 64 × 80; channels are given by id → name."""
    channels = {"1": "GFP", "2": "DNA"} if channels is None else channels
    planes = tuple(
        Plane(
            well=well, site=site, channel=channel, z=at, t=time, page=0, size=10_000,
            mtime_ns=1_700_000_000_000_000_000, file=f"TimePoint_{time + 1}/{well}_s{site}_w{channel}_z{at}.tif",
        )
        for time in range(t)
        for well in wells for site in range(1, sites + 1) for channel in channels for at in range(1, z + 1)
    )  # fmt: skip
    fields: dict[str, Any] = {
        "plate": "demo", "format": "pattern", "fingerprint": "stat", "shape": (64, 80), "dtype": "uint16",
        "pixel_size_um": 0.5, "z_spacing_um": None, "grid": (1, sites), "wells": wells,
        "sites": tuple(range(1, sites + 1)),
        "channels": tuple(Channel(id=key, name=name, wavelength_nm=500.0) for key, name in channels.items()),
        "z": tuple(range(1, z + 1)), "t": tuple(range(t)),
        "positions": tuple(
            StagePosition(well=well, site=site, x_um=site * 40.0, y_um=0.0)
            for well in wells for site in range(1, sites + 1)
        ),
        "planes": planes, "problems": (),
    }  # fmt: skip
    return PlateIndex(**(fields | facts))


def make_settings(**facts: Any) -> Settings:
    plate = PlateSettings(
        name="demo", path=Path("/raw"), format="auto", pattern=None, platemap=None, pipeline=Path("/p.yaml"),
        pixel_size_um=None,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "plates": (plate,), "device": "cpu", "wells_per_batch": 16, "bad_planes": "fail", "allowed_failures": 0,
        "fingerprint": "stat",
    }  # fmt: skip
    return Settings(**(fields | facts))


EXECUTION = ExecutionSettings(engine=Engine(digest="e", versions={"numpy": "2"}), bad_planes="fail")

NUCLEI = """\
name: demo
steps:
  - name: nuclei
    channels: [DNA]
    func: {call: fake.segment, args: {min_diameter: 8 um}}
    outputs: {labels: nuclei}
  - name: measure
    input: raw
    stack: channel
    func: fake.measure
    inputs: {labels: nuclei}
    outputs: {table: objects}
"""


def draft(text: str, index: PlateIndex | None = None, **settings: Any) -> tuple[list[DraftContext], list[Problem]]:
    made = make_settings(**settings)
    pipeline = parse_pipeline(text, "pipeline.yaml", SCHEMAS)
    return draft_contexts(made.plates[0], made, index or make_index(), pipeline, FakeRegistry())


def compile_text(text: str, index: PlateIndex | None = None, **settings: Any) -> dict[str, FrozenContext]:
    """Contexts by well, of their last stage; a UserError with every problem."""
    return {well: context for (_, well), context in compile_stages(text, index, **settings).items()}


def compile_stages(text: str, index: PlateIndex | None = None, **settings: Any) -> dict[tuple[str, str], FrozenContext]:
    """Contexts by stage and well; a UserError with every problem."""
    drafts, problems = draft(text, index, **settings)
    if problems:
        raise UserError(problems)
    found: dict[tuple[str, str], FrozenContext] = {}
    digests: dict[tuple[str, str], str] = {}
    for part in divide_into_stages(drafts, gated=settings.get("qc_gate") is not None):
        for context in part.freeze(EXECUTION, digests):
            found[context.stage, context.axis_id] = context
            digests[context.stage, context.axis_id] = context.digest
    return found


def problems_of(text: str, index: PlateIndex | None = None, **settings: Any) -> list[str]:
    """Everything that is wrong with a pipeline, as a person reads it."""
    with pytest.raises(UserError) as caught:
        compile_text(text, index, **settings)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture(scope="session")
def fake() -> SimpleNamespace:
    """What tests of the compiler work with."""
    return SimpleNamespace(
        index=make_index, settings=make_settings, draft=draft, compile=compile_text, stages=compile_stages,
        problems=problems_of, registry=FakeRegistry(), entries=ENTRIES, execution=EXECUTION, nuclei=NUCLEI,
    )  # fmt: skip
