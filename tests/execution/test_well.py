"""Wells whose steps stack sites or z, keep images, and leave sites out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hcs_lib.contexts.context import FrozenContext, PlaneRef
from hcs_lib.contexts.plans import ZarrStore
from hcs_lib.core.domains import Domain
from hcs_lib.core.errors import DataError
from hcs_lib.execution.outputs import Staging
from hcs_lib.execution.well import WellRun
from hcs_lib.registry.execute import ContractExecution
from hcs_lib.storage.images import read_image
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.tables import read_table


class Library(ContractExecution):
    def stack(self, slices: Any) -> Any:
        return np.stack(slices)


class Bound:
    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.registry = Library()


def run(bench: Any, context: FrozenContext, **functions: Callable[..., Any]) -> tuple[WellRun, Path]:
    """Run a context with functions given by name; return the run, and the results that it left."""
    work, results = bench.folder / "work", bench.folder / "out"
    work.mkdir()
    results.mkdir()
    staging = Staging(context, work)
    bound: Any = {f"test.{name}": Bound(function) for name, function in functions.items()}
    with ThreadPoolExecutor(1) as reader:
        done = WellRun(context, bench.raw, results, reader)
        done.run(staging, bound)
    staging.describe()
    staging.swap(results)
    return done, results


def mosaic_context(bench: Any, plan_step: Any, plan_call: Any, **changes: Any) -> FrozenContext:
    """Smooth by site, join sites side by side, and label the mosaic, which is kept."""
    domain = bench.domain.replace(channel=("DNA",))
    merged = domain.without("site")
    sizes = {"c": 1, "y": 96, "x": 160}
    image = plan_array(sizes, "uint16", labels=False, channels=("DNA",), pixel_size_um=0.5)
    labels = plan_array(sizes, "int32", labels=True, pixel_size_um=0.5)
    groups = {"all": "A/01/all"}
    double = plan_step(0, "double", (plan_call("test:double"),), domain)
    join = plan_step(
        1,
        "join",
        (plan_call("test:join", contract="VOLUMETRIC_TO_SLICE"),),
        domain,
        input=0,
        stack="site",
        keep=True,
        zarr_store=ZarrStore(path="demo.zarr", groups=groups, label=None, array=image),
    )
    find = plan_step(
        2,
        "find",
        (plan_call("test:find", returns="labels"),),
        merged,
        input=1,
        special_outputs={"labels": "nuclei"},
        zarr_store=ZarrStore(path="demo.zarr", groups=groups, label="nuclei", array=labels),
    )
    context: FrozenContext = bench.context("A01", raw_store=None, step_plans={0: double, 1: join, 2: find}, **changes)
    return context


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "double": lambda image: image.astype(np.float64) * 2,
    "join": lambda sites: np.hstack(list(sites)),
    "find": lambda image: (image > 200).astype(np.uint8),
}


def test_sites_are_merged_into_one_image(bench: Any, plan_step: Any, plan_call: Any) -> None:
    done, results = run(bench, mosaic_context(bench, plan_step, plan_call), **FUNCTIONS)
    planes = [tifffile.imread(bench.raw / bench.file("A01", site, "DNA")) for site in (1, 2)]
    expected = np.hstack(planes).astype(np.uint16) * 2
    image = read_image(results / "demo.zarr/A/01/all")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, expected[None])
    np.testing.assert_array_equal(read_image(results / "demo.zarr/A/01/all", "nuclei"), expected > 200)
    assert [(site.site, site.status, dict(site.counts)) for site in done.sites()] == [(1, "done", {}), (2, "done", {})]
    assert done.counts() == {"nuclei": 1}


def test_well_is_left_out_where_a_step_needs_all_sites(bench: Any, plan_step: Any, plan_call: Any) -> None:
    (bench.raw / bench.file("A01", 2, "DNA")).unlink()
    context = mosaic_context(bench, plan_step, plan_call, bad_planes="skip_site")
    with pytest.raises(DataError, match="join needs all sites of the well, and site 2 is left out") as caught:
        run(bench, context, **FUNCTIONS)
    assert caught.value.kind == "skipped"


@pytest.mark.parametrize(
    ("double", "message"),
    [
        (lambda image: image / 7, "values do not fit into the uint16"),
        (lambda image: image - 1.0, "values do not fit into the uint16"),
        (lambda image: image[:-1], r"95 × 160 pixels, planned are 96 × 160"),
    ],
)
def test_kept_image_other_than_planned_is_an_error(
    bench: Any, plan_step: Any, plan_call: Any, double: Callable[..., Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        run(bench, mosaic_context(bench, plan_step, plan_call), **FUNCTIONS | {"double": double})
    assert (caught.value.kind, caught.value.step) == ("output", "join")


def test_volumes_are_kept_with_their_z(bench: Any, plan_step: Any, plan_call: Any) -> None:
    """Two z-planes, made of the two channels' files: smoothed as a volume, kept, and counted plane by plane."""
    domain = Domain((1, 2), ("DNA",), (1, 2), (1,))
    sizes = {"c": 1, "z": 2, "y": 96, "x": 80}
    groups = {"1": "A/01/1", "2": "A/01/2"}
    image = plan_array(sizes, "uint8", labels=False, channels=("DNA",), pixel_size_um=0.5, z_spacing_um=2.0)
    labels = plan_array(sizes, "int32", labels=True, pixel_size_um=0.5, z_spacing_um=2.0)
    turn = plan_step(
        0,
        "turn",
        (plan_call("test:turn", contract="FLEXIBLE"),),
        domain,
        stack="z",
        output_domain=domain,
        keep=True,
        zarr_store=ZarrStore(path="demo.zarr", groups=groups, label=None, array=image),
    )
    find = plan_step(
        1,
        "find",
        (plan_call("test:find", returns="labels"),),
        domain,
        input=0,
        special_outputs={"labels": "nuclei"},
        zarr_store=ZarrStore(path="demo.zarr", groups=groups, label="nuclei", array=labels),
    )
    planes = []
    for site in (1, 2):
        for z, channel in enumerate(bench.channels, start=1):
            file = bench.file("A01", site, channel)
            found = (bench.raw / file).stat()
            ref = {"file": file, "page": 0, "size": found.st_size, "mtime_ns": found.st_mtime_ns, "sha256": None}
            planes.append(PlaneRef.model_validate({"site": site, "channel": "DNA", "z": z, "t": 1, **ref}))
    context = bench.context("A01", planes=tuple(planes), raw_store=None, step_plans={0: turn, 1: find})
    done, results = run(bench, context, turn=lambda stack: stack[::-1], find=lambda image: (image > 90) * 1)
    for site in (1, 2):
        dna, gfp = (tifffile.imread(bench.raw / bench.file("A01", site, channel)) for channel in bench.channels)
        stored = read_image(results / f"demo.zarr/A/01/{site}")
        np.testing.assert_array_equal(stored, np.stack([gfp, dna])[None])
        found = read_image(results / f"demo.zarr/A/01/{site}", "nuclei")
        np.testing.assert_array_equal(found, stored[0] > 90)
        expected = sum(int(plane.max() > 90) for plane in (dna, gfp))
        assert dict(done.sites()[site - 1].counts) == {"nuclei": expected}


def test_call_without_objects_does_not_decide_the_dtype(bench: Any, plan_step: Any, plan_call: Any) -> None:
    domain = bench.domain.replace(channel=("DNA",))
    plan = plan_step(
        0,
        "measure",
        (plan_call("test:measure", returns="table"),),
        domain,
        special_outputs={"table": "objects"},
        table={"name": "objects", "path": "tables/wells/A01/objects.parquet"},
    )
    context = bench.context("A01", raw_store=None, step_plans={0: plan})
    rows = iter([{"n": []}, {"n": [3, 4]}])
    _, results = run(bench, context, measure=lambda image: next(rows))
    table = read_table(results / "tables/wells/A01/objects.parquet")
    assert str(table.schema.field("n").type) == "int64"
    assert table["n"].to_pylist() == [3, 4]
    assert table["Metadata_Site"].to_pylist() == [2, 2]
