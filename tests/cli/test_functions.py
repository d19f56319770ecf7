"""`hcs functions` over the shipped catalogue."""

import json
import subprocess
import sys

import pytest


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "hcs_lib.cli.main", "functions", *args], capture_output=True, text=True, check=False
    )


def test_list_as_json_has_what_others_rely_on():
    rows = {row["id"]: row for row in json.loads(run("list", "--json").stdout)["functions"]}
    assert rows["scipy.ndimage.gaussian_filter"] == {
        "id": "scipy.ndimage.gaussian_filter", "library": "scipy.ndimage", "memory_type": "numpy",
        "contract": "FLEXIBLE", "coupling": "mixes", "returns": "image", "origin": "probed", "available": True,
    }  # fmt: skip
    assert (rows["hcs.project"]["contract"], rows["hcs.project"]["origin"]) == ("VOLUMETRIC_TO_SLICE", "declared")
    assert len([row for row in rows.values() if row["library"] == "skimage"]) >= 150


def test_all_adds_what_is_excluded_with_its_reason():
    usable = json.loads(run("list", "--library", "skimage", "--json").stdout)["functions"]
    every = json.loads(run("list", "--library", "skimage", "--json", "--all").stdout)["functions"]
    excluded = [row for row in every if not row["available"]]
    assert len(every) == len(usable) + len(excluded)
    assert excluded
    assert all(row["excluded"] for row in excluded)


def test_search_wants_all_words():
    found = run("search", "nuclei", "threshold")
    assert [line.split()[0] for line in found.stdout.splitlines()] == ["Function", "hcs.segment_nuclei"]
    assert found.stderr.splitlines()[-1] == "1 function"


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("--contract", "VOLUMETRIC_TO_SLICE"), "contract", "VOLUMETRIC_TO_SLICE"),
        (("--returns", "labels"), "returns", "labels"),
        (("--memory-type", "cupy"), "memory_type", "cupy"),
        (("--library", "scipy.signal"), "library", "scipy.signal"),
    ],
)
def test_lists_can_be_narrowed(options, field, value):
    rows = json.loads(run("list", "--json", *options).stdout)["functions"]
    assert rows
    assert {row[field] for row in rows} == {value}
    every = json.loads(run("list", "--json").stdout)["functions"]
    assert rows == [row for row in every if row[field] == value]


def test_tags_narrow_too():
    found = {row["id"] for row in json.loads(run("list", "--json", "--tag", "gaussian").stdout)["functions"]}
    assert {"skimage.filters.gaussian", "scipy.ndimage.gaussian_filter"} <= found
    assert "skimage.filters.median" not in found


def test_show_has_parameters_and_a_step_to_paste():
    text = run("show", "hcs.expand_ring").stdout
    assert "func: {call: hcs.expand_ring, args: {inner: …, outer: …}}" in text
    assert json.loads(run("show", "hcs.expand_ring", "--json").stdout)["contract"] == "PURE_2D"


def test_show_says_where_special_inputs_come_from_and_what_keeps_slices_apart():
    lines = [" ".join(line.split()) for line in run("show", "hcs.measure_objects").stdout.splitlines()]
    assert "labels Mapping[str, NDArray[Any]] required (from `inputs`)" in lines
    assert "channel_names Sequence[str] required (from `inputs`, or metadata)" in lines
    assert not [line for line in lines if line.startswith("apart")]
    shown = run("show", "scipy.ndimage.gaussian_filter").stdout
    assert "  apart      with axes=[-2, -1], slices do not touch each other\n" in shown


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("show", "hcs.segment_nucleus"), "Did you mean hcs.segment_nuclei"),
        (("show", "segment_nuclei"), "Did you mean hcs.segment_nuclei?"),
        (("show", "filters.x"), "Is filters a module of your own? Name it: `hcs --module filters …`"),
        (("list", "--library", "skimag"), "skimag"),
    ],
)
def test_wrong_names_end_with_one_line_and_status_2(args, message):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
