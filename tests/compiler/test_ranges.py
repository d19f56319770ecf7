"""Every range that our functions state: an argument out of it is an error when compiling, and when called, in the same
words."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hcs_lib.core.annotations import expectation
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.libraries import get_library

LENGTH, POSITIVE = "a length of 0 or more", "a length above 0"

REFUSED: dict[tuple[str, str], tuple[str, list[Any]]] = {
    ("hcs.estimate_flat_field", "sigma"): (POSITIVE, [0, -1]),
    ("hcs.expand_ring", "inner"): (LENGTH, [-1]),
    ("hcs.expand_ring", "outer"): (LENGTH, [-1]),
    ("hcs.project", "method"): ("max, mean, min or median", ["sum"]),
    ("hcs.propagate_cells", "smoothing"): (LENGTH, [-0.1]),
    ("hcs.propagate_cells", "threshold"): ("li, otsu or a number", ["huang", True]),
    ("hcs.propagate_cells", "background_radius"): (POSITIVE, [0]),
    ("hcs.propagate_cells", "regularisation"): ("a number above 0", [0, -1]),
    ("hcs.propagate_cells", "max_distance"): (POSITIVE, [0]),
    ("hcs.segment_nuclei", "min_diameter"): (POSITIVE, [0, -3]),
    ("hcs.segment_nuclei", "max_diameter"): (LENGTH, [-1]),
    ("hcs.segment_nuclei", "smoothing"): (LENGTH, [-1]),
    ("hcs.segment_nuclei", "background_radius"): (POSITIVE, [0]),
    ("hcs.segment_nuclei", "threshold"): ("li, otsu or a number", ["triangle"]),
    ("hcs.segment_nuclei", "boundary"): ("a number from 0 to below 1", [1, -0.1, 7]),
    ("hcs.segment_nuclei", "declump"): ("shape, intensity or none", ["size"]),
    ("hcs.segment_nuclei", "min_distance"): (POSITIVE, [0]),
    ("hcs.segment_nuclei", "neck"): ("a number above 0 and at most 1", [0, 1.01]),
    ("hcs.stage_tile_positions", "pixel_size_um"): ("a number above 0", [0]),
    ("hcs.stage_tile_positions", "overlap"): ("a number from 0 to below 1", [1, -0.1]),
    ("hcs.stage_tile_positions", "order"): ("rows, columns or snake", ["spiral"]),
    ("hcs.subtract_background", "radius"): (POSITIVE, [0, -1]),
}

CASES = [(*key, words, value) for key, (words, values) in REFUSED.items() for value in values]


@pytest.fixture(scope="module")
def library() -> LibraryRegistryBase:
    return get_library("hcs")


@pytest.fixture(scope="module")
def ours(library: LibraryRegistryBase) -> dict[str, FunctionEntry]:
    return {entry.id: entry for entry in library.build()}


def test_every_range_is_tried(ours: dict[str, FunctionEntry]) -> None:
    stated = {
        (entry.id, parameter.name)
        for entry in ours.values()
        for parameter in entry.parameters
        if expectation(parameter.annotation).is_limited
    }
    assert stated == REFUSED.keys()


@pytest.mark.parametrize(("function", "parameter", "words", "value"), CASES)
def test_out_of_range(
    fake: SimpleNamespace,
    library: LibraryRegistryBase,
    ours: dict[str, FunctionEntry],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    parameter: str,
    words: str,
    value: Any,
) -> None:
    entry = ours[function]
    monkeypatch.setitem(fake.entries, function, entry)
    shown = str(value).lower() if isinstance(value, bool) else value
    stack = "" if 2 in entry.accepts else f"stack: {entry.axis or 'z'}, "
    found = fake.problems(
        f"name: demo\nsteps:\n  - {{name: a, {stack}func: {{call: {function}, args: {{{parameter}: {shown}}}}}, keep: true}}\n"  # noqa: E501
    )
    unit = ", in pixels or with a unit" if "length" in words else ""
    assert f"pipeline.yaml:3: Step 'a': '{parameter}' should be {words}{unit}, found {value!r}." in found

    needed = {p.name: 5.0 for p in entry.parameters if p.required}
    with pytest.raises(ValueError, match=f"'{parameter}' should be {words}, found"):
        library.function(entry.target)(
            np.zeros((4, 64, 64)[4 - len(entry.accepts) - 2 :]), **needed | {parameter: value}
        )


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        ("hcs.segment_nuclei", {"min_diameter": 8, "max_diameter": 8}, ("max_diameter", "min_diameter", 8, 8)),
        (
            "hcs.segment_nuclei",
            {"min_diameter": "4 um", "max_diameter": "3 um"},
            ("max_diameter", "min_diameter", 8, 6),
        ),
    ],
)
def test_one_above_the_other(
    fake: SimpleNamespace, ours: dict[str, FunctionEntry], monkeypatch: pytest.MonkeyPatch,
    function: str, args: dict[str, Any], said: tuple[Any, ...],
) -> None:  # fmt: skip
    """Lengths are compared in pixels."""
    monkeypatch.setitem(fake.entries, function, ours[function])
    given = ", ".join(f"{name}: {value}" for name, value in args.items())
    text = (
        f"name: demo\nsteps:\n  - {{name: a, func: {{call: {function}, args: {{{given}}}}}, outputs: {{labels: x}}}}\n"
    )
    name, other, low, found = said
    assert fake.problems(text) == [
        f"pipeline.yaml:3: Step 'a': '{name}' should be above '{other}', which is {low}, found {found}."
    ]


def test_a_quantity_of_nothing(
    fake: SimpleNamespace, ours: dict[str, FunctionEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fake.entries, "hcs.subtract_background", ours["hcs.subtract_background"])
    func = "{call: hcs.subtract_background, args: {radius: 0 um}}"
    assert fake.problems(f"name: demo\nsteps: [{{name: a, func: {func}, keep: true}}]\n") == [
        (
            "pipeline.yaml:2: Step 'a': 'radius' should be a length above 0, in pixels or with a unit, "
            "and '0 um' is 0 pixels."
        )
    ]
