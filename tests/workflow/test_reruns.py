"""What changes is done again, and no more; `hcs plan` says beforehand what, and why. benchmarks/reruns.py in small."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def reruns(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_reruns", repository / "benchmarks/reruns.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_each_change_reruns_what_it_must_and_the_plan_says_so(reruns: ModuleType, tmp_path: Path) -> None:
    plate = reruns.Plate.make(tmp_path / "analysis", 6)
    tables = f"results/{reruns.NAME}/tables/objects.parquet"
    foreseen = plate.plan()
    assert set(foreseen.values()) == {"no receipt yet"}
    assert not plate.results.exists(), "a plan writes nothing"
    plate.run(tables)
    assert set(plate.receipts()) == set(foreseen)

    # Which wells and why is asserted for each change, on the way.
    outcomes = {outcome.change: outcome for outcome in reruns.try_changes(plate, (tables,), whole=(tables,))}
    executed = {name: outcome.executed for name, outcome in outcomes.items()}
    assert executed == {
        "nothing": 0,
        "a comment": 0,
        "batches of 6": 0,
        "a library that is not used": 0,
        "an argument of the last stage": 6,
        "an override of one well": 1,
        "a file written again": 2,
        "a file with other pixels": 2,
        "a site that was missing": 2,
        "a well comes": 2,
        "a well goes": 0,
        "fingerprint: content": 12,
        "then a file written again": 0,
        "then other pixels": 2,
        "a library of the last stage": 6,
    }


def test_what_was_removed_is_foreseen_with_what_makes_it_again(reruns: ModuleType, tmp_path: Path) -> None:
    plate = reruns.Plate.make(tmp_path / "analysis", 2)
    tables = f"results/{reruns.NAME}/tables/objects.parquet"
    plate.run(tables)
    results = plate.results / reruns.NAME

    # A later stage that is done again needs what the stage before passed on.
    plate.program("hcs", "clean", results, "--work")
    assert plate.plan() == {}
    plate.edit("pipeline.yaml", "8 px", "7 px")
    foreseen, before = plate.plan(), plate.receipts()
    assert foreseen == {
        f"s01-cpu/{well}": "stage s02-cpu needs what it passes on, which was removed" for well in plate.wells
    } | {f"s02-cpu/{well}": "step 'nuclei' argument min_diameter 8 px → 7 px" for well in plate.wells}
    plate.run(tables)
    assert {at for at, receipt in plate.receipts().items() if receipt != before[at]} == set(foreseen)

    # An output that is gone is seen by the executor, and not by Snakemake.
    well = plate.wells[0]
    (results / f"tables/wells/{well}/objects.parquet").unlink()
    foreseen, before = plate.plan(), plate.receipts()
    (why,) = foreseen.values()
    command = f"hcs execute work/results/{reruns.NAME}/manifests/s02-cpu/b001.json"
    assert why == (
        f"output missing or of another size: tables/wells/{well}/objects.parquet; "
        f"Snakemake does not see it: `{command}`"
    )
    plate.run(tables)
    assert plate.receipts() == before
    plate.program(*command.split())
    assert {at for at, receipt in plate.receipts().items() if receipt != before[at]} == {f"s02-cpu/{well}"}
    assert plate.plan() == {}

    # Wells that fail on their data stay so, one of a broken file, one of a missing one. The stage behind would be
    # executed for a well that failed only then.
    file = plate.file(well, 1)
    file.write_bytes(file.read_bytes()[:4000])
    plate.edit("config.yaml", "skip_site", "fail")
    foreseen = plate.plan()
    assert set(foreseen) == {f"{stage}/{each}" for stage in (reruns.FIRST, reruns.LAST) for each in plate.wells}
    assert foreseen[f"s01-cpu/{plate.wells[1]}"] == "bad_planes skip_site → fail"
    with pytest.raises(RuntimeError, match="0 of 2 wells done, 2 failed"):
        plate.run(f"results/{reruns.NAME}/verdict.txt")
    assert plate.plan() == {}
    told = plate.program("hcs", "plan", "--config", "config.yaml", "--results", "work/results")
    assert (
        f"2 wells ({', '.join(plate.wells)}): failed, kept until `hcs clean work/results/{reruns.NAME} --failed`"
        in told
    )
    plate.program("hcs", "clean", results, "--failed")
    again = plate.plan()
    assert set(again) == set(foreseen)
    assert {why for at, why in again.items() if reruns.FIRST in at} == {"no receipt yet"}
