"""How far a plate is, and when it ends: with wells that are done, run, failed, died, are to be done, or wait."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result

from hcs_lib.cli.main import cli
from hcs_lib.cli.status import summary_lines
from hcs_lib.compiler.compile import compile_plate, index_anew
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.gates import FlaggedSite, GateFound
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.refusals import refuse
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.journal import in_flight
from hcs_lib.pipeline.located import read_yaml
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.planning.pace import pace_of
from hcs_lib.planning.progress import PlateProgress, look_at_plate

WELLS = ("A01", "A02", "A03", "B01", "B02", "B03")
"""In batches of four positions of a plate with twelve: the first three, the others."""
PIPELINE = """\
name: two
steps:
  - {name: smooth, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, checkpoint: true}
  - {name: keep, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 2}}, keep: true}
"""
FIRST, LAST = "s01-cpu", "s02-cpu"


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, well in enumerate(WELLS):
        pixels = np.random.default_rng(number).integers(90, 110, (32, 32)).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"images/{well}_s1_DNA.tif", pixels)
    (tmp_path / "plates.tsv").write_text("plate\tpath\tpattern\nplate1\timages\t{well}_s{site}_{channel}.tif\n")
    (tmp_path / "config.yaml").write_text("plates: plates.tsv\npipeline: pipeline.yaml\nwells_per_batch: 3\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


def compile_it(analysis: Path) -> Path:
    document = read_yaml(analysis / "config.yaml")
    settings = load_settings(document.value, analysis, document.source)
    (plate,) = settings.plates
    index_anew(plate, settings).save(analysis / "results/plate1/index.json")
    compile_plate(plate, settings, analysis / "results")
    return analysis / "results/plate1"


def batches_of(folder: Path, stage: str) -> list[Path]:
    found = sorted((folder / "manifests" / stage).glob("*.json"))
    assert len(found) == 2
    return found


def counts(plate: PlateProgress) -> list[dict[str, int]]:
    """Return the counts of the plate, and of its stages."""
    return [dict(each) for each in (plate.counts, *(stage.counts for stage in plate.stages))]


def status(analysis: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["status", str(analysis / "results"), *arguments])


def test_wells_are_counted_from_compiling_to_the_end(analysis: Path) -> None:
    folder = compile_it(analysis)
    assert counts(look_at_plate(folder)) == [{"to_do": 6}] * 3
    execute_manifest(batches_of(folder, FIRST)[0])
    assert counts(look_at_plate(folder)) == [{"to_do": 6}, {"done": 3, "to_do": 3}, {"to_do": 6}]
    for stage in (FIRST, LAST):
        for manifest in batches_of(folder, stage):
            execute_manifest(manifest)
    plate = look_at_plate(folder)
    assert counts(plate) == [{"done": 6}] * 3
    assert plate.is_over
    assert plate.passed
    assert pace_of([plate]).seconds == 0

    found = status(analysis)
    assert (found.exit_code, found.output) == (
        0,
        "plate1: 6 of 6 wells done, 0 failed (0 allowed)\nNothing is left to be executed.\n",
    )
    with pytest.raises(UserError, match="no results of a plate"):
        CliRunner().invoke(cli, ["status", str(analysis / "images")], catch_exceptions=False)
    assert CliRunner().invoke(cli, ["status", str(folder)]).output == found.output


def test_another_argument_makes_wells_to_do(analysis: Path) -> None:
    folder = compile_it(analysis)
    for stage in (FIRST, LAST):
        for manifest in batches_of(folder, stage):
            execute_manifest(manifest)
    override = "overrides:\n  - {wells: [A02], step: keep, args: {scipy.ndimage.gaussian_filter: {sigma: 3}}}\n"
    (analysis / "pipeline.yaml").write_text(PIPELINE + override)
    compile_it(analysis)
    plate = look_at_plate(folder)
    assert counts(plate) == [{"done": 5, "to_do": 1}, {"done": 6}, {"done": 5, "to_do": 1}]
    assert plate.stages[1].batches["b001"]["A02"] == "to_do"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text('{"plate": "p", "stage": "s", "batch": "b", "wells": {"A01": 3}}'),
        lambda path: path.write_text(path.read_text().replace('"context_digest":"', '"context_digest":"0')),
    ],
    ids=["deleted", "truncated", "foreign", "of another form", "of other contexts"],
)
def test_without_the_receipt_of_a_batch_its_wells_speak(analysis: Path, damage: Callable[[Path], None]) -> None:
    folder = compile_it(analysis)
    for manifest in batches_of(folder, FIRST):
        execute_manifest(manifest)
    damage(folder / f"receipts/{FIRST}/batches/b001.json")
    (folder / f"receipts/{FIRST}/A03.json").write_text("{")
    assert counts(look_at_plate(folder)) == [{"to_do": 6}, {"done": 5, "to_do": 1}, {"to_do": 6}]


def test_failed_well_says_why_and_where_its_log_is(analysis: Path) -> None:
    (analysis / "images/A02_s1_DNA.tif").write_bytes(b"no image")
    folder = compile_it(analysis)
    for stage in (FIRST, LAST):
        for manifest in batches_of(folder, stage):
            execute_manifest(manifest)
    plate = look_at_plate(folder)
    assert counts(plate) == [
        {"done": 5, "failed": 1},
        {"done": 5, "failed": 1},
        {"done": 5, "not_reached": 1},
    ]
    (failed,) = plate.failures
    receipt = Receipt.load(folder / f"receipts/{FIRST}/A02.json")
    assert receipt is not None
    assert (failed.well, failed.stage, failed.reason) == ("A02", FIRST, receipt.reason)
    assert failed.log == folder / f"logs/{FIRST}/b001.log"

    found = status(analysis)
    assert found.exit_code == 1, "none may fail"
    assert found.output.splitlines()[:2] == [
        "plate1: 5 of 6 wells done, 1 failed (0 allowed)",
        f"  A02 failed in {FIRST}: {receipt.reason} ({failed.log})",
    ]
    told = json.loads(status(analysis, "--json").output)
    assert told["failures"] == [
        {
            "plate": "plate1",
            "well": "A02",
            "stage": FIRST,
            "reason": receipt.reason,
            "log": str(failed.log),
            "left_out": False,
        }
    ]
    (analysis / "config.yaml").write_text((analysis / "config.yaml").read_text() + "allowed_failures: 1\n")
    compile_it(analysis)
    assert status(analysis).exit_code == 0


def test_wells_that_the_policy_left_out_are_no_failures(analysis: Path) -> None:
    (analysis / "images/A02_s1_DNA.tif").write_bytes(b"no image")
    (analysis / "config.yaml").write_text((analysis / "config.yaml").read_text() + "bad_planes: skip_well\n")
    folder = compile_it(analysis)
    for stage in (FIRST, LAST):
        for manifest in batches_of(folder, stage):
            execute_manifest(manifest)
    assert look_at_plate(folder).counts == {"done": 5, "left_out": 1}
    found = status(analysis)
    assert found.exit_code == 0
    assert "5 of 6 wells done, 0 failed (0 allowed), 1 left out" in found.output
    assert "  A02 left out in s01-cpu: " in found.output


def flight(folder: Path, well: str, stage: str = FIRST) -> tuple[Path, str]:
    return WellFolders(folder, stage, well).work, FrozenContext.load(folder / f"contexts/{stage}/{well}.json").digest


def test_well_in_flight_runs_and_one_whose_process_died_is_to_do(analysis: Path) -> None:
    folder = compile_it(analysis)
    with in_flight(*flight(folder, "A02")), in_flight(*flight(folder, "B01")):
        plate = look_at_plate(folder)
        assert counts(plate)[:2] == [{"to_do": 4, "running": 2}, {"to_do": 4, "running": 2}]
        assert not plate.ended
    assert not look_at_plate(folder).ended
    with pytest.raises(MemoryError), in_flight(*flight(folder, "B01")):
        raise MemoryError
    plate = look_at_plate(folder)
    assert plate.counts == {"to_do": 6}
    (job,) = plate.ended
    assert (job.stage, job.batch, job.log) == (FIRST, "b002", folder / f"logs/{FIRST}/b002.log")
    assert "while it executed B01" in job.reason
    assert "  s01-cpu b002 is not finished, and its job ended: its process died" in status(analysis).output
    with in_flight(*flight(folder, "B02")):
        assert not look_at_plate(folder).ended, "another job has taken over"


def test_the_last_message_of_a_job_says_why_it_ended(analysis: Path) -> None:
    folder = compile_it(analysis)
    log = folder / f"logs/{FIRST}/b001.log"
    log.parent.mkdir(parents=True)
    log.write_text("plate1 A01 s01-cpu: done in 0.10 s\n")
    assert not look_at_plate(folder).ended, "it may still be at work"
    log.write_text("plate1 A01 s01-cpu: done in 0.10 s\nhcs: ended by SIGTERM; run it again.\n")
    (job,) = look_at_plate(folder).ended
    assert (job.batch, job.reason) == ("b001", "ended by SIGTERM; run it again.")
    execute_manifest(batches_of(folder, FIRST)[0])
    assert not look_at_plate(folder).ended


def take(folder: Path, stage: str, seconds: float) -> None:
    """Let the finished wells of a stage have taken so long."""
    for path in (folder / "receipts" / stage).glob("*.json"):
        receipt = Receipt.load(path)
        assert receipt is not None
        started = datetime.fromisoformat(receipt.started)
        finished = (started + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        receipt.model_copy(update={"finished": finished}).save(path)


def test_the_end_follows_from_seconds_and_from_wells_at_once(analysis: Path) -> None:
    folder = compile_it(analysis)
    first, last = (batches_of(folder, stage) for stage in (FIRST, LAST))
    execute_manifest(first[0])
    take(folder, FIRST, 10)
    assert pace_of([look_at_plate(folder)]).seconds is None, "nothing is known of the last stage"
    assert "an unknown time" in status(analysis).output
    execute_manifest(last[0])
    take(folder, LAST, 4)
    pace = pace_of([look_at_plate(folder)])
    assert (pace.running, pace.seconds, pace.longest, pace.to_go) == (0, 3 * 10 + 3 * 4, 42, None)
    assert status(analysis).output.endswith("Nothing runs now; what is left takes one job 42 s.\n")

    with in_flight(*flight(folder, "B01")):
        pace = pace_of([look_at_plate(folder)])
        assert (pace.running, pace.seconds) == (1, 2.5 * 10 + 3 * 4)
        assert pace.to_go == timedelta(seconds=37)
        noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        assert pace.ends(noon) == noon + timedelta(seconds=37)
        before = datetime.now(UTC)
        told = json.loads(status(analysis, "--json").output)
        assert (told["running"], told["seconds"]) == (1, 37)
        ends = datetime.fromisoformat(told["ends"]) - before
        assert timedelta(seconds=35) < ends
        assert " in 37 s, with 1 well at once." in status(analysis).output
        with in_flight(*flight(folder, "B02")):
            # Two at once would need half of 32 s; but a batch is done by one job, one well after another.
            assert pace_of([look_at_plate(folder)]).to_go == timedelta(seconds=1 * 10 + 2 * 5 + 3 * 4)


def test_a_plate_without_a_finished_well_is_as_fast_as_others(analysis: Path) -> None:
    folder = compile_it(analysis)
    for stage in (FIRST, LAST):
        for manifest in batches_of(folder, stage):
            execute_manifest(manifest)
        take(folder, stage, 2)
    done = look_at_plate(folder)
    for path in (folder / "receipts").glob("*/**/*.json"):
        path.unlink()
    fresh = look_at_plate(folder)
    assert pace_of([fresh]).seconds is None
    assert pace_of([done, fresh]).seconds == 6 * 2 + 6 * 2


def test_plate_that_waits_at_its_gate(analysis: Path) -> None:
    (analysis / "pipeline.yaml").write_text(
        "name: gated\nsteps:\n"
        "  - {name: smooth, func: {call: scipy.ndimage.gaussian_filter, args: {sigma: 1}}, keep: true}\n"
        "  - {name: quality, input: raw, stack: channel, func: hcs.measure_image_quality, outputs: {table: quality}}\n"
    )
    config = analysis / "config.yaml"
    config.write_text(config.read_text() + "qc_gate: {max_flagged: 0.1}\n")
    folder = compile_it(analysis)
    for manifest in batches_of(folder, FIRST):
        execute_manifest(manifest)
    flagged = FlaggedSite(well="A01", site=1, flags="dim:DNA")
    GateFound(plate="plate1", sites=6, flagged=(flagged,), max_flagged=0.1, passed=False).save(folder)
    plate = look_at_plate(folder)
    assert plate.gated == [LAST]
    assert pace_of([plate]).seconds == 0, "what stands behind a closed gate is nobody's work"
    found = status(analysis)
    assert found.exit_code == 1
    assert "stopped at the gate: 1 of 6 sites flagged" in found.output
    GateFound(plate="plate1", sites=6, flagged=(), max_flagged=0.1, passed=True).save(folder)
    assert status(analysis).exit_code == 0
    assert look_at_plate(folder).gated == []


def test_plate_that_is_not_compiled(analysis: Path) -> None:
    folder = compile_it(analysis)
    execute_manifest(batches_of(folder, FIRST)[0])
    (folder / "plan.json").unlink()
    found = status(analysis)
    assert (found.exit_code, found.output) == (0, "plate1: not compiled\n")
    with pytest.raises(UserError, match=r"plan\.json"):
        look_at_plate(folder)


def test_plate_that_was_refused_says_why(analysis: Path) -> None:
    folder = analysis / "results/plate1"
    refuse(folder / "plan.json", UserError([Problem("pipeline.yaml:3", "There is no function."), Problem("", "More.")]))
    found = status(analysis)
    assert found.exit_code == 1
    assert found.output == "plate1: refused\n  pipeline.yaml:3: There is no function.\n  More.\n"
    told = json.loads(status(analysis, "--json").output)
    assert told["refused"] == [{"plate": "plate1", "reason": "pipeline.yaml:3: There is no function.\nMore."}]
    assert list(summary_lines(analysis / "results", ["plate1", "plate2"])) == [
        "plate1: pipeline.yaml:3: There is no function.",
        "plate1: More.",
    ]
