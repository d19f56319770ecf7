"""Plates as the workflow leaves them, written from a few numbers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hcs_lib.contexts.manifests import PlatePlan
from hcs_lib.screening.dose_response import DOSE_COLUMNS
from hcs_lib.screening.hits import HIT_COLUMNS
from hcs_lib.screening.quality import QUALITY_COLUMNS
from hcs_lib.storage.collected import write_csv
from hcs_lib.storage.images import Pyramid, write_image, write_labels
from hcs_lib.storage.planning import plan_array
from hcs_lib.storage.tables import write_table

WELL = {"plate": "p", "status": "done", "sites": 1, "sites_left_out": 0}


def write_plate_tables(folder: Path, wells: Sequence[Mapping[str, Any]], *, store: str | None = None) -> Path:
    """Write plan, wells, sites and failures; a well is its cells, without those of WELL."""
    rows = [WELL | dict(well) for well in wells]
    PlatePlan.model_validate(
        {"plate": folder.name, "pipeline": "x", "raw_folder": "/raw", "wells": [row["well"] for row in rows],
         "stages": [], "labels": ["nuclei"], "table": None, "derived": {}, "channel_names": ["DNA"], "platemap": None,
         "allowed_failures": 0, "store": store}
    ).save(folder / "plan.json")  # fmt: skip
    own = ("plate", "well", "status", "reason", "compound", "dose", "unit", "control", "sites", "sites_left_out")
    features = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in own]
    write_csv(folder / "tables/wells.csv", [*own, *features], rows)
    columns = ("plate", "well", "site", "stage", "step", "kind", "counts", "reason")
    failed = [
        {
            "plate": folder.name,
            "well": row["well"],
            "kind": "function",
            "counts": "yes",
            "reason": row.get("reason", ""),
        }
        for row in rows
        if row["status"] == "failed"
    ]
    write_csv(folder / "tables/failures.csv", columns, failed)
    write_table(
        folder / "tables/sites.parquet",
        {"well": [row["well"] for row in rows], "status": [row["status"] for row in rows]},
    )
    return folder


def write_pixels(folder: Path, well: str, image: np.ndarray, labels: np.ndarray) -> None:
    """Write one site: image of shape (c, y, x), labels of shape (y, x)."""
    sizes = dict(zip("cyx", image.shape, strict=True))
    group = folder / f"{folder.name}.zarr" / well[0] / well[1:] / "1"
    names = [f"C{index}" for index in range(len(image))]
    spec = plan_array(sizes, image.dtype.name, labels=False, channels=names)
    pixels = Pyramid(spec)
    pixels.put((), image)
    write_image(group, pixels, name=well)
    nuclei = Pyramid(plan_array({"y": sizes["y"], "x": sizes["x"]}, "int32", labels=True))
    nuclei.put((), labels)
    write_labels(group, "nuclei", nuclei)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a plate: wells, rows of `dose_response.csv` and `assay_quality.csv`, pixels by well (image, labels)."""

    def make(
        wells: Sequence[Mapping[str, Any]],
        name: str = "p",
        *,
        curves: Sequence[Mapping[str, Any]] = (),
        quality: Sequence[Mapping[str, Any]] = (),
        hits: Sequence[Mapping[str, Any]] = (),
        pixels: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> Path:
        folder = write_plate_tables(tmp_path / name, wells, store=f"{name}.zarr" if pixels else None)
        write_csv(folder / "tables/dose_response.csv", DOSE_COLUMNS, curves)
        write_csv(folder / "tables/assay_quality.csv", QUALITY_COLUMNS, quality)
        write_csv(folder / "tables/hits.csv", HIT_COLUMNS, hits)
        for well, (image, labels) in (pixels or {}).items():
            write_pixels(folder, well, image, labels)
        return folder

    return make
