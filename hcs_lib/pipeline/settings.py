"""The configuration of an analysis: `config.yaml` and the table of plates, with every path resolved."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.pipeline.located import Document, display_path, parse_yaml
from hcs_lib.pipeline.models import Model, PlateName
from hcs_lib.pipeline.screen import PARTS, Screen
from hcs_lib.pipeline.validation import validate

RESERVED = ("registry", "report", "ro-crate-metadata.json", "screen", "workflow")
"""What else there is in the folder of results."""

FlagName = Literal["blurred", "saturated", "dim", "background", "uneven"]
_Deviations = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class QcFlags(Model):
    """What flags a site, where a step measures image quality. `null` switches a flag off."""

    blurred: _Deviations | None = 5.0
    """The power-log-log slope of a channel lies that many robust standard deviations below the plate's median."""
    dim: _Deviations | None = 5.0
    """The logarithm of a channel's mean intensity does."""
    background: _Deviations | None = 5.0
    """A channel's background lies that many above."""
    uneven: _Deviations | None = 5.0
    """The logarithm of a channel's unevenness does."""
    saturated: Annotated[float, Field(ge=0, lt=100)] | None = 1.0
    """More than that many percent of the pixels of a channel are at the top of the dtype, or at the highest value
    that the channel has on the plate."""


class QcGate(Model):
    """Stops before the other steps where too many sites are flagged."""

    max_flagged: Annotated[float, Field(ge=0, le=1)] = 0.2
    """The share of sites that may be flagged."""
    flags: Annotated[list[FlagName], Field(min_length=1)] | None = None
    """The flags that count. By default all."""


_ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]


class RegistrySettings(Model):
    """Where functions come from, beside the libraries that are installed."""

    modules: tuple[_ModuleName, ...] = ()
    """Python modules with functions of your own, declared with `image_function`: `filters` for a file `filters.py`
    beside the configuration, or what is installed. The functions go by the name of the module, `filters.sharpen`."""
    max_age_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 7.0
    """How old a library's measurements in your own cache may be before it is probed anew. What a workflow has
    written into its results does not age."""


# YAML takes a version without quotes for a number.
_OmeZarr = Annotated[
    Literal["0.4", "0.5"], BeforeValidator(lambda said: str(said) if isinstance(said, float) else said)
]


