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

    table = columns if isinstance(columns, pa.Table) else pa.table({name: _arrow(columns[name]) for name in columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, **encoding(table.schema))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def encoding(schema: pa.Schema) -> dict[str, Any]:
    """Return how columns are encoded.

    Measured values hardly repeat: a dictionary of them costs time and space, and so does a higher level of zstd.
    """
    import pyarrow as pa

    text = [field.name for field in schema if pa.types.is_string(field.type)]
    return {"compression": "zstd", "compression_level": 1, "version": "2.6", "use_dictionary": text}


def read_table(path: Path) -> pa.Table:
    """Read a table whole."""
    import pyarrow.parquet as pq

    # `pq.read_table` would import the machinery for partitioned data sets.
    with pq.ParquetFile(path) as file:
        return file.read()


def read_schema(path: Path) -> pa.Schema:
    """Read the names and types of a table's columns, and nothing else."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.schema_arrow


def read_numbers(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a column of numbers, or of truth values, as float64; NaN where there is none.

    `ChunkedArray.to_numpy` imports pandas, which costs more than the tables of some plates. So does `fill_null`.
    """
    import numpy as np
    import pyarrow as pa

    numbers = column.cast(pa.float64(), safe=False)
    if numbers.null_count:
        numbers = numbers.fill_null(float("nan"))
    parts = [np.from_dlpack(chunk) for chunk in numbers.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.empty(0)


def _arrow(values: np.ndarray[Any, Any] | Sequence[Any]) -> pa.Array:
    """Return a column as Arrow holds it.

    Numbers and text are handed over as buffers: `pyarrow.array` imports pandas, which costs more than a plate's tables.
    """
    import numpy as np
    import pyarrow as pa

    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"a column has one dimension, not {array.ndim}")
    size, kind = len(array), array.dtype.kind
    if kind in "iuf":
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return pa.Array.from_buffers(pa.from_numpy_dtype(data.dtype), size, [None, pa.py_buffer(data)])
    if kind == "b":
        return pa.Array.from_buffers(pa.bool_(), size, [None, pa.py_buffer(np.packbits(array, bitorder="little"))])
    if kind == "U" and all(isinstance(value, str) for value in values):
        texts = [text.encode() for text in values]
        offsets = np.zeros(size + 1, np.int32)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        return pa.Array.from_buffers(pa.string(), size, [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))])
    return pa.array(values)
