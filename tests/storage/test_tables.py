from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hcs_lib.storage.tables import read_table, write_table


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
