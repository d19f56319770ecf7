"""Tables of a whole plate: Parquet written well by well, and CSV for people. Same rows, same bytes."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import write_atomic
from hcs_lib.storage.tables import encoding


@contextmanager
def parquet_writer(path: Path, schema: Any) -> Iterator[Any]:
    """Open a `pyarrow.parquet.ParquetWriter` whose file appears, whole, when the block ends well.

    Each table written becomes row groups of its own, so that a plate never needs to be in memory.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder) / path.name
        with pq.ParquetWriter(part, schema, **encoding(schema)) as writer:
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


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table that `write_csv` wrote; each row has a cell for every column.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    UserError
        Where the file is no such table: it was cut, or edited.
    """
    again = "The file was cut or edited: delete it and run the workflow, which makes it again."
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header, rows = next(reader, []), []
            for row in reader:
                if len(row) != len(header):
                    told = f"the row has {len(row)} cells, and the header {len(header)}."
                    raise UserError(Problem(f"{path}:{reader.line_num}", told, again))
                rows.append(row)
    except (UnicodeError, csv.Error) as error:
        raise UserError(Problem(str(path), f"this is no table: {error}.", again)) from None
    return header, rows
