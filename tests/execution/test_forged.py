"""Contexts changed at random: refused, recorded as failed, or executed; never a traceback, and nothing leaves."""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import warnings
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import HcsError
from hcs_lib.core.files import write_json
from hcs_lib.execution.execute import execute_well

VALUES: list[Any] = [
    None, True, 0, -1, 1, 7, 2**40, 0.5, "", "x", "../x", "/etc/passwd", "A02", "raw", "z", "site", "uint8", "float32",
    "labels", "image", "memory", [], [0], ["x"], [[]], {}, {"x": 1}, {"lazy": "json"},
]  # fmt: skip

NUMBERS = itertools.count()
EXAMPLES = int(os.environ.get("HCS_EXAMPLES", "100"))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, item in items for place in places(item, (*path, key))]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_context_changed_at_random(make_bench: Any, data: st.DataObject) -> None:
    bench = make_bench(f"plate{next(NUMBERS)}", wells=("A01",), sites=(1, 2))
    bench.compile()
    path = bench.context_path("A01")
    context = json.loads(path.read_bytes())["context"]
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from(places(context)))
        parent = context
        for key in above:
            parent = parent[key]
        if data.draw(st.booleans()):
            parent[last] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
        else:
            del parent[last]
    write_json(path, {"context": context, "context_digest": digest(context)})
    outside = {file: file.read_bytes() for file in bench.raw.rglob("*") if file.is_file()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            receipt = execute_well(path)
    except HcsError:
        receipt = None
    assert receipt is None or receipt.status in ("done", "failed")
    assert {file: file.read_bytes() for file in bench.raw.rglob("*") if file.is_file()} == outside
    assert {entry.name for entry in bench.folder.iterdir()} == {"raw", "results"}
    assert {entry.name for entry in bench.results.parent.iterdir()} == {"demo"}
    shutil.rmtree(bench.folder)
