import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hcs_lib.storage.tables import read_numbers, read_table, write_table


def columns() -> dict[str, object]:
    return {
        "Metadata_Well": ["A01", "B02", "B02"],
        "Nuclei_Number": np.array([1, 1, 2], np.int32),
        "Nuclei_Area": np.array([10.5, np.nan, 3.0]),
    }


def test_columns_come_back_in_order_and_type(tmp_path: Path) -> None:
    write_table(tmp_path / "a" / "t.parquet", columns())
    table = read_table(tmp_path / "a" / "t.parquet")
    assert table.schema.names == ["Metadata_Well", "Nuclei_Number", "Nuclei_Area"]
    assert [str(field.type) for field in table.schema] == ["string", "int32", "double"]
    assert table["Nuclei_Number"].to_pylist() == [1, 1, 2]
    assert np.isnan(table["Nuclei_Area"][1].as_py())
    assert table.schema.metadata is None
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["t.parquet"]


def test_bytes_depend_on_content_only(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", columns())
    write_table(tmp_path / "b.parquet", pa.table(columns()))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, columns())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="length"):
        write_table(path, {"a": [1, 2], "b": [1]})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_pandas_reads_it(tmp_path: Path) -> None:
    import pandas as pd

    write_table(tmp_path / "t.parquet", columns())
    assert list(pd.read_parquet(tmp_path / "t.parquet")["Nuclei_Number"]) == [1, 1, 2]


@given(
    column=st.one_of(
        arrays("bool", st.integers(0, 20)),
        arrays("int32", st.integers(0, 20)),
        arrays(">u2", st.integers(0, 20)),
        arrays("float64", st.integers(0, 20), elements=st.floats(allow_nan=False)),
        st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1),
        st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1),
        st.lists(st.one_of(st.none(), st.text("ab")), min_size=1),
    )
)
def test_any_column_is_stored_as_pyarrow_would(column: Any) -> None:
    with TemporaryDirectory() as folder:
        write_table(Path(folder) / "t.parquet", {"a": column})
        native = column.astype(column.dtype.newbyteorder("=")) if isinstance(column, np.ndarray) else column
        assert read_table(Path(folder) / "t.parquet").equals(pa.table({"a": native}))


def test_text_without_rows_stays_text(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", {"a": np.full(0, "demo")})
    assert str(read_table(tmp_path / "t.parquet").schema.field("a").type) == "string"


def test_a_column_has_one_dimension(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one dimension"):
        write_table(tmp_path / "t.parquet", {"a": np.zeros((2, 2))})


def test_writing_and_reading_import_no_pandas(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from hcs_lib.storage.tables import read_numbers, read_table, write_table
path = Path({str(tmp_path / "t.parquet")!r})
write_table(path, {{"n": np.arange(3), "name": ["a", "b", "c"], "ok": np.ones(3, bool)}})
numbers = read_numbers(read_table(path).column("n"))
assert numbers.tolist() == [0, 1, 2]
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([[True, None, False], [True]], [1, np.nan, 0, 1]),
        ([pa.array([1, 2**60, None])], [1, 2.0**60, np.nan]),
        ([pa.array([9, 1.5, np.nan, None], pa.float32()).slice(1)], [1.5, np.nan, np.nan]),
        ([pa.array([], pa.int32())], []),
    ],
)
def test_numbers_of_any_kind_are_read_as_float64(parts: list[Any], expected: list[float]) -> None:
    numbers = read_numbers(pa.chunked_array(parts))
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(numbers, expected)
