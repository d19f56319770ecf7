"""The machine fails: memory, disk, rights, time."""

import pytest

GIB = 2**30
AFTER = {"index": None, "compile": "index", "s01-cpu": "compile", "s02-cpu": "s01-cpu", "collect": "s02-cpu"}


def test_out_of_memory(make, survived):
    analysis = make("compile")
    run = analysis.hcs("s01-cpu", fault="memory", address_space=8 * GIB)
    survived(analysis, "Out of memory", "execute", run, status=3, seen="hcs: out of memory.", kept=0)


def test_out_of_memory_at_every_attempt(make, survived):
    """Whatever a well needs, its neighbours finish."""
    analysis = make("compile")
    for _ in range(2):
        assert analysis.hcs("s01-cpu", fault="memory", address_space=8 * GIB).status == 3
    run = analysis.hcs("s01-cpu")
    assert analysis.hcs("clean", "results/demo", "--failed").status == 0
    survived(analysis, "Out of memory at two attempts", "execute", run, status=0,
             seen="demo B02 s01-cpu: failed: The process died 2 times …demo B04 s01-cpu: done …", kept=2,
             then="`hcs clean --failed`, run again")  # fmt: skip


@pytest.mark.parametrize("free_kb", [0, 40, 160])
@pytest.mark.parametrize("command", AFTER)
def test_full_disk(make, survived, small_disk, command, free_kb):
    disk = small_disk("size=32m")
    analysis = make(AFTER[command], at=disk)
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        fill(ballast, free_kb)
    run = analysis.hcs(command)
    (disk / "ballast").unlink()
    if run.status == 0 and free_kb:
        return  # There was room enough.
    survived(analysis, "A full disk", "any", run, status=3, seen="No space left on device",
             then="make room, run again")  # fmt: skip


def fill(file, free_kb):
    """Write until the disk is full but for so many KB."""
    size = 0
    try:
        while True:
            size += file.write(bytes(4096))
    except OSError:
        file.truncate(size - free_kb * 1024)


@pytest.mark.parametrize("free", [0, 9])
@pytest.mark.parametrize("command", AFTER)
def test_quota_on_files(make, survived, small_disk, command, free):
    disk = small_disk("size=32m,nr_inodes=400")
    analysis = make(AFTER[command], at=disk)
    ballast = disk / "ballast"
    ballast.mkdir()
    files = []
    try:
        for number in range(400):
            (ballast / str(number)).touch()
            files.append(ballast / str(number))
    except OSError:
        pass
    for file in files[:free]:
        file.unlink()
    run = analysis.hcs(command)
    for file in files[free:]:
        file.unlink()
    if run.status == 0 and free:
        return  # There was room enough.
    survived(analysis, "No more files are allowed", "any", run, status=3, seen="No space left on device",
             then="make room, run again")  # fmt: skip


@pytest.mark.parametrize("command", AFTER)
def test_results_that_may_not_be_written(make, survived, command):
    analysis = make(AFTER[command])
    results = analysis.folder / "results"
    results.mkdir(exist_ok=True)
    folders = [path for path in (results, *results.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    run = analysis.hcs(command, obey=True)
    for folder in folders:
        folder.chmod(0o755)
    survived(analysis, "The results may not be written", "any", run, status=3, seen="Permission denied",
             then="allow it, run again")  # fmt: skip


def test_slow_file_system(make, survived):
    """Each access waits, up to 3 ms; what is done ahead or at the same time comes in another order."""
    analysis = make()
    for command in ("index", "compile", "s01-cpu", "s02-cpu", "collect", "verdict"):
        run = analysis.hcs(command, latency=0.003)
        assert run.status == 0, run.text
    survived(analysis, "A slow file system", "all", run, status=0, seen="3 of 3 wells done", kept=6, then="nothing")


def test_a_function_hangs(make, survived):
    """Ended twice, the well is recorded as failed, and its neighbours finish."""
    analysis = make("compile", keys="well_minutes: 0.02")
    run = analysis.hcs("s01-cpu", fault="hang")
    again = analysis.hcs("s01-cpu", fault="hang")
    assert again.status == 3
    limit = analysis.folder / "config/config.yaml"
    limit.write_text(limit.read_text().replace("0.02", "60"))  # as fast as that, no machine needs to be
    analysis.look()
    analysis.run(["compile"])
    last = analysis.hcs("s01-cpu")
    assert "demo B02 s01-cpu: failed: The process died 2 times" in last.text
    assert "demo B04 s01-cpu: done" in last.text
    assert analysis.hcs("clean", "results/demo", "--failed").status == 0
    survived(
        analysis, "A function hangs (`well_minutes`)", "execute", run, status=3,
        seen="hcs: plate demo, B02, stage s01-cpu: not done after 0.02 minutes, which is the limit (well_minutes); "
        "it was at steady. …", kept=2, then="`hcs clean --failed`, run again",
    )  # fmt: skip
