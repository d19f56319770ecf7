import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.addresses import (
    GEOMETRIES,
    Well,
    canonical_well,
    geometry_of,
    parse_well,
    row_index,
    row_name,
    well_name,
)

WELLS = st.builds(Well, st.integers(0, 31), st.integers(0, 47))


@given(WELLS, st.integers(0, 3), st.booleans())
def test_a_well_is_read_back_from_every_way_to_write_it(well: Well, zeros: int, lower: bool) -> None:
    text = f" {row_name(well.row)}{'0' * zeros}{well.column + 1} "
    assert parse_well(text.lower() if lower else text) == well
    assert parse_well(well_name(well)) == well


@given(st.text(max_size=6))
def test_any_text_is_a_well_or_refused_in_words(text: str) -> None:
    message = ""
    try:
        well = parse_well(text)
    except ValueError as error:
        message = str(error)
    assert "no well name" in message or canonical_well(text) == well_name(well)


def test_names() -> None:
    assert [canonical_well(text) for text in ("a1", "A01", "H12", "af48")] == ["A01", "A01", "H12", "AF48"]
    assert [row_name(row) for row in (0, 25, 26, 31)] == ["A", "Z", "AA", "AF"]
    assert all(row_index(row_name(row)) == row for row in range(32))


@pytest.mark.parametrize("text", ["A0", "A00", "A49", "AG1", "1A", "", "A", "AAA1", "A1.5", "A-1"])
def test_what_is_no_well(text: str) -> None:
    with pytest.raises(ValueError, match="no well name"):
        parse_well(text)


@given(st.lists(WELLS, max_size=20))
def test_the_geometry_is_the_smallest_that_holds_all(wells: list[Well]) -> None:
    rows, columns = geometry_of(well_name(well) for well in wells)
    assert all(well.row < rows and well.column < columns for well in wells)
    smaller = GEOMETRIES[: GEOMETRIES.index((rows, columns))]
    assert not any(all(well.row < r and well.column < c for well in wells) for r, c in smaller)
