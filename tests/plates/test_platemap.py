import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.addresses import Well, row_name, well_name
from hcs_lib.core.errors import UserError
from hcs_lib.plates.platemap import read_platemap

CELLS = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs"), blacklist_characters='"'), max_size=8
)
WELLS = st.builds(Well, st.integers(0, 31), st.integers(0, 47))


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "platemap.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return write


def problems(path):
    with pytest.raises(UserError) as error:
        read_platemap(path)
    return [str(problem).removeprefix(str(path)) for problem in error.value.problems]


@given(
    wells=st.dictionaries(WELLS, st.tuples(CELLS, st.sampled_from(["neg", "pos", ""])), min_size=1, max_size=20),
    delimiter=st.sampled_from([",", "\t", ";"]),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    padded=st.booleans(),
)
def test_what_was_written_is_read(tmp_path_factory, wells, delimiter, end, bom, padded):
    rows = [["Well", "compound", "control"]]
    for well, (compound, control) in wells.items():
        name = well_name(well) if padded else f"{row_name(well.row).lower()}{well.column + 1}"
        rows.append([name, f'"{compound}"', control])
    path = tmp_path_factory.mktemp("platemap") / "platemap.csv"
    text = end.join(delimiter.join(row) for row in rows) + end + end
    path.write_bytes((codecs.BOM_UTF8 if bom else b"") + text.encode())
    platemap = read_platemap(path)
    assert platemap.columns == ("compound", "control")
    assert platemap.wells == {
        well_name(well): {"compound": compound.strip(), "control": control}
        for well, (compound, control) in wells.items()
    }
    assert list(platemap.lines.values()) == list(range(2, 2 + len(wells)))


def test_bbbc013(shared_data):
    platemap = read_platemap(shared_data / "bbbc013-wortmannin" / "platemap.csv")
    assert platemap.columns == ("row", "column", "compound", "dose", "unit", "control")
    assert len(platemap.wells) == 32
    assert platemap.wells["A07"] == {
        "row": "A", "column": "7", "compound": "wortmannin", "dose": "15.63", "unit": "nM", "control": "",
    }  # fmt: skip
    assert [w for w, row in platemap.wells.items() if row["control"] == "pos"] == ["A12", "B12", "C12", "D12"]


def test_utf_16_as_excel_writes_it(write):
    assert read_platemap(write("well\tunit\r\nA1\tµM\r\n", "utf-16")).wells == {"A01": {"unit": "µM"}}


def test_empty_lines_short_lines_and_columns_without_name(write):
    platemap = read_platemap(write("\n;;\nwell;Compound;;\n\nA1;DMSO;;\n;;;\nA2\n"))
    assert platemap.columns == ("compound",)
    assert platemap.wells == {"A01": {"compound": "DMSO"}, "A02": {"compound": ""}}
    assert platemap.lines == {"A01": 5, "A02": 7}


def test_a_separator_within_quotes(write):
    assert read_platemap(write('compound;well\n"a;b";C3\n')).wells == {"C03": {"compound": "a;b"}}


def test_control_is_read_in_any_case(write):
    assert read_platemap(write("well,CONTROL\nA1,NEG\n")).wells == {"A01": {"control": "neg"}}


def test_all_lines_that_are_wrong_are_named(write):
    path = write("well,control\nA1,neg\nA01,pos\nZ99,\nB2,positive\n,neg\nB3,pos,extra\n")
    assert problems(path) == [
        ":3: well A01 is there twice; first in line 2.",
        ":4: 'Z99' is no well name; expected a row letter and a column number, such as A01 or AF48.",
        ":5: well B02: control is 'positive', expected neg, pos or nothing.",
        ":6: '' is no well name; expected a row letter and a column number, such as A01 or AF48.",
        ":7: 3 cells, but the header has 2. Put text that holds the separator in double quotes.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wells,dose\nA1,2\n", ":1: the header has no column `well`; it is: wells,dose Columns are separated by comma"),
        ("", ":1: the header has no column `well`; it is: nothing"),
        ("well,dose\n", ": the platemap has no wells"),
        ("well,dose,dose\nA1,1,2\n", ":1: the column 'dose' is there twice."),
        ("well,,dose\nA1,1,2\n", ":1: a column has no name."),
        ("well,unit\nA1,nM\nA2,µM\n".encode("cp1252"), ":3: byte 0xb5 is no UTF-8. Save the platemap as CSV UTF-8."),
    ],
)
def test_a_table_that_is_no_platemap(write, text, message):
    (problem,) = problems(write(text))
    assert problem.startswith(message)


def test_a_platemap_that_is_not_there(tmp_path):
    (problem,) = problems(tmp_path / "none.csv")
    assert "cannot be read: No such file" in problem


def test_wells_that_are_not_on_the_plate(write):
    platemap = read_platemap(write("well\nA1\nA2\nH12\nI1\nA13\n"))
    assert platemap.unknown(["A01", "B06"]) == ("I01", "A13")
    assert platemap.not_imaged(["A01", "B06"]) == ("A02", "H12")
    assert platemap.unknown(["A01", "P24"]) == ()
    with pytest.raises(
        UserError, match=r"platemap.csv:5: well I01 is not on plate p1: a plate of 8 x 12 wells"
    ) as error:
        platemap.check(["A01"], "p1")
    assert len(error.value.problems) == 2
    platemap.check(["A01", "P24"], "p2")


def test_a_platemap_that_names_no_imaged_well_is_refused(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("well,dose\nH11,1\nH12,2\n")
    with pytest.raises(UserError, match=r"map\.csv: none of its 2 wells was imaged on plate p1"):
        read_platemap(path).check(["A01", "A02"], "p1")
