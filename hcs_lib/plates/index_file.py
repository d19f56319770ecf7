"""The index of a plate as a file: what stands there is taken as it is where nothing changed since."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.canonical import canonical_json, digest
from hcs_lib.core.distributions import installed_version
from hcs_lib.core.errors import UserError
from hcs_lib.core.files import write_atomic
from hcs_lib.core.refusals import refuse
from hcs_lib.core.sources import digest_sources
from hcs_lib.plates.containers import EXTRAS
from hcs_lib.plates.listing import snapshot

if TYPE_CHECKING:
    from hcs_lib.plates.index import Fingerprint, PlateIndex

_READERS = ("imagecodecs", "tifffile", *EXTRAS)


def index_into(
    output: Path,
    folder: Path,
    *,
    plate: str,
    format: str = "auto",  # noqa: A002
    pattern: str | None = None,
    fingerprint: Fingerprint = "stat",
    pixel_size_um: float | None = None,
) -> PlateIndex:
    """Index a plate as `index_plate` does, and write the index to a file.

    Beside it are kept the headers (`headers.json`) and what the index was made of (`index.stamp.json`): paths,
    sizes and time stamps of all files, what was asked for, and the code. Where all of that is the same, the index
    is not made again; but always with `fingerprint: content`, or where a file could not be read: that may pass.

    Raises
    ------
    UserError
        As `index_plate`; the file then says why there is no index.
    """
    options: dict[str, Any] = {
        "plate": plate,
        "format": format,
        "pattern": pattern,
        "fingerprint": fingerprint,
        "pixel_size_um": pixel_size_um,
    }
    # Before a file is looked at: what changes meanwhile is seen the next time.
    stamp = digest([snapshot(folder), options, *_code()])
    kept = output.with_name(f"{output.stem}.stamp.json")
    if fingerprint == "stat" and (index := _kept(output, kept, stamp)):
        return index
    from hcs_lib.plates.indexing import index_plate

    try:
        index = index_plate(folder, **options, cache=output.with_name("headers.json"))
    except UserError as error:
        refuse(output, error)
        raise
    data = canonical_json(index.model_dump(mode="json"))
    write_atomic(output, data)
    write_atomic(kept, canonical_json({"index": hashlib.sha256(data).hexdigest(), "stamp": stamp}))
    return index


def _code() -> tuple[str, dict[str, str | None]]:
    sources = digest_sources(Path(__file__).parents[1], ("core", "plates"))
    return sources, {name: installed_version(name) for name in _READERS}


def _kept(output: Path, kept: Path, stamp: str) -> PlateIndex | None:
    """Return the index that stands in a file, where it is the one of this stamp and no file was unreadable."""
    from hcs_lib.plates.index import PlateIndex

    try:
        said, data = json.loads(kept.read_bytes()), output.read_bytes()
        if said != {"index": hashlib.sha256(data).hexdigest(), "stamp": stamp}:
            return None
        index = PlateIndex.model_validate_json(data)
    except (OSError, ValueError):
        return None
    return None if any(problem.kind == "unreadable" for problem in index.problems) else index
