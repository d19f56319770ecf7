"""Results that are damaged, missing or cut: found by what reads them next, never taken for pixels, made again."""

import os
import shutil

import pytest

IMAGE = "demo.zarr/B/03/1/0/c/0/0/0"
LABELS = "demo.zarr/B/03/1/labels/nuclei/0/c/0/0"
BETWEEN = "work/s01-cpu/B03.zarr/steady/images/0/0/c/0/0"
TABLE = "tables/wells/B03/objects.parquet"


def flip(path):
    """Change one bit: decompressed, it may be pixels as good as any."""
    found = bytearray(path.read_bytes())
    found[len(found) * 2 // 3] ^= 1
    path.write_bytes(found)


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = (flip, zero, remove, cut)


BEFORE_THE_NEXT_STAGE = {
    "A chunk of a kept image is damaged or deleted, before the next stage": IMAGE,
    "A chunk of labels is damaged or deleted, before the next stage": LABELS,
    "A chunk between stages is damaged or deleted, before the next stage": BETWEEN,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("fault", BEFORE_THE_NEXT_STAGE)
def test_before_the_next_stage(make, survived, fault, damage):
    path = BEFORE_THE_NEXT_STAGE[fault]
    analysis = make("s01-cpu")
    damage(analysis.results / path)
    lost = path[: path.index("/steady" if path == BETWEEN else "/0/c")]
    verified = analysis.hcs("verify")
    assert verified.status == 1
    assert f": {lost}: " in verified.text
    run = analysis.hcs("s02-cpu")
    survived(
        analysis, fault, "execute", run, status=0,
        seen=f"plate demo, B03, stage s01-cpu: {lost} is removed or damaged. It is made again.", kept=5, then="nothing",
    )  # fmt: skip


AT_THE_END = {
    "A chunk of a kept image is damaged or deleted, at the end": IMAGE,
    "A chunk of labels is damaged or deleted, at the end": LABELS,
    "A table of a well is damaged or deleted, at the end": TABLE,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("fault", AT_THE_END)
def test_at_the_end(make, survived, fault, damage):
    path = AT_THE_END[fault]
    analysis = make("verdict")
    damage(analysis.results / path)
    run = analysis.hcs("verify")
    cleaned = analysis.hcs("clean", "results/demo", "--damaged")
    assert cleaned.status == 0, cleaned.text
    assert run.text.splitlines()[0] in cleaned.text
    lost = path if path == TABLE else path[: path.index("/0/c")]
    survived(
        analysis, fault, "verify", run, status=1, seen=f"demo B03: …: {lost}: …", kept=4,
        then="`hcs clean --damaged`, run again",
    )  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_tables_that_are_collected(make, survived, damage):
    analysis = make("s02-cpu")
    damage(analysis.results / TABLE)
    run = analysis.hcs("collect")
    assert analysis.hcs("clean", "results/demo", "--damaged").status == 0
    survived(
        analysis, "A table of a well is damaged or deleted, before it is collected", "collect", run, status=2,
        seen="well B03, stage s02-cpu: tables/wells/B03/objects.parquet is not there as the receipt has it. …",
        kept=4, then="`hcs clean --damaged`, run again",
    )  # fmt: skip


def test_a_whole_store_between_stages(make, survived):
    analysis = make("s01-cpu")
    shutil.rmtree(analysis.results / "work/s01-cpu/B03.zarr")
    run = analysis.hcs("s02-cpu")
    survived(analysis, "What passes between stages is deleted", "execute", run, status=0,
             seen="work/s01-cpu/B03.zarr is removed or damaged. It is made again.", kept=5, then="nothing")  # fmt: skip


READ = "cannot be read…"
RECORDS = {
    "The index was cut": ("index.json", "index", "compile", 2, f"index.json: … {READ}", 0),
    "A context was cut": ("contexts/s01-cpu/B03.json", "compile", "s01-cpu", 2, f"s01-cpu/B03.json: … {READ}", 1),
    "A manifest was cut": ("manifests/s01-cpu/b001.json", "compile", "s01-cpu", 2, f"s01-cpu/b001.json: … {READ}", 0),
    "The plan was cut": ("plan.json", "s02-cpu", "collect", 2, f"plan.json: … {READ}", 6),
    "A receipt was cut": ("receipts/s01-cpu/B03.json", "s01-cpu", "s01-cpu", 0, "demo B03 s01-cpu: done …", 2),
    "A receipt was cut, at the end": (
        "receipts/s02-cpu/B03.json", "verdict", "collect", 2, "well B03, stage s02-cpu: there is no receipt …", 5
    ),
    "A copy of an executed context was cut": (
        "receipts/s01-cpu/contexts/B03.json", "verdict", "verify", 1, f"contexts/B03.json: … {READ}", 5
    ),
    "A receipt of a batch was cut": (
        "receipts/s01-cpu/batches/b001.json", "verdict", "verify", 1, f"b001.json: … {READ}", 6
    ),
}  # fmt: skip
BY_THEMSELVES = ("The index was cut", "The plan was cut", "A receipt was cut")
"""What the next run finds without being told."""


@pytest.mark.parametrize("size", [0, 100, -2])
@pytest.mark.parametrize("record", RECORDS)
def test_records_that_were_cut(make, survived, record, size):
    path, until, command, status, seen, kept = RECORDS[record]
    analysis = make(until)
    file = analysis.results / path
    file.write_bytes(file.read_bytes()[:size])
    run = analysis.hcs(command)
    then = "run again"
    if record not in BY_THEMSELVES:
        assert analysis.hcs("clean", "results/demo", "--damaged").status == 0
        then = f"`hcs clean --damaged`, {then}"
        assert (analysis.results / "plan.json").exists() == path.startswith("receipts")
    survived(analysis, record, command.replace("s01-cpu", "execute"), run, status=status, seen=seen, kept=kept,
             then=then)  # fmt: skip


@pytest.mark.parametrize(("fault", "seconds"), [("Results from the future", 4e9), ("Results from long ago", 1e6)])
def test_results_with_other_times(make, survived, fault, seconds):
    """No time stamp of a result decides anything for `hcs`."""
    analysis = make("verdict")
    for path in (analysis.folder / "results").rglob("*"):
        os.utime(path, (seconds, seconds))
    run = analysis.hcs("s02-cpu")
    survived(analysis, fault, "execute", run, status=0, seen="demo B02 s02-cpu: kept", kept=6,
             then="nothing")  # fmt: skip
