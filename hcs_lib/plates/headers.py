"""Headers of a plate's files: read by a few threads, each once, and kept for the next time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tifffile

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.files import write_atomic
from hcs_lib.plates.listing import ListedFile
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.reading import read_headers
from hcs_lib.plates.tiff import Page, PlaneError

_THREADS = 4
"""On a network drive each header costs a round trip."""

_READER = f"4 tifffile {tifffile.__version__}"
"""What is kept holds for this reader. Count up when it reads more, or otherwise."""

Header = tuple[Page, ...] | PlaneError


def read_all(
    folder: Path, files: Sequence[str], listed: Mapping[str, ListedFile], cache: Path | None
) -> dict[str, Header]:
    """Return the header of every file.

    Parameters
    ----------
    folder, files, listed
        Relative paths below a folder, with their sizes and time stamps.
    cache
        Where headers are kept. A file of the same size and time stamp is not opened again; broken ones are.
        A cache that is damaged or another reader's counts for nothing.
    """
    kept = _load(cache, listed) if cache else {}
    wanted = sorted({file for file in files if file not in kept})

    def read(file: str) -> Header:
        try:
            return read_headers(folder, file)
        except PlaneError as error:
            return error

    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(wanted, pool.map(read, wanted), strict=True))
    headers: dict[str, Header] = {file: kept[file] if file in kept else found[file] for file in files}
    if cache and (found or len(kept) != len(headers)):
        _save(cache, headers, listed)
    return headers


def _load(cache: Path, listed: Mapping[str, ListedFile]) -> dict[str, tuple[Page, ...]]:
    try:
        value = json.loads(cache.read_bytes())
        if value["reader"] != _READER:
            return {}
        texts: list[str] = value["metadata"]
        metadata = [PlaneMetadata(*text) for text in texts]
        return {
            file: tuple(_page(page, metadata) for page in pages)
            for file, (size, mtime_ns, pages) in value["files"].items()
            if listed.get(file) == (size, mtime_ns)
        }
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return {}


def _page(value: Sequence[Any], metadata: Sequence[PlaneMetadata]) -> Page:
    number, rows, columns, dtype, place = value
    return Page(number, (rows, columns), dtype, None if place is None else metadata[place])


def _save(cache: Path, headers: Mapping[str, Header], listed: Mapping[str, ListedFile]) -> None:
    places: dict[PlaneMetadata, int] = {}
    files = {
        file: [
            *listed[file],
            [
                [page.number, *page.shape, page.dtype,
                 None if page.metadata is None else places.setdefault(page.metadata, len(places))]
                for page in header
            ],
        ]
        for file, header in headers.items()
        if not isinstance(header, PlaneError) and not any(page.fault for page in header)
    }  # fmt: skip
    write_atomic(
        cache, canonical_json({"reader": _READER, "metadata": [list(said) for said in places], "files": files})
    )
