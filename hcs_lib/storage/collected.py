"""Tables of a whole plate: Parquet written well by well, and CSV for people. Same rows, same bytes."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hcs_lib.core.files import write_atomic


@contextmanager
def parquet_writer(path: Path, schema: Any) -> Iterator[Any]:
    """Open a `pyarrow.parquet.ParquetWriter` whose file appears, whole, when the block ends well.

    Each table written becomes row groups of its own, so that a plate never needs to be in memory.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder) / path.name
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            yield writer
        part.replace(path)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, atomically. None and NaN are empty; floats have the fewest digits that read back."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: value for name, value in row.items() if value is not None and value == value}  # NaN is not itself
        for row in rows
    )
    write_atomic(path, text.getvalue().encode())
