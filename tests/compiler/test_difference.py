"""What changed between two contexts, said in words; and nothing where nothing did."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hcs_lib.compiler.difference import compare_contexts

BLUR = "  - {name: blur, func: {call: fake.blur, args: {sigma: 1}}, keep: true}\n"


def contexts(fake: SimpleNamespace, text: str, **settings: Any) -> dict[str, Any]:
    return {well: context.to_json() for well, context in fake.compile(text, **settings).items()}


def said(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [change.text for change in compare_contexts(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("8 um", "10 um", ["step 'nuclei' argument min_diameter 8 um → 10 um"]),
        ("{min_diameter: 8 um}", "{min_diameter: 8 um, rank: 2}", ["step 'nuclei' argument rank not given → 2"]),
        ("stack: channel", "stack: channel\n    gpu: 0", []),
        ("name: measure", "name: measured", ["step 'measure' is gone", "step 'measured' is new"]),
        ("steps:\n", f"steps:\n{BLUR}", ["step 'blur' is new"]),
    ],
)  # fmt: skip
def test_what_the_user_changed_in_a_step(fake: SimpleNamespace, old: str, new: str, told: list[str]) -> None:
    text = fake.nuclei.replace(old, new)
    assert text != fake.nuclei
    before, after = contexts(fake, fake.nuclei), contexts(fake, text)
    for well in before:
        assert said(before[well], after[well]) == told


def test_routes_functions_and_the_order_of_steps_are_named(fake: SimpleNamespace) -> None:
    routed = (
        "name: demo\nsteps:\n  - {name: blur, keep: true, group_by: channel, "
        "func: {DNA: {call: fake.blur, args: {sigma: 1}}, GFP: fake.gamma}}\n"
    )
    before = contexts(fake, routed)["B02"]
    after = contexts(fake, routed.replace("sigma: 1", "sigma: 2").replace("fake.gamma", "fake.blur"))["B02"]
    assert said(before, after) == [
        "step 'blur' argument sigma of DNA 1 → 2",
        "step 'blur' function of GFP fake.gamma → fake.blur",
    ]


def test_files_versions_and_the_engine(fake: SimpleNamespace) -> None:
    old = contexts(fake, fake.nuclei)["B02"]

    def changed(place: tuple[str | int, ...], value: Any) -> list[str]:
        new = contexts(fake, fake.nuclei)["B02"]
        at: Any = new
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = value
        return said(old, new)

    assert changed(("engine", "digest"), "other") == ["the code of the executor changed"]
    assert changed(("engine", "versions", "numpy"), "3") == ["numpy 2 → 3"]
    assert changed(("functions", 0, "version"), "2.0") == ["fake 1.0 → 2.0"]
    assert changed(("functions", 0, "dependencies"), {"scikit-image": "0.26"}) == ["scikit-image nothing → 0.26"]
    assert changed(("functions", 0, "entry_digest"), "x") == ["what is known of fake.measure changed"]
    assert changed(("functions", 1, "source_digest"), "x") == ["the code of fake.segment changed"]
    file = old["planes"][0]["file"]
    assert changed(("planes", 0, "mtime_ns"), 1) == [f"file {file} changed (time stamp)"]
    assert changed(("planes", 0, "size"), 1) == [f"file {file} changed (10000 → 1 bytes)"]
    assert changed(("planes", 0, "sha256"), "x") == [f"file {file} changed (fingerprint)"]
    assert changed(("planes",), old["planes"][1:]) == [f"file {file} missing"]
    assert changed(("planes",), []) == [f"file {file} missing, and {len(old['planes']) - 1} more"]
    assert changed(("before",), {"s01-cpu": "x"}) == ["stage s01-cpu before it changed"]
    assert changed(("bad_planes",), "skip_well") == ["bad_planes fail → skip_well"]
    assert changed(("metadata", "pixel_size_um"), 0.6) == ["metadata.pixel_size_um 0.5 → 0.6"]
    # What no comparison of its own covers is told all the same.
    assert changed(("step_plans", "0", "read_backend"), "zarr") == ["step 'nuclei' as planned: read_backend raw → zarr"]


def test_a_pixel_size_is_told_once_and_not_in_all_places_that_follow(fake: SimpleNamespace) -> None:
    old = contexts(fake, fake.nuclei)["B02"]
    new = contexts(fake, fake.nuclei, index=fake.index(pixel_size_um=0.6))["B02"]
    assert said(old, new) == ["metadata.pixel_size_um 0.5 → 0.6"]


def test_any_two_contexts_that_differ_are_told_apart(fake: SimpleNamespace) -> None:
    found = contexts(fake, fake.nuclei)
    for one in found.values():
        for other in found.values():
            assert bool(said(one, other)) == (one != other)
