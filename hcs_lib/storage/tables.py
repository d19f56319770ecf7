"""Parquet tables whose bytes depend on their content only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def write_table(path: Path, columns: Mapping[str, np.ndarray[Any, Any] | Sequence[Any]] | pa.Table) -> None:
    """Write columns of equal length as Parquet, atomically; zstd, no pandas metadata, no times.

    Raises
    ------
    ValueError
        Where columns differ in length or hold what Parquet cannot.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", compression_level=3, version="2.6")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_table(path: Path) -> pa.Table:
    """Read a table whole."""
    import pyarrow.parquet as pq

    # `pq.read_table` would import the machinery for partitioned data sets.
    with pq.ParquetFile(path) as file:
        return file.read()
