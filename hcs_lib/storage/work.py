"""Temporary stores: what the steps of one stage of a well give to later stages, one Zarr group for each value.

Arrays are compressed lightly (lz4) and lie in one chunk each. Other values are JSON in the attributes of their group,
with the arrays that they hold beside. Nothing is pickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.errors import DataError
from hcs_lib.storage.arrays import read_array


def work_path(stage: str, axis_id: str) -> str:
    """Return where the store of a well (or of the plate) lies, relative to the plate's results."""
    return f"work/{stage}/{axis_id}.zarr"


def value_path(step: str, name: str | None, number: int) -> str:
    """Return the group of a value in its store: of a name, or (None) an image; by its number in their domain."""
    return f"{step}/images/{number}" if name is None else f"{step}/values/{name}/{number}"


def write_store(store: Path, left_out: Mapping[Any, str]) -> None:
    """Write the store's own metadata: the sites that have no values, with the reason."""
    _write_group(store, {"left_out": [[site, reason] for site, reason in left_out.items()]})


def read_left_out(store: Path) -> dict[Any, str]:
    """Return the sites that have no values, with the reason."""
    return dict(_attributes(store)["left_out"])


def write_value(group: Path, value: Any) -> None:
    """Write one value: arrays of NumPy, numbers, text, None, and tuples, lists and mappings of these.

    Raises
    ------
    DataError
        For anything else.
    """
    arrays: list[Any] = []
    encoded = _encode(value, arrays)
    _write_group(group, {"value": encoded})
    for number, array in enumerate(arrays):
        _write_array(group / str(number), array)


def read_value(group: Path) -> Any:
    """Read what `write_value` wrote.

    Raises
    ------
    FileNotFoundError
        Where there is no such value.
    DataError
        Where a file of it is gone.
    """
    return _decode(_attributes(group)["value"], group)


def _write_group(folder: Path, attributes: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (folder / "zarr.json").write_bytes(canonical_json(document))


def _attributes(group: Path) -> Any:
    return json.loads((group / "zarr.json").read_bytes())["attributes"]


def _encode(value: Any, arrays: list[Any]) -> Any:
    import numpy as np

    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind == "U":
            return {"text": array.ravel().tolist(), "shape": list(array.shape), "length": array.itemsize // 4}
        if array.dtype.kind not in "biufc":
            raise DataError(f"an array of {array.dtype} cannot pass from stage to stage.", kind="output")
        # Arrays of no dimension would have a file where others have a folder.
        arrays.append(array.reshape(1) if array.ndim == 0 else array)
        return {"number" if array.ndim == 0 else "array": len(arrays) - 1}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (list, tuple)):
        items = [_encode(item, arrays) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"mapping": [[key, _encode(item, arrays)] for key, item in value.items()]}
    raise DataError(f"a {type(value).__name__} cannot pass from stage to stage.", kind="output")


def _decode(value: Any, group: Path) -> Any:
    import numpy as np

    match value:
        case {"array": int(number)}:
            return read_array(group / str(number))
        case {"number": int(number)}:
            return read_array(group / str(number))[0]
        case {"text": list(items), "shape": list(shape), "length": int(length)}:
            return np.asarray(items, f"U{length}").reshape(shape)
        case {"float": str(text)}:
            return float(text)
        case {"tuple": list(items)}:
            return tuple(_decode(item, group) for item in items)
        case {"mapping": list(items)}:
            return {key: _decode(item, group) for key, item in items}
        case list(items):
            return [_decode(item, group) for item in items]
    return value


def _write_array(folder: Path, array: Any) -> None:
    import zarr
    from zarr.codecs import BloscCodec
    from zarr.storage import LocalStore

    # The names are the codec's own; it takes them as strings although it is typed by enumerations.
    options: dict[str, Any] = {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"}
    stored = zarr.create_array(
        LocalStore(folder),
        shape=array.shape,
        dtype=array.dtype.newbyteorder("="),
        chunks=tuple(max(side, 1) for side in array.shape),
        filters=None,
        compressors=BloscCodec(**options),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    stored[...] = array
