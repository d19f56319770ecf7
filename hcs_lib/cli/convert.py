"""`hcs convert`: a plate as OME-Zarr, by the pipeline that changes nothing. One writer, one way to finish a well."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hcs_lib.core.errors import MachineError, Problem, UserError
from hcs_lib.plates.formats import FORMATS

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
              help="Only this channel (may be given several times). All must have the same z-planes.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), default=len(os.sched_getaffinity(0)), show_default=True,
              help="How many processes convert wells side by side.")  # fmt: skip
def convert(
    folder: Path,
    out: Path,
    format_: str,
    pattern: str | None,
    pixel_size_um: float | None,
    channels: tuple[str, ...],
    workers: int,
) -> None:
    """Convert the plate in FOLDER into the OME-Zarr plate OUT.zarr; pixels stay as they are.

    It is what the workflow does, with a pipeline that changes nothing: indexed, compiled, executed, collected, in the
    hidden folder .OUT.zarr.work beside OUT.zarr, which goes when all is done. A second call goes on where the first
    was interrupted. A site of which a plane is missing or broken is left out, and told.

    Exit status 1: a well has no whole site, and is not in OUT.zarr.
    """
    from hcs_lib.screening.collect import collect_plate

    name = _name(folder, out)
    work = out.absolute().with_name(f".{out.name}.work")
    results = work / "results"
    manifests = _compile(folder, name, results, _pipeline(work, channels), format_, pattern, pixel_size_um)
    _execute(manifests, workers)
    collected = collect_plate(results / name)
    failed = collected.wells["failed"] + collected.wells["skipped"]
    for place, reason in _left_out(results / name):
        click.echo(f"{place}: left out: {reason}")
    if not collected.wells["done"]:
        raise UserError(Problem(str(folder), "no well of the plate could be converted.", "Copy the plate again."))
    (results / name / f"{name}.zarr").rename(out)
    shutil.rmtree(work)
    lacking = [f"{collected.sites_left_out} sites left out"] if collected.sites_left_out else []
    lacking += [f"{failed} wells left out"] if failed else []
    click.echo(f"{out}: " + ", ".join([f"{collected.wells['done']} wells", *lacking]))
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


def _pipeline(work: Path, channels: Sequence[str]) -> Path:
    """Write the pipeline that changes nothing."""
    from hcs_lib.core.files import update_atomic

    step = {"name": "image", "func": "hcs.identity", "keep": True} | ({"channels": list(channels)} if channels else {})
    path = work / "pipeline.yaml"
    update_atomic(path, json.dumps({"name": "convert", "steps": [step]}).encode())  # JSON is YAML
    return path


def _compile(
    folder: Path,
    name: str,
    results: Path,
    pipeline: Path,
    format_: str,
    pattern: str | None,
    pixel_size_um: float | None,
) -> list[Path]:
    """Index and compile; return the manifests."""
    from hcs_lib.compiler.compile import compile_plate
    from hcs_lib.pipeline.settings import PlateSettings, Settings
    from hcs_lib.plates.index_file import index_into

    index_into(results / name / "index.json", folder, plate=name, format=format_, pattern=pattern,
               pixel_size_um=pixel_size_um)  # fmt: skip
    plate = PlateSettings(
        name=name, path=folder.absolute(), format=format_, pattern=pattern, platemap=None, pipeline=pipeline,
        pixel_size_um=pixel_size_um,
    )  # fmt: skip
    settings = Settings(
        plates=(plate,), device="cpu", wells_per_batch=_WELLS_PER_BATCH, bad_planes="skip_site", allowed_failures=0,
        fingerprint="stat",
    )  # fmt: skip
    plan = compile_plate(plate, settings, results)
    return [
        results / name / "manifests" / stage.name / f"{batch}.json" for stage in plan.stages for batch in stage.batches
    ]


def _execute(manifests: Sequence[Path], workers: int) -> None:
    """Execute the batches in processes of their own, and say of each well what became of it."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    workers = min(workers, len(manifests))
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool:
        waiting = [pool.submit(execute_batch, manifest) for manifest in manifests]
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


def execute_batch(manifest: Path) -> list[str]:
    """Execute the wells of a manifest; return a line for each."""
    from hcs_lib.contexts.receipts import Receipt
    from hcs_lib.execution.execute import execute_manifest

    lines: list[str] = []

    def tell(receipt: Receipt, kept: bool) -> None:
        lines.append(f"{receipt.well}: {receipt.status}{' (kept)' if kept else ''}")

    execute_manifest(manifest, retry_failed=True, report=tell)
    return lines


def _left_out(results: Path) -> Iterator[tuple[str, str]]:
    """Yield well and site, and why they are not there."""
    from hcs_lib.storage.collected import read_csv

    header, rows = read_csv(results / "tables" / "failures.csv")
    for row in rows:
        said = dict(zip(header, row, strict=True))
        yield f"{said['well']}{' site ' + said['site'] if said['site'] else ''}", said["reason"]
