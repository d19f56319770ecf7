"""`hcs convert`: a plate as OME-Zarr, by the pipeline that changes nothing. One writer, one way to finish a well."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from hcs_lib.core.errors import MachineError, Problem, UserError, nearest
from hcs_lib.plates.formats import FORMATS
from hcs_lib.storage.spec import OmeZarr

if TYPE_CHECKING:
    from hcs_lib.plates.index import PlateIndex

_WELLS_PER_BATCH = 4
"""Small, so that workers end together; another number converts no well again."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT.zarr", type=click.Path(path_type=Path))
@click.option("--format", "format_", metavar="F", default="auto", show_default=True,
              help=f"How the microscope names its files: auto, pattern, {', '.join(FORMATS)}.")  # fmt: skip
@click.option("--pattern", metavar="P", help="Your own file names, as in `hcs index`.")
@click.option("--pixel-size-um", type=float, help="Micrometres a pixel, in place of what the files say.")
@click.option("--channel", "channels", metavar="C", multiple=True,
              help="Only this channel, by name or id (may be given several times).")  # fmt: skip
@click.option("--ome-zarr", "version", type=click.Choice(get_args(OmeZarr)), default="0.5", show_default=True,
              help="The version of OME-Zarr to write.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), default=len(os.sched_getaffinity(0)), show_default=True,
              help="How many processes convert wells side by side.")  # fmt: skip
def convert(
    folder: Path,
    out: Path,
    format_: str,
    pattern: str | None,
    pixel_size_um: float | None,
    channels: tuple[str, ...],
    version: OmeZarr,
    workers: int,
) -> None:
    """Convert the plate in FOLDER into the OME-Zarr plate OUT.zarr; pixels stay as they are.

    It is what the workflow does, with a pipeline that changes nothing: indexed, compiled, executed, collected, in the
    hidden folder .OUT.zarr.work beside OUT.zarr, which goes when all is done. A second call goes on where the first
    was interrupted. A site of which a plane is missing or broken is left out, and told.

    Channels that were taken at other z-planes than others are an acquisition of their own: images of their own in
    each well, at the same sites. No planes are invented.

    Exit status 1: a well has no whole site, and is not in OUT.zarr.
    """
    from hcs_lib.plates.index_file import index_into
    from hcs_lib.screening.collect import collect_plate
    from hcs_lib.storage.plate import join_acquisitions, read_fields

    name = _name(folder, out)
    work = out.absolute().with_name(f".{out.name}.work")
    goes_on = work.exists()
    asked: dict[str, Any] = {"format": format_, "pattern": pattern, "pixel_size_um": pixel_size_um}
    try:
        index = index_into(work / "index.json", folder, plate=name, **asked)
        parts = {part: work / str(n) / name for n, part in enumerate(_parts(folder, index, channels), start=1)}
        manifests = {
            manifest: f" ({', '.join(part)})" if len(parts) > 1 else ""
            for part, results in parts.items()
            for manifest in _compile(folder, part, index, results, version, asked)
        }
    except UserError:
        if not goes_on:
            shutil.rmtree(work, ignore_errors=True)
        raise
    _execute(manifests, workers)
    for results in parts.values():
        collect_plate(results)
    for place, reason in {place: reason for results in parts.values() for place, reason in _left_out(results)}.items():
        click.echo(f"{place}: left out: {reason}")
    stores = {", ".join(part): results / f"{name}.zarr" for part, results in parts.items()}
    store = next(iter(stores.values()))
    if len(stores) > 1:
        store = work / "joined.zarr"
        shutil.rmtree(store, ignore_errors=True)
        fields = join_acquisitions(store, name, stores, index.wells, version)
    else:
        fields = read_fields(store, index.wells)
    done = [well for well in index.wells if fields[well]]
    if not done:
        raise UserError(Problem(str(folder), "no well of the plate could be converted.", "Copy the plate again."))
    store.rename(out)
    shutil.rmtree(work)
    sites = sum(len(index.extents[well].sites) - len(fields[well]) for well in done)
    failed = len(index.wells) - len(done)
    lacking = [f"{number} {what} left out" for number, what in ((sites, "sites"), (failed, "wells")) if number]
    click.echo(f"{out}: " + ", ".join([f"{len(done)} wells", *lacking]))
    sys.exit(1 if failed else 0)


def _name(folder: Path, out: Path) -> str:
    """Return the name of the plate, that of its store.

    Raises
    ------
    UserError
        Where nothing can be written there.
    """
    from hcs_lib.pipeline.located import Document
    from hcs_lib.pipeline.settings import PlateRow
    from hcs_lib.pipeline.validation import validate

    name = out.name.removesuffix(".zarr")
    if name == out.name or not name:
        raise UserError(
            Problem(str(out), "the name of an OME-Zarr plate ends with .zarr.", f"Such as {out.name}.zarr.")
        )
    validate(PlateRow, Document(str(out), {"plate": name, "path": str(folder)}, {}), {})
    if out.exists():
        raise UserError(Problem(str(out), "it is there already.", "Remove it, or name another."))
    if out.resolve().is_relative_to(folder.resolve()):
        raise UserError(Problem(str(out), "nothing is written into a plate's folder.", "Name a place elsewhere."))
    return name


