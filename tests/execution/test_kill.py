"""A process killed at any moment leaves nothing that looks finished and is not; a rerun does only what is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hcs_lib.contexts.receipts import Receipt
from hcs_lib.core.canonical import digest_tree
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.execution.journal import in_flight

# Executes a manifest, and dies at the N-th change to its results (0: never); prints the number of changes.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from hcs_lib.execution.execute import execute_manifest
# Once, for all that are forked.
import imagecodecs, pyarrow.parquet, tifffile, zarr.codecs
from hcs_lib.execution import well
from hcs_lib.registry import service

def run(manifest, moment):
    count, results = 0, str(Path(manifest).parents[2])
    def hook(event, args):
        nonlocal count
        if event == "open":
            change = isinstance(args[0], str) and args[0].startswith(results) and args[2] & (os.O_WRONLY | os.O_RDWR)
        else:
            change = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
        if change:
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    execute_manifest(Path(manifest))
    return count

for manifest, moment in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        print(run(manifest, moment), flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) == (moment > 0), status
"""


def killed(*runs: tuple[Path, int]) -> list[int]:
    """Execute each manifest in a process that dies at the given moment."""
    arguments = json.dumps([(str(manifest), moment) for manifest, moment in runs])
    done = subprocess.run([sys.executable, "-c", KILLED, arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def smoothed(bench: Any, plan_call: Any) -> Any:
    """Change every context: labels of a mask, so that touching grey levels fall together."""

    def edit(context: Any) -> dict[str, Any]:
        steps = bench.steps(context.axis_id)
        chain = (plan_call("skimage.measure:label", returns="labels", contract="FLEXIBLE", connectivity=2),)
        changed = steps[0].model_copy(update={"func": steps[0].func.model_copy(update={"chain": chain})})
        return {"step_plans": {**steps, 0: changed}}

    return edit


def test_killed_at_any_moment_while_replacing_results(make_bench: Any, plan_call: Any) -> None:
    bench = make_bench(sites=(1,))
    bench.compile()
    execute_manifest(bench.manifest)
    bench.compile(smoothed(bench, plan_call))
    pristine = bench.folder / "results"

    def copy(name: str) -> Path:
        target = bench.folder / name
        shutil.copytree(pristine, target / "results")
        return target

    whole = copy("whole")
    (changes,) = killed((whole / bench.manifest.relative_to(bench.folder), 0))
    assert changes > 100
    moments = sorted({1, *range(5, changes, changes // 7), changes - 1, changes})
    folders = {moment: copy(f"killed{moment}") for moment in moments}
    manifests = {moment: folder / bench.manifest.relative_to(bench.folder) for moment, folder in folders.items()}
    killed(*((manifests[moment], moment) for moment in moments))

    expected = outputs(bench, whole)
    new = {well: bench.contexts[well].digest for well in bench.wells}
    finished_before = set()
    for moment, manifest in manifests.items():
        results = folders[moment] / "results" / "demo"
        finished = set()
        for well in bench.wells:
            receipt = Receipt.load(results / "receipts/s01-cpu" / f"{well}.json")
            if receipt is None:
                continue
            assert all(
                digest_tree(results / output.path, output.without).digest == output.digest for output in receipt.outputs
            )
            if receipt.context_digest == new[well]:
                finished.add(well)
        assert len(list((results / "work/s01-cpu").glob("*"))) <= 1
        kept = set()
        execute_manifest(manifest, report=lambda found, was_kept, kept=kept: kept.add(found.well) if was_kept else None)
        assert kept == finished
        assert outputs(bench, folders[moment]) == expected
        assert list((results / "work").rglob("*.json")) == []
        finished_before.add(len(finished))
    assert finished_before == {0, 1, 2, 3}


def outputs(bench: Any, folder: Path) -> dict[str, str]:
    return type(bench)(folder, sites=bench.sites).outputs()  # type: ignore[no-any-return]


def test_well_that_brought_its_process_down_twice_fails_and_its_neighbours_finish(bench: Any) -> None:
    middle = 60
    killed((bench.manifest, middle), (bench.manifest, middle))
    (folder,) = (bench.results / "work/s01-cpu").iterdir()
    batch = execute_manifest(bench.manifest)
    assert [value["status"] for value in batch.wells.values()].count("done") == 2
    receipt = Receipt.load(bench.receipt_path(folder.name))
    assert receipt is not None
    assert receipt.failure is not None
    assert receipt.failure.kind == "crash"
    assert "died 2 times" in receipt.reason
    assert execute_manifest(bench.manifest).wells[folder.name]["status"] == "failed"
    again = execute_manifest(bench.manifest, retry_failed=True)
    assert {value["status"] for value in again.wells.values()} == {"done"}


def test_deaths_on_another_context_do_not_count(bench: Any, plan_call: Any) -> None:
    killed((bench.manifest, 60), (bench.manifest, 60))
    bench.compile(smoothed(bench, plan_call))
    assert {value["status"] for value in execute_manifest(bench.manifest).wells.values()} == {"done"}


def die(folder: Path, error: type[BaseException]) -> int:
    """Let a well in flight end with an error; return how many deaths it was told of."""
    with suppress(error), in_flight(folder, "x") as deaths:
        (folder / "new").mkdir()
        (folder / "context.json").touch()
        raise error
    return deaths


def test_memory_counts_as_a_death(tmp_path: Path) -> None:
    folder = tmp_path / "A01"
    for deaths in (0, 1, 2):
        assert die(folder, MemoryError) == deaths
        assert [path.name for path in folder.iterdir()] == ["journal.json"]
    with in_flight(folder, "x", forget=True) as found:
        assert found == 0
    assert not folder.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, RuntimeError])
def test_other_errors_of_the_machine_do_not(tmp_path: Path, error: type[BaseException]) -> None:
    for _ in range(3):
        assert die(tmp_path / "A01", error) == 0
        assert not (tmp_path / "A01").exists()


def test_well_that_another_process_executes_is_left_alone(tmp_path: Path) -> None:
    from hcs_lib.core.errors import MachineError

    folder = tmp_path / "A01"
    with in_flight(folder, "x"):
        (folder / "new").mkdir()
        with pytest.raises(MachineError, match="another process"), in_flight(folder, "x"):
            pass
        assert (folder / "new").exists()


@pytest.mark.parametrize("journal", ["{}", "[]", "3", "null", '{"context_digest": "x"}', '{"deaths": 2}',
                                     '{"context_digest": "x", "deaths": "many"}', '{"context_digest"'])  # fmt: skip
def test_a_journal_of_another_shape_is_none(tmp_path: Path, journal: str) -> None:
    folder = tmp_path / "A01"
    folder.mkdir()
    (folder / "journal.json").write_text(journal)
    with in_flight(folder, "x") as deaths:
        assert deaths == 0
    assert not folder.exists()


# Executes a manifest, and stops in the middle of its first well until its standard input ends.
HELD = """
import sys
from pathlib import Path
from hcs_lib.execution.outputs import Staging
from hcs_lib.execution.execute import execute_manifest

real = Staging.describe

def describe(self):
    if sys.stdin:
        print("in flight", flush=True)
        sys.stdin.read()
        sys.stdin = None
    return real(self)

Staging.describe = describe
execute_manifest(Path(sys.argv[1]))
"""


def orphan(bench: Any) -> subprocess.Popen[str]:
    """Start a process that goes on with a batch when whoever started it is gone; return it in its first well."""
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, str(bench.manifest)],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "in flight\n"
    return process


def let_go(process: subprocess.Popen[str]) -> Any:
    """Release an orphan a moment after now."""
    from threading import Timer

    timer = Timer(1, lambda: process.stdin.close() if process.stdin else None)
    timer.start()
    return timer


def test_a_well_in_flight_elsewhere_is_waited_for_and_not_done_twice(bench: Any) -> None:
    process = orphan(bench)
    timer = let_go(process)
    told = {}
    execute_manifest(bench.manifest, report=lambda receipt, kept: told.update({receipt.well: receipt.started}))
    timer.join()
    process.stdin = None
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    receipts = {well: Receipt.load(bench.receipt_path(well)) for well in bench.wells}
    assert {well: receipt.started for well, receipt in receipts.items() if receipt} == told
    assert not list((bench.results / "work").rglob("*.json"))


def test_an_orphan_does_not_write_over_what_is_newer(bench: Any, plan_call: Any) -> None:
    """It finishes the well in flight, which the newer run then does anew; the next one it has looked at, it leaves."""
    process = orphan(bench)
    bench.compile(smoothed(bench, plan_call))
    timer = let_go(process)
    execute_manifest(bench.manifest)
    timer.join()
    process.stdin = None
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "context" in error
    for well in bench.wells:
        receipt = Receipt.load(bench.receipt_path(well))
        assert receipt is not None
        assert receipt.context_digest == bench.contexts[well].digest
        assert all(
            digest_tree(bench.results / output.path, output.without).digest == output.digest
            for output in receipt.outputs
        )
