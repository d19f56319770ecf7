import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.addresses import Well, row_name, well_name
from hcs_lib.core.errors import UserError
from hcs_lib.plates.formats import FORMATS, find_by_pattern, imagexpress

PATTERNS = {
    "scanr": "{well}--W{n}--P{site}--Z{z}--T{t}--{channel}.tif",
    "cellomics": "{plate}_{well}f{site}d{channel}.tif",
    "sbs-bbbc013": "Channel{channel}-{n}-{row}-{col}.tif",
}
FORMAT = {
    "imagexpress": "imagexpress",
    "imagexpress-hcsai": "imagexpress-hcsai",
    "opera": "harmony",
    "yokogawa": "cellvoyager",
}


def found(pattern, *files):
    return find_by_pattern(pattern)(Path(), files).planes


def test_names_of_every_vendor_mean_what_the_table_says(shared_data):
    """By its own module, or by pattern; what is no acquisition is taken by none."""
    with (shared_data / "filename-patterns" / "patterns.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["vendor"] for row in rows} == {*PATTERNS, *FORMAT}
    for row in rows:
        vendor = row["vendor"]
        find = FORMATS[FORMAT[vendor]] if vendor in FORMAT else find_by_pattern(PATTERNS[vendor])
        planes = find(Path(), [row["filename"]]).planes
        assert len(planes) == (row["accept"] == "yes"), row
        for plane in planes:
            assert (plane.plate or "") == row["plate"], row
            assert plane.well == row["well"]
            for field in ("site", "channel", "z", "t"):
                if row[field]:
                    assert str(getattr(plane, field)) == row[field], (field, row)


def test_imagexpress_takes_no_other_vendors_names(shared_data):
    with (shared_data / "filename-patterns" / "patterns.csv").open(newline="") as file:
        others = [row["filename"] for row in csv.DictReader(file) if row["vendor"] != "imagexpress"]
    assert len(others) > 8
    assert imagexpress.find(Path(), others).planes == ()


@given(
    row=st.integers(0, 31),
    column=st.integers(0, 47),
    site=st.integers(0, 999),
    channel=st.integers(0, 99),
    z=st.integers(0, 99),
    t=st.integers(0, 9999),
    letters=st.booleans(),
    width=st.integers(1, 5),
)
def test_what_is_written_by_a_pattern_is_read_by_it(row, column, site, channel, z, t, letters, width):
    pattern = "x+({plate}).{n}_{row}{col}_s{site}_w[{channel}]_z{z}t{t}.tif" if letters else (
        "x+({plate}).{n}_r{row}c{col}_s{site}_w[{channel}]_z{z}t{t}.tif"
    )  # fmt: skip
    values = {
        "plate": "P 1", "n": "7f", "row": row_name(row) if letters else f"{row + 1:02d}",
        "col": f"{column + 1:02d}", "site": f"{site:0{width}d}", "channel": f"{channel:0{width}d}",
        "z": f"{z:0{width}d}", "t": f"{t:0{width}d}",
    }  # fmt: skip
    (plane,) = found(pattern, f"sub/{pattern.format(**values)}")
    assert plane[1:8] == ("sub", "P 1", well_name(Well(row, column)), site, str(channel), z, t)


@given(st.text(alphabet="ab.*+?()[]|^$\\-_ ", max_size=12), st.text(alphabet="ab.*+?()[]|^$\\-_ ", max_size=12))
def test_text_around_fields_stands_for_itself(before, after):
    pattern = before + "-{well}-" + after
    assert len(found(pattern, f"{before}-C7-{after}")) == 1
    assert found(pattern, f"{before}-C7-{after}x") == ()


def test_what_a_pattern_does_not_name():
    assert found("{well}.tif", "C7.tif")[0][1:8] == (".", None, "C07", 1, "1", None, 1)


def test_the_pattern_is_exact_in_case_and_extension():
    assert found("img_{well}.tif", "img_A1.TIF", "IMG_A1.tif", "img_A1.tiff", "img_A1.tif.bak") == ()


def test_a_name_that_is_no_well_is_no_plane():
    assert found("img_{well}.tif", "img_A49.tif", "img_ZZ1.tif", "img_A0.tif") == ()
    assert found("r{row}c{col}.tif", "r00c01.tif", "r33c01.tif", "r01c49.tif") == ()


def test_a_pattern_with_slashes_names_folders():
    planes = found("{well}/s{site}/w{channel}.tif", "run/B2/s3/w1.tif", "B2/s3/w1.tif", "s3/w1.tif")
    assert [(plane.root, plane.well, plane.site) for plane in planes] == [("run", "B02", 3), (".", "B02", 3)]


def test_a_field_named_twice_is_the_same_twice():
    assert [plane.file for plane in found("{well}/{well}_s{site}.tif", "B2/B2_s1.tif", "B2/B3_s1.tif")] == [
        "B2/B2_s1.tif"
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{wel}_{site}.tif", r"unknown field \{wel\}\. Did you mean well\? Fields: well, row, col, site"),
        ("{well:03d}.tif", r"unknown field \{well:03d\}"),
        ("{}_{well}.tif", r"unknown field \{\}"),
        ("img_{site}_{channel}.tif", r"does not give the well\. It needs either \{well\} or both \{row\} and \{col\}"),
        ("img_{row}_{channel}.tif", "does not give the well"),
        ("img_{well}_{row}_{col}.tif", "does not give the well"),
        ("img_{well.tif", "cannot be read"),
        ("img_well}.tif", "cannot be read"),
    ],
)
def test_a_bad_pattern_is_an_error_that_helps(pattern, message):
    with pytest.raises(UserError, match=message) as error:
        find_by_pattern(pattern)
    assert re.match(r"pattern '", str(error.value))


def test_a_brace_is_written_twice():
    assert len(found("{{{well}}}.tif", "{A1}.tif")) == 1


def test_a_regular_expression():
    pattern = r"(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)(?:_f(?P<site>\d+))?-(?P<channel>\w+)\.tif"
    (plane,) = found(pattern, "above/P1/C07_f12-GFP.tif", "P1/Q07_f1-GFP.tif")
    assert plane[:8] == ("above/P1/C07_f12-GFP.tif", "above", "P1", "C07", 12, "GFP", None, 1)
    assert found(pattern, "P1/C07-GFP.tif")[0].site == 1


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?P<well>[A-P]\d\d", "is no regular expression: missing ), unterminated subpattern"),
        (r"(?P<wel>[A-P]\d\d)", "unknown field 'wel'. Did you mean"),
        (r"(?P<row>[A-P])\d\d", "does not give the well"),
    ],
)
def test_a_regular_expression_that_cannot_be(pattern, message):
    with pytest.raises(UserError, match=re.escape(message)):
        find_by_pattern(pattern)