def _parts(folder: Path, index: PlateIndex, channels: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the names of the channels that were taken at the same z-planes, for each of their z-planes.

    Raises
    ------
    UserError
        For a channel that there is not, and where time points are not those of all: images have no place for that.
    """
    names = index.channel_names
    for wanted in channels:
        if wanted not in names and wanted not in names.values():
            hint = nearest(wanted, names.values()) or f"It has {', '.join(names.values())}."
            raise UserError(Problem("--channel", f"the plate has no channel '{wanted}'.", hint))
    parts: dict[frozenset[tuple[int, int]], tuple[str, ...]] = {}
    for id_, name in names.items():
        if not channels or id_ in channels or name in channels:
            parts[index.frames[id_]] = (*parts.get(index.frames[id_], ()), name)
    times = {part: {t for _, t in frames} for frames, part in parts.items()}
    for frames, part in parts.items():
        if len(frames) != len({z for z, _ in frames}) * len(times[part]):
            told = f"{', '.join(part)}: other z-planes were taken at one time point than at another."
            raise UserError(
                Problem(str(folder), told, "No image has a place for that: name other channels by --channel.")
            )
    if any(points != times[next(iter(times))] for points in times.values()):
        said = "; ".join(f"{', '.join(part)} at {', '.join(map(str, sorted(times[part])))}" for part in times)
        told = f"its channels were not taken at the same time points: {said}."
        raise UserError(Problem(str(folder), told, "Convert those that were, by --channel, into a store of their own."))
    return [*parts.values()]


def _compile(
    folder: Path, channels: Sequence[str], index: PlateIndex, results: Path, version: OmeZarr, asked: Mapping[str, Any]
) -> list[Path]:
    """Compile the pipeline that changes nothing, for some channels; return the manifests."""
    from hcs_lib.compiler.compile import compile_plate
    from hcs_lib.core.files import update_atomic
    from hcs_lib.pipeline.settings import PlateSettings, Settings

    step = {"name": "image", "func": "hcs.identity", "keep": True, "channels": [*channels]}
    pipeline = results.parent / "pipeline.yaml"
    update_atomic(pipeline, json.dumps({"name": "convert", "steps": [step]}).encode())  # JSON is YAML
    index.save(results / "index.json")
    plate = PlateSettings(name=results.name, path=folder.absolute(), platemap=None, pipeline=pipeline, **asked)
    settings = Settings(
        plates=(plate,), device="cpu", wells_per_batch=_WELLS_PER_BATCH, bad_planes="skip_site", allowed_failures=0,
        fingerprint="stat", ome_zarr=version,
    )  # fmt: skip
    plan = compile_plate(plate, settings, results.parent)
    return [results / "manifests" / stage.name / f"{batch}.json" for stage in plan.stages for batch in stage.batches]


def _execute(manifests: Mapping[Path, str], workers: int) -> None:
    """Execute the batches in processes of their own, and say of each well, with what its manifest is of, its fate."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    workers = min(workers, len(manifests))
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool:
        waiting = [pool.submit(execute_batch, *batch) for batch in manifests.items()]
        try:
            for done in as_completed(waiting):
                for line in done.result():
                    click.echo(line)
        except BrokenProcessPool:
            raise MachineError("a worker was killed, perhaps for memory; run it again with fewer --workers.") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: a killed program leaves no others behind."""
    from multiprocessing import parent_process
    from threading import Thread

    def wait() -> None:
        if parent := parent_process():
            parent.join()
        os._exit(MachineError.exit_code)

    Thread(target=wait, daemon=True).start()


def execute_batch(manifest: Path, of: str) -> list[str]:
    """Execute the wells of a manifest; return a line for each, with what they are of."""
    from hcs_lib.contexts.receipts import Receipt
    from hcs_lib.execution.execute import execute_manifest

    lines: list[str] = []

    def tell(receipt: Receipt, kept: bool) -> None:
        lines.append(f"{receipt.well}{of}: {receipt.status}{' (kept)' if kept else ''}")

    execute_manifest(manifest, retry_failed=True, report=tell)
    return lines


def _left_out(results: Path) -> Iterator[tuple[str, str]]:
    """Yield well and site, and why they are not there."""
    from hcs_lib.screening.verdict import verdict

    for row in verdict(results).failures:
        yield f"{row['well']}{' site ' + row['site'] if row['site'] else ''}", row["reason"]
