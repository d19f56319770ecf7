"""Reading ahead: the same planes, errors and messages as without, one group early at most."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hcs_lib.contexts.order import Task
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.contexts.values import Value
from hcs_lib.core.domains import Coordinates
from hcs_lib.core.errors import DataError
from hcs_lib.execution import job as jobs
from hcs_lib.execution import planes
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.execution.reading import Reading


class Here(Executor):
    """Runs what it is given at once, in the thread that gives it: no reading ahead."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


class Later(Executor):
    """Runs nothing before it is asked for the result: reading when the plane is used."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        class Lazy(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                return function(*args, **kwargs)

        return Lazy()


def group(site: int, *channels: str) -> tuple[Value, ...]:
    return tuple(Value(None, None, Coordinates(site, channel, 1, 1)) for channel in channels)


def tasks(*groups: tuple[Value, ...]) -> list[Task]:
    return [Task(0, one[0].at if one else Coordinates(1, None, None, None), one, frozenset()) for one in groups]


def test_one_group_lies_ready_and_no_more(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Coordinates] = []
    real = planes.Planes.read
    monkeypatch.setattr(planes.Planes, "read", lambda self, at: read.append(at) or real(self, at))
    groups = [group(1, "DNA", "GFP"), (), group(2, "DNA"), group(2, "GFP")]
    reading = Reading(bench.contexts["A01"], bench.raw, bench.results, tasks(*groups), Here())
    assert read == []
    told: list[str] = []
    found = dict(reading.take(groups[0], lambda: told.append("last")))
    assert {value: plane.shape for value, plane in found.items()} == dict.fromkeys(groups[0], (96, 80))
    assert [at.site for at in read] == [1, 1, 2]
    assert set(reading.hashes) == {f"{bench.file('A01', 1, channel)}#0" for channel in ("DNA", "GFP")}
    for one in groups[2:]:
        assert told == []
        ((_, plane),) = reading.take(one, lambda: told.append("last"))
        expected = tifffile.imread(bench.raw / bench.file("A01", 2, one[0].at.channel))
        np.testing.assert_array_equal(plane, expected)
    assert told == ["last"]
    assert len(read) == 4


def test_groups_of_a_site_that_is_left_out_are_passed_over(bench: Any) -> None:
    groups = [group(1, "DNA"), group(1, "GFP"), group(2, "DNA"), group(2, "GFP")]
    with ThreadPoolExecutor(1) as pool:
        reading = Reading(bench.contexts["A01"], bench.raw, bench.results, tasks(*groups), pool)
        list(reading.take(groups[0]))
        list(reading.take(groups[3]))
    assert len(reading.hashes) == 2


def test_an_error_shows_when_its_plane_is_used(bench: Any) -> None:
    bad = bench.raw / bench.file("A01", 2, "GFP")
    bad.write_bytes(bad.read_bytes()[:-100])
    groups = [group(1, "DNA"), group(2, "DNA", "GFP")]
    reading = Reading(bench.contexts["A01"], bench.raw, bench.results, tasks(*groups), Here())
    assert len(list(reading.take(groups[0]))) == 1
    planes_of_second = reading.take(groups[1])
    assert next(planes_of_second)[0] == groups[1][0]
    with pytest.raises(DataError, match=r"bytes, .* when indexed"):
        next(planes_of_second)
    assert f"{bench.file('A01', 2, 'GFP')}#0" not in reading.hashes


@pytest.mark.parametrize("policy", ["fail", "skip_site", "skip_well"])
def test_receipts_are_the_same_without_reading_ahead(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Files change after the plate was indexed: in the first well, in the second, and in all of the third."""
    found = []
    for name in ("ahead", "later"):
        bench = make_bench(name)
        bench.compile(bad_planes=policy)
        bad = [("A01", 2, "DNA"), ("B02", 1, "GFP"), *(("C11", site, "DNA") for site in (1, 2))]
        for well, site, channel in bad:
            (bench.raw / bench.file(well, site, channel)).write_bytes(b"II*\0" + bytes(60))
        if name == "later":
            monkeypatch.setattr(jobs, "ThreadPoolExecutor", Later)
        told: list[Receipt] = []
        execute_manifest(bench.manifest, report=lambda receipt, _, told=told: told.append(receipt))
        found.append([facts(receipt) for receipt in told])
        assert bench.outputs() or policy != "skip_site"
    assert found[0] == found[1]
    assert [receipt["status"] for receipt in found[0]] == (["done", "done", "failed"] if policy == "skip_site" else
                                                           ["failed"] * 3)  # fmt: skip


def facts(receipt: Receipt) -> dict[str, Any]:
    """Return what must not depend on when planes are read."""
    kept = ("well", "status", "reason", "failure", "outputs", "sites", "counts", "planes", "warnings", "bytes_read")
    return {name: value for name, value in receipt.model_dump(mode="json").items() if name in kept}


def test_the_next_well_is_begun_while_this_one_computes(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last function of the first well waits until a plane of the second was read, in another thread."""
    read: dict[str, int] = {}
    second = threading.Event()
    real = planes.read_plane if hasattr(planes, "read_plane") else None
    assert real is None, "planes are read through hcs_lib.plates.reading"
    from hcs_lib.plates import reading

    whole = reading.read_plane

    def noting(folder: Path, file: str, page: int) -> Any:
        read[file] = threading.get_ident()
        if file.startswith("B02"):
            second.set()
        return whole(folder, file, page)

    monkeypatch.setattr(reading, "read_plane", noting)
    from hcs_lib.execution.outputs import Staging

    table = Staging.write_table

    def waiting(self: Staging, *args: Any) -> None:
        if "A01" not in done:
            assert second.wait(60), "the second well is not begun"
            done.append("A01")
        table(self, *args)

    done: list[str] = []
    monkeypatch.setattr(Staging, "write_table", waiting)
    execute_manifest(bench.manifest)
    assert len(read) == 12
    assert threading.get_ident() not in read.values()