class Config(Model):
    """The keys of `config.yaml`. Every path is relative to the file that names it."""

    plates: Annotated[str, Field(min_length=1)]
    """The table of plates, a file with tabs between its columns."""
    pipeline: Annotated[str, Field(min_length=1)] | None = None
    """The pipeline of every plate that names none in the table."""
    device: Literal["cpu", "gpu", "auto"] = "cpu"
    """`cpu` refuses functions that need a GPU, `gpu` refuses pipelines without one, `auto` takes what the functions
    of the pipeline need and, where there are `gpus`, the twins there of those that run on the CPU. torch and
    pyclesperanto run on a GPU with `gpu`, and with `auto` where there are `gpus`."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """How many GPUs there are for the analysis. A profile for a machine that has some says so (`config: gpus=1`)."""
    wells_per_batch: Annotated[int, Field(ge=1, le=1536)] = 16
    """How many wells one job works on, one after another. Another number computes no well again."""
    bad_planes: Literal["fail", "skip_site", "skip_well"] = "fail"
    """What to do where a plane is missing or broken: record the well as failed, go on without the site, or leave the
    well out. No pixels are ever invented."""
    allowed_failures: Annotated[int, Field(ge=0)] = 0
    """How many wells of a plate may fail before the run ends with an error."""
    qc_flags: QcFlags = Field(default_factory=QcFlags)
    """What [flags a site](#flags-and-the-gate), where a step measures image quality."""
    qc_gate: QcGate | None = None
    """Measure image quality first, in a stage of its own, and [stop there](#flags-and-the-gate) where too many sites
    are flagged. By default nothing stops."""
    well_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """How long a job may work on one well of a stage before it is ended, for a function that hangs. The well is tried
    again by the next run; ended twice, it is recorded as failed, and the others go on. By default there is no limit."""
    fingerprint: Literal["stat", "content"] = "stat"
    """How a raw file is known again: by size and time stamp, or by a hash of its bytes."""
    ome_zarr: _OmeZarr = "0.5"
    """The version of OME-Zarr that images and labels are written in. `0.4` is for programs that do not read 0.5: it
    has [many more files](../docs/omezarr.md#version-04)."""
    screen: Screen = Screen()
    """What is computed [from the wells of a plate](#what-is-computed-from-wells)."""
    registry: RegistrySettings = RegistrySettings()
    """[Functions of your own](#functions-of-your-own), and how long measurements of libraries are kept."""


class PlateRow(Model):
    """The columns of the table of plates, one row for each plate. A column that is not needed may be left out."""

    plate: PlateName
    """Name of the plate: the folder of its results, so letters, digits, `.`, `_` and `-` only."""
    path: Annotated[str, Field(min_length=1)]
    """The folder with the plate's images. Nothing is ever written there."""
    format: Annotated[str, Field(min_length=1)] = "auto"
    """What wrote the files (`hcs index --help` names the formats); `auto` finds out."""
    pattern: Annotated[str, Field(min_length=1)] | None = None
    """Pattern of file names, such as `Channel{channel}-{n}-{row}-{col}.tif`."""
    platemap: Annotated[str, Field(min_length=1)] | None = None
    """What is in each well: a table with a column `well`."""
    pipeline: Annotated[str, Field(min_length=1)] | None = None
    """The pipeline of this plate. By default that of `config.yaml`."""
    pixel_size_um: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Side of a pixel in micrometres, where the files do not tell. It wins over what they say."""


class PlateSettings(Model):
    """One plate, all paths absolute. Plain JSON (`model_dump(mode="json")`)."""

    name: str
    path: Path
    format: str
    pattern: str | None
    platemap: Path | None
    pipeline: Path
    pixel_size_um: float | None


class Settings(Model):
    """A whole analysis, every default filled in. Plain JSON (`model_dump(mode="json")`)."""

    plates: tuple[PlateSettings, ...]
    device: Literal["cpu", "gpu", "auto"]
    gpus: int = 0
    wells_per_batch: int
    bad_planes: Literal["fail", "skip_site", "skip_well"]
    allowed_failures: int
    well_minutes: float | None = None
    fingerprint: Literal["stat", "content"]
    ome_zarr: Literal["0.4", "0.5"] = "0.5"
    screen: Screen = Screen()
    qc_flags: QcFlags = Field(default_factory=QcFlags)
    qc_gate: QcGate | None = None
    registry: RegistrySettings = RegistrySettings()

    def plate(self, name: str) -> PlateSettings:
        """Return a plate by name; a UserError offers the nearest."""
        plates = {plate.name: plate for plate in self.plates}
        if name not in plates:
            hint = nearest(name, plates) or f"Plates are {', '.join(plates)}."
            raise UserError(Problem("", f"There is no plate '{name}'.", hint))
        return plates[name]


def load_settings(config: dict[str, Any], base: Path, source: str, results: Path | None = None) -> Settings:
    """Check a configuration and the table of plates that it names.

    Parameters
    ----------
    config
        The keys of `config.yaml`, as Snakemake or `read_yaml` read them.
    base
        The folder that relative paths in it start from: where the configuration file lies.
    source
        Names the configuration in errors. Where it is a file, errors carry its lines.
    results
        Where results are to be written: no plate's folder may hold it.

    Raises
    ------
    UserError
        With everything that is wrong in both files.
    """
    document = Document(source, config, _lines(base / source))
    settings = validate(Config, document, {"screen": Screen, **PARTS, "qc_flags": QcFlags, "qc_gate": QcGate,
                                          "registry": RegistrySettings})  # fmt: skip
    table = base / settings.plates
    rows = _read_rows(table, document.where("plates"))
    problems: list[Problem] = []
    plates = []
    for row in rows:
        try:
            plates.append(_plate(row, table, settings, base, document, results))
        except UserError as error:
            problems += error.problems
    problems += _repeated(rows)
    if not rows:
        problems.append(Problem(display_path(table), "The table has no plate.", "Write one row for each plate."))
    if problems:
        raise UserError(problems)
    return Settings(plates=tuple(plates), **settings.model_dump(exclude={"plates", "pipeline"}))


def _lines(path: Path) -> dict[tuple[str | int, ...], int]:
    try:
        return dict(parse_yaml(path.read_text(encoding="utf-8"), str(path)).lines)
    except (OSError, ValueError):  # no file, or one that Snakemake read in another way
        return {}


class _Row(NamedTuple):
    where: str
    cells: dict[str, str]


def _read_rows(table: Path, named: str) -> list[_Row]:
    """Read the table; `named` is where the configuration names it."""
    source = display_path(table)
    try:
        text = table.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(Problem(named, f"plates: the file {source} does not exist.")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Problem(named, f"plates: {source} cannot be read: {error}.")) from None
    lines = [
        (number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise UserError(Problem(source, "The table is empty.", f"Its columns are {', '.join(PlateRow.model_fields)}."))
    header = [name.strip() for name in next(csv.reader([lines[0][1]], delimiter="\t"))]
    problems = [
        Problem(
            f"{source}:{lines[0][0]}",
            f"Unknown column '{name}'.",
            nearest(name, PlateRow.model_fields)
            or f"Columns, with tabs between, are {', '.join(PlateRow.model_fields)}.",
        )
        for name in header
        if name not in PlateRow.model_fields
    ]
    problems += [
        Problem(f"{source}:{lines[0][0]}", f"The column '{name}' is there twice.")
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    rows = []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter="\t"))]
        if len(cells) > len(header):
            problems.append(
                Problem(f"{source}:{number}", f"{len(cells)} cells, but the table has {len(header)} columns.")
            )
        rows.append(_Row(f"{source}:{number}", {key: cell for key, cell in zip(header, cells, strict=False) if cell}))
    if problems:
        raise UserError(problems)
    return rows


def _plate(
    row: _Row, table: Path, config: Config, base: Path, document: Document, results: Path | None
) -> PlateSettings:
    found = validate(PlateRow, Document(row.where, dict(row.cells), {}), {})
    pipeline, named = (
        (table.parent / found.pipeline, row.where)
        if found.pipeline
        else (base / config.pipeline if config.pipeline else None, document.where("pipeline"))
    )
    platemap = table.parent / found.platemap if found.platemap else None
    path = table.parent / found.path
    problems = []
    if found.plate.lower() in RESERVED:
        problems.append(
            Problem(row.where, f"plate: '{found.plate}' is the name of other results than those of a plate.",
                    f"So are {', '.join(RESERVED)}: take another.")
        )  # fmt: skip
    if pipeline is None:
        problems.append(
            Problem(row.where, f"Plate '{found.plate}' has no pipeline.", f"Name one here or in {document.source}.")
        )
    elif not pipeline.is_file():
        problems.append(Problem(named, f"pipeline: the file {display_path(pipeline)} does not exist."))
    if platemap and not platemap.is_file():
        problems.append(Problem(row.where, f"platemap: the file {display_path(platemap)} does not exist."))
    if not path.is_dir():
        problems.append(Problem(row.where, f"path: the folder {display_path(path)} does not exist."))
    elif results is not None and results.resolve().is_relative_to(path.resolve()):
        problems.append(
            Problem(row.where, f"path: results would be written into the plate's folder, to {results}.",
                    "Run elsewhere: `snakemake --directory WORK`, `hcs compile --results WORK/results`.")
        )  # fmt: skip
    if problems:
        raise UserError(problems)
    assert pipeline is not None
    return PlateSettings(
        name=found.plate,
        path=_absolute(path),
        format=found.format,
        pattern=found.pattern,
        platemap=_absolute(platemap) if platemap else None,
        pipeline=_absolute(pipeline),
        pixel_size_um=found.pixel_size_um,
    )


def _absolute(path: Path) -> Path:
    """Return a path without `..`, links left as they are: what the user named is what messages name."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _repeated(rows: list[_Row]) -> Iterator[Problem]:
    """Plates whose folders of results would be one; also on file systems that ignore case."""
    first: dict[str, _Row] = {}
    for row in rows:
        name = row.cells.get("plate", "")
        earlier = first.setdefault(name.lower(), row)
        if name and earlier is not row:
            same = f"'{name}' is there already" if earlier.cells["plate"] == name else f"'{name}' differs only in case"
            yield Problem(row.where, f"plate: {same} ({earlier.where}).", "Plates need names of their own.")
