import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.screening.hits import HIT_COLUMNS, HitRule, ScoredWell, call_hits

NAN = math.nan


def wells(*rows: tuple) -> list[ScoredWell]:
    """Make wells A01, A02 … of rows (compound, dose, score[, control[, unit[, plate]]])."""
    made = []
    for index, row in enumerate(rows):
        compound, dose, score, control, unit, plate = (*row, *("", "nM", "p")[len(row) - 3 :])
        made.append(ScoredWell(plate, f"A{index + 1:02d}", compound, dose, unit, control, score))
    return made


def called(found: list[dict]) -> dict[str, str]:
    return {row["well"]: row["hit"] for row in sorted(found, key=lambda row: row["well"])}


@pytest.mark.parametrize(
    ("direction", "hits"),
    [("up", ["yes", "no", "no", "yes"]), ("down", ["no", "yes", "no", "no"]), ("both", ["yes", "yes", "no", "yes"])],
)
def test_directions(direction: str, hits: list) -> None:
    four = wells(("a", "1", 3.0), ("b", "1", -5.0), ("c", "1", 2.9), ("d", "1", 8.0))
    assert list(called(call_hits(four, HitRule("f", 3, direction), "robust_z", 0)).values()) == hits


def test_percent_is_judged_by_its_distance_from_100() -> None:
    two = wells(("a", "1", 45.0), ("b", "1", 55.0))
    found = call_hits(two, HitRule("f", 50, "down"), "percent_of_control", 100)
    assert called(found) == {"A01": "yes", "A02": "no"}


def test_replicates_of_a_compound_at_a_dose() -> None:
    found = call_hits(
        wells(("a", "1", 9.0), ("a", "1.0", 8.0), ("a", "1", NAN), ("a", "10", 7.0), ("b", "1", 9.0),
              ("a", "0.001", 1.0, "", "uM")),
        HitRule("f", 3, "up", 2), "robust_z", 0,
    )  # fmt: skip
    assert called(found) == {"A01": "yes", "A02": "yes", "A03": "yes", "A04": "", "A05": "", "A06": "yes"}
    first = found[0]
    assert tuple(first) == HIT_COLUMNS
    assert (first["well"], first["replicates_beyond"], first["replicates"], first["wells"]) == ("A01", 2, 3, 4)
    assert [row["well"] for row in found] == ["A01", "A02", "A06", "A03", "A04", "A05"]
    assert {row["well"]: row["beyond"] for row in found}["A03"] == ""


def test_replicates_that_disagree_are_no_hit() -> None:
    found = call_hits(wells(("a", "1", 9.0), ("a", "1", -9.0)), HitRule("f", 3, "both", 2), "robust_z", 0)
    assert [(row["beyond"], row["replicates_beyond"], row["hit"]) for row in found] == [("yes", 1, "no")] * 2


def test_controls_are_scored_but_neither_hits_nor_replicates() -> None:
    found = call_hits(wells(("a", "1", 9.0, "pos"), ("a", "1", 9.0)), HitRule("f", 3), "robust_z", 0)
    assert called(found) == {"A01": "", "A02": "yes"}
    assert {row["well"]: row["wells"] for row in found} == {"A01": 1, "A02": 1}


def test_a_well_without_a_compound_is_its_own_treatment() -> None:
    found = call_hits(wells(("", "", 9.0), ("", "", 1.0), ("", "", 9.0, "", "", "q")), HitRule("f", 3), "robust_z", 0)
    assert called(found) == {"A01": "yes", "A02": "no", "A03": "yes"}
    assert {row["wells"] for row in found} == {1}


def test_a_missing_dose_makes_no_replicate_where_others_have_one() -> None:
    found = call_hits(wells(("a", "", 9.0), ("a", "", 9.0), ("a", "1", 9.0)), HitRule("f", 3), "robust_z", 0)
    assert {row["well"]: row["wells"] for row in found} == {"A01": 1, "A02": 1, "A03": 1}
    found = call_hits(wells(("a", "", 9.0), ("a", "", 9.0)), HitRule("f", 3), "robust_z", 0)
    assert {row["wells"] for row in found} == {2}, "a library without doses: wells of a compound are its replicates"


def test_doses_that_are_no_numbers_are_compared_as_text() -> None:
    found = call_hits(
        wells(("a", "high", 9.0), ("a", "high", 9.0), ("a", "low", 9.0)), HitRule("f", 3, "up", 2), "robust_z", 0
    )
    assert called(found) == {"A01": "yes", "A02": "yes", "A03": ""}


scored = st.lists(
    st.tuples(st.sampled_from(["", "a", "<b>"]), st.sampled_from(["", "0", "1", "x"]),
              st.floats(-10, 10) | st.just(NAN), st.sampled_from(["", "neg", "pos"])),
    max_size=12,
)  # fmt: skip


@given(scored, st.sampled_from(["up", "down", "both"]), st.integers(1, 3))
def test_every_well_has_a_row_and_a_hit_has_its_replicates(rows: list, direction: str, replicates: int) -> None:
    found = call_hits(wells(*rows), HitRule("f", 3, direction, replicates), "robust_z", 0)
    assert sorted(row["well"] for row in found) == [f"A{index + 1:02d}" for index in range(len(rows))]
    for row in found:
        assert 0 <= row["replicates_beyond"] <= row["replicates"] <= row["wells"]
        assert (row["hit"] == "yes") == (not row["control"] and row["replicates_beyond"] >= replicates)


@given(scored)
def test_up_and_down_mirror_each_other(rows: list) -> None:
    mirrored = [(compound, dose, -score, control) for compound, dose, score, control in rows]
    up = call_hits(wells(*rows), HitRule("f", 3, "up", 2), "robust_z", 0)
    down = call_hits(wells(*mirrored), HitRule("f", 3, "down", 2), "robust_z", 0)
    assert called(up) == called(down)
