"""Plates of a few small wells, with contexts made by hand: the compiler has no part in these tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hcs_lib.contexts.context import BadPlane, FrozenContext, ImageMetadata, PlaneRef
from hcs_lib.contexts.engine import current_engine
from hcs_lib.contexts.manifests import Manifest, ObjectTable, PlatePlan, Stage
from hcs_lib.contexts.plans import (
    FunctionCall,
    FunctionPattern,
    FunctionRef,
    LinkedInput,
    RawStore,
    StepPlan,
    TableFile,
    ZarrStore,
)
from hcs_lib.core.domains import Domain
from hcs_lib.core.files import write_json
from hcs_lib.storage.metadata import well_path
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.plate import write_plate

STAGE = "s01-cpu"
SHAPE = (96, 80)
PIXEL = 0.5

LIBRARIES = {"skimage": "scikit-image", "scipy.ndimage": "scipy"}


def function(target: str) -> FunctionRef:
    """Refer to a function of an installed library, `skimage.filters:gaussian`."""
    name = target.replace(":", ".")
    library = next(library for library in LIBRARIES if name.startswith(library))
    return FunctionRef(
        id=name,
        library=library,
        version=metadata.version(LIBRARIES[library]),
        target=target,
        entry_digest="",
        source_digest=None,
        dependencies={},
    )


def call(
    target: str, *, contract: str = "PURE_2D", returns: str = "image", dtypes: tuple[str, ...] = (), **args: Any
) -> FunctionCall:
    """Call a function with plain arguments."""
    return FunctionCall.model_validate(
        {
            "call": target.replace(":", "."),
            "args": args,
            "contract": contract,
            "slice_by_slice": False,
            "memory_type": "numpy",
            "dtypes": dtypes,
            "returns": returns,
            "special_inputs": {},
            "special_outputs": (),
        }
    )


def step(index: int, name: str, chain: tuple[FunctionCall, ...], domain: Domain, **changes: Any) -> StepPlan:
    """Plan a step for well A01; `changes` replace any field."""
    values: dict[str, Any] = {
        "step_index": index,
        "step_name": name,
        "axis_id": "A01",
        "func_name": " > ".join(one.call for one in chain),
        "input": None,
        "domain": domain,
        "output_domain": domain.without(changes.get("stack")),
        "stack": None,
        "group_by": None,
        "special_inputs": {},
        "special_outputs": {},
        "input_path": "",
        "output_path": None,
        "zarr_store": None,
        "table": None,
        "read_backend": "raw",
        "write_backend": "memory",
        "keep": False,
        "input_memory_type": "numpy",
        "output_memory_type": "numpy",
        "returns": chain[-1].returns,
        "dtype": None,
        "func": FunctionPattern(group_by=None, chain=chain),
        "gpu": 0,
    }
    return StepPlan.model_validate(values | changes)


def draw(well: str, site: int, channel: str, shape: tuple[int, int] = SHAPE) -> np.ndarray[Any, Any]:
    """Draw a field: on background 0, squares of one grey level each (DNA), or a gradient (GFP)."""
    seed = int(hashlib.sha256(f"{well} {site}".encode()).hexdigest()[:8], 16)
    image = np.zeros(shape, np.uint8)
    if channel == "GFP":
        image[:] = (np.arange(shape[1]) + seed % 50).astype(np.uint8)
        return image
    for number in range(2 + seed % 5):
        row, column = 4 + 18 * (number % 5), 6 + 30 * (number // 5)
        image[row : row + 9, column : column + 6 + number] = 100 + seed % 100
    return image


@dataclass
class Bench:
    """A raw plate with its results, and contexts: objects in DNA, their shape as a table, the raw planes kept."""

    folder: Path
    wells: tuple[str, ...] = ("A01", "B02", "C11")
    sites: tuple[int, ...] = (1, 2)
    channels: tuple[str, ...] = ("DNA", "GFP")
    contexts: dict[str, FrozenContext] = field(default_factory=dict)

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def results(self) -> Path:
        return self.folder / "results" / "demo"

    @property
    def store(self) -> Path:
        return self.results / "demo.zarr"

    @property
    def manifest(self) -> Path:
        return self.results / "manifests" / STAGE / "b001.json"

    @property
    def domain(self) -> Domain:
        return Domain(self.sites, self.channels, (1,), (1,))

    def file(self, well: str, site: int, channel: str) -> str:
        return f"{well}_s{site}_{channel}.tif"

    def context_path(self, well: str) -> Path:
        return self.results / "contexts" / STAGE / f"{well}.json"

    def receipt_path(self, well: str) -> Path:
        return self.results / "receipts" / STAGE / f"{well}.json"

    def group(self, well: str, site: int) -> Path:
        return self.store / well_path(well) / str(site)

    def table(self, well: str) -> Path:
        return self.results / "tables" / "wells" / well / "objects.parquet"

    def write_raw(self) -> None:
        self.raw.mkdir(parents=True)
        for well in self.wells:
            for site in self.sites:
                for channel in self.channels:
                    tifffile.imwrite(self.raw / self.file(well, site, channel), draw(well, site, channel))

    def zarr_store(self, well: str, label: str | None = None, channels: tuple[str, ...] = ()) -> ZarrStore:
        sizes = {"c": 1 if label else len(channels), "y": SHAPE[0], "x": SHAPE[1]}
        dtype = "int32" if label else "uint8"
        array = plan_array(sizes, dtype, labels=label is not None, channels=channels, pixel_size_um=PIXEL)
        groups = {str(site): f"{well_path(well)}/{site}" for site in self.sites}
        return ZarrStore(path="demo.zarr", groups=groups, label=label, array=array)

    def raw_store(self, well: str, channels: tuple[str, ...]) -> RawStore:
        """Keep the raw planes of some channels."""
        store = self.zarr_store(well, channels=channels)
        return RawStore(**dict(store), domain=self.domain.replace(channel=channels))

    def steps(self, well: str) -> dict[int, StepPlan]:
        """Objects as connected components of DNA, then a table of their shapes."""
        dna = self.domain.replace(channel=("DNA",))
        nuclei = step(
            0,
            "nuclei",
            (call("skimage.measure:label", returns="labels", contract="FLEXIBLE", connectivity=1),),
            dna,
            axis_id=well,
            special_outputs={"labels": "nuclei"},
            zarr_store=self.zarr_store(well, "nuclei"),
            write_backend="zarr",
        )
        shapes = step(
            1,
            "measure",
            (call("skimage.measure:regionprops_table", returns="table", properties=("label", "area", "centroid")),),
            dna,
            axis_id=well,
            input=0,
            read_backend="memory",
            special_outputs={"table": "objects"},
            table=TableFile(name="objects", path=f"tables/wells/{well}/objects.parquet"),
            write_backend="table",
        )
        return {0: nuclei, 1: shapes}

    def context(self, well: str, **changes: Any) -> FrozenContext:
        """Make the context of a well from the files as they are now; a file that is not there is a problem."""
        planes, problems = [], []
        for site in self.sites:
            for channel in self.channels:
                file = self.file(well, site, channel)
                if not (self.raw / file).exists():
                    problems.append(
                        BadPlane(site=site, channel=channel, z=1, t=1, kind="missing", file=file, message="not there.")
                    )
                    continue
                found = (self.raw / file).stat()
                planes.append(
                    PlaneRef(
                        site=site,
                        channel=channel,
                        z=1,
                        t=1,
                        file=file,
                        page=0,
                        size=found.st_size,
                        mtime_ns=found.st_mtime_ns,
                        sha256=None,
                    )
                )
        values: dict[str, Any] = {
            "plate": "demo",
            "scope": "well",
            "axis_id": well,
            "stage": STAGE,
            "engine": current_engine(),
            "threads": 1,
            "bad_planes": "fail",
            "plane_shape": SHAPE,
            "plane_dtype": "uint8",
            "metadata": ImageMetadata(
                pixel_size_um=PIXEL,
                z_spacing_um=None,
                channel_names=self.channels,
                wavelengths_nm=(461.0, 525.0)[: len(self.channels)],
                colours=(None, None)[: len(self.channels)],
                positions_um=tuple((site, 1000.0 * site, -200.0) for site in self.sites),
            ),
            "planes": tuple(planes),
            "problems": tuple(problems),
            "functions": (function("skimage.measure:label"), function("skimage.measure:regionprops_table")),
            "raw_store": self.raw_store(well, self.channels),
            "step_plans": self.steps(well),
            "before": {},
            "takes": (),
            "passes": (),
            "step_state_map": {},
        }
        return FrozenContext.model_validate(values | changes)

    def compile(self, edit: Callable[[FrozenContext], Mapping[str, Any]] | None = None, **changes: Any) -> None:
        """Write the contexts of all wells, the manifest, the plate's store and the plan.

        `changes` replace fields of every context; `edit` gives those of one.
        """
        for well in self.wells:
            context = self.context(well, **changes)
            if edit is not None:
                context = context.model_copy(update=dict(edit(context)))
            self.contexts[well] = context
            context.save(self.context_path(well))
        wells = {well: context.digest for well, context in self.contexts.items()}
        manifest = Manifest(plate="demo", stage=STAGE, batch="b001", wells=wells)
        write_json(self.manifest, manifest.model_dump(mode="json"))
        write_plate(self.store, "demo", {well: [str(site) for site in self.sites] for well in self.wells})
        PlatePlan(
            plate="demo",
            pipeline="objects",
            raw_folder=str(self.raw),
            wells=self.wells,
            stages=(Stage(name=STAGE, gpu=0, steps=("nuclei",), batches={"b001": list(self.wells)}, mem_mb=500),),
            labels=("nuclei",),
            table=ObjectTable(name="objects", primary="nuclei", objects=("nuclei",), columns=()),
            derived={},
            channel_names=self.channels,
            platemap=None,
            allowed_failures=0,
            store="demo.zarr",
        ).save(self.results / "plan.json")

    def outputs(self) -> dict[str, str]:
        """Digest everything that must be the same between runs: store and tables."""
        return {
            file.relative_to(self.results).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for top in (self.store, self.results / "tables")
            for file in top.rglob("*")
            if file.is_file()
        }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Three wells of two sites and two channels, compiled."""
    made = Bench(tmp_path)
    made.write_raw()
    made.compile()
    return made


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[..., Bench]:
    """Make a plate, not yet compiled, with other wells, sites or channels."""

    def make(name: str = "plate", **changes: Any) -> Bench:
        made = Bench(tmp_path / name, **changes)
        made.write_raw()
        return made

    return make


@pytest.fixture
def plan_step() -> Callable[..., StepPlan]:
    return step


@pytest.fixture
def plan_call() -> Callable[..., FunctionCall]:
    return call


@pytest.fixture
def refer() -> Callable[[str], FunctionRef]:
    return function


@pytest.fixture
def link() -> type[LinkedInput]:
    return LinkedInput
