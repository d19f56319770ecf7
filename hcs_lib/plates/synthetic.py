"""The demo plate on disk: ImageXpress files, platemap and truth."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from hcs_lib.core.addresses import parse_well
from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, write_atomic
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import write_metaseries
from hcs_lib.plates.scene import CHANNELS, DemoSpec, WellTruth, plan_wells, render_well, truth_json

PLATE, PLATEMAP, TRUTH = "plate", "platemap.csv", "truth.json"
_PARTIAL = ".plate.partial"
_WELL_PITCH_UM = 9000.0
_NAME = "demo"


def write_demo(folder: Path, spec: DemoSpec | None = None) -> Path:
    """Write the demo plate, `plate/`, with `platemap.csv` and `truth.json` beside it; return the plate's folder.

    What is complete already is left untouched, time stamps too; what was interrupted is written again.

    Raises
    ------
    UserError
        Where the folder holds something else, or a demo plate of another spec.
    """
    spec = spec or DemoSpec()
    wells = plan_wells(spec)
    truth = canonical_json(truth_json(spec, wells))
    _refuse_others(folder, truth)
    plate, partial = folder / PLATE, folder / _PARTIAL
    # The truth comes first: by it a folder is known as a demo's, however far it came.
    if not (folder / TRUTH).exists():
        write_atomic(folder / TRUTH, truth)
    if not (folder / PLATEMAP).exists():
        write_atomic(folder / PLATEMAP, _platemap(wells).encode())
    if not all((plate / _file(*address)).exists() for address in _addresses(spec)):
        for leftover in (partial, plate):
            if leftover.exists():
                shutil.rmtree(leftover)
        _write_planes(partial, spec, wells)
        partial.rename(plate)
    return plate


def load_truth(folder: Path) -> dict[str, Any]:
    """Read the truth of a demo folder.

    Raises
    ------
    UserError
        Where there is none.
    """
    truth = read_json(folder / TRUTH, "Truth of the demo plate (`hcs demo` writes it)")
    if not isinstance(truth, dict) or truth.get("schema_version") != 1 or "spec" not in truth:
        raise UserError(
            Problem(str(folder / TRUTH), "this is no truth of a demo plate.", "Run `hcs demo` on a new folder.")
        )
    return truth


def _refuse_others(folder: Path, truth: bytes) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(Problem(str(folder), "this is a file; the demo needs a folder.", "Name a new folder."))
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / TRUTH).exists():
        raise UserError(Problem(str(folder), "the folder is not empty and holds no demo plate.", "Name a new folder."))
    load_truth(folder)
    if (folder / TRUTH).read_bytes() != truth:
        raise UserError(Problem(str(folder), "the folder holds a demo plate of another version.",
                                "Remove it, or name a new folder."))  # fmt: skip


def _addresses(spec: DemoSpec) -> Iterator[tuple[str, int, int, int]]:
    """Yield well, and site, channel, z from 0."""
    return product(spec.wells, range(len(spec.origins)), range(len(CHANNELS)), range(spec.z_planes))


def _file(well: str, site: int, channel: int, z: int) -> str:
    return f"TimePoint_1/ZStep_{z + 1}/{_NAME}_{well}_s{site + 1}_w{channel + 1}.tif"


def _write_planes(folder: Path, spec: DemoSpec, wells: dict[str, WellTruth]) -> None:
    import tifffile

    for z in range(spec.z_planes):
        (folder / f"TimePoint_1/ZStep_{z + 1}").mkdir(parents=True)
    for well, truth in wells.items():
        planes = render_well(spec, well, truth)
        for _, site, channel, z in (address for address in _addresses(spec) if address[0] == well):
            tifffile.imwrite(
                folder / _file(well, site, channel, z),
                planes[site, channel, z],
                photometric="minisblack",
                description=write_metaseries(
                    _metadata(spec, well, site, channel, z), (spec.field, spec.field), f"{well} : Site {site + 1}"
                ),
                metadata=None,
                software="hcs demo",
            )


def _metadata(spec: DemoSpec, well: str, site: int, channel: int, z: int) -> PlaneMetadata:
    row, column = parse_well(well)
    (x, y), (width, height) = spec.origins[site], spec.world
    name, wavelength = CHANNELS[channel]

    def centre(origin: int, size: int, pitch: int) -> float:
        return round((pitch + 1) * _WELL_PITCH_UM + (origin + (spec.field - size) / 2) * spec.pixel_size_um, 2)

    return PlaneMetadata(
        spec.pixel_size_um, centre(x, width, column), centre(y, height, row),
        round(5000 + spec.heights_um[z], 3), name, wavelength,
    )  # fmt: skip


def _platemap(wells: dict[str, WellTruth]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["well", "compound", "dose", "unit", "control"])
    for well, truth in wells.items():
        writer.writerow([well, "translocator", f"{truth.dose_nm:g}", "nM", truth.control])
    return text.getvalue()
