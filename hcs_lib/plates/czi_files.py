"""CZI files (Zeiss ZEN) as files of planes, through `aicspylibczi`: a page is a tile, by scene, tile, channel, z, t.

The directory of a file names every tile that it holds; of tiles that overlap, each is read by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree.ElementTree import Element

from hcs_lib.plates.containers import open_container, reader_of
from hcs_lib.plates.tiff import Page, PlaneError
from hcs_lib.plates.vendorfiles import VendorFileError, parse_xml

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"ZISRAWFILE"
_DTYPES = {"gray8": "uint8", "gray16": "uint16", "gray32": "uint32", "gray32float": "float32"}
_AXES = ("S", "M", "C", "Z", "T")
"""Scene, tile of a mosaic, channel, z, t: tiles come in this order. Others (views, phases …) may have one value."""


class Tile(NamedTuple):
    """One image: its numbers along the axes that the file has, and where it lies, in pixels of the whole file."""

    at: Mapping[str, int]
    x: int
    y: int
    rows: int
    columns: int

    def number(self, axis: str) -> int:
        """Return its number along an axis; 0 where the file does not have that."""
        return self.at.get(axis, 0)


class CziContent(NamedTuple):
    """What a file holds: its tiles in order, its metadata, and those of each tile by its place in the order."""

    tiles: tuple[Tile, ...]
    xml: Element
    moments: Mapping[int, str]


def read_content(path: Path) -> CziContent:
    """Read directory and metadata of a file; no pixel is read.

    Raises
    ------
    PlaneError
        For a file that is empty, no CZI, cut short or damaged, in colour, or of axes that planes do not have.
    MissingReaderError
        Where the reader is not installed.
    """
    with _opened(path) as opened:
        tiles, _ = _tiles(path)
        try:
            xml = parse_xml(opened.reader.read_meta().encode())
        except VendorFileError as error:
            raise PlaneError("unreadable", f"its metadata cannot be used: {error}") from None
        said = {_key(at): text for at, text in opened.read_subblock_metadata()}
    moments = {
        page: moment for page, tile in enumerate(tiles) if (moment := _moment(said.get(_key(tile.at), ""))) is not None
    }
    return CziContent(tiles, xml, moments)


def read_pages(path: Path) -> tuple[Page, ...]:
    """Return the planes of a file: its tiles, in their order.

    Raises
    ------
    PlaneError
        As `read_content`.
    MissingReaderError
        Where the reader is not installed.
    """
    with _opened(path):
        tiles, dtype = _tiles(path)
    return tuple(Page(page, (tile.rows, tile.columns), dtype, None) for page, tile in enumerate(tiles))


def read_pixels(path: Path, number: int) -> np.ndarray[tuple[int, int], Any]:
    """Read one plane (y, x), in its own dtype.

    Raises
    ------
    PlaneError
        As `read_content`, and where the plane is not there or cannot be decoded.
    MissingReaderError
        Where the reader is not installed.
    """
    import numpy as np

    with _opened(path) as opened:
        tiles, dtype = _tiles(path)
        if number >= len(tiles):
            raise PlaneError("unreadable", f"the file has {len(tiles)} planes, none of number {number}.")
        tile = tiles[number]
        pixels, _ = opened.read_image(**tile.at, cores=1)
        return np.asarray(pixels, dtype).reshape(tile.rows, tile.columns)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    library = reader_of("aicspylibczi", path)
    with open_container(path, _MAGIC, "a CZI file") as file:
        file.seek(0)
        yield library.CziFile(file)


def _tiles(path: Path) -> tuple[tuple[Tile, ...], str]:
    """Return the tiles in order, and their dtype; of a few files they are kept, because planes are read one by one."""
    stat = path.stat()
    return _read_tiles(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_tiles(path: Path, _size: int, _mtime_ns: int) -> tuple[tuple[Tile, ...], str]:
    with _opened(path) as opened:
        kind, mosaic = opened.pixel_type, opened.is_mosaic()
        boxes = (opened.get_all_mosaic_tile_bounding_boxes if mosaic else opened.get_all_tile_bounding_boxes)()
    if kind not in _DTYPES:
        raise PlaneError("not_a_plane", f"its pixels are {kind}; expected one grey value: {', '.join(_DTYPES)}.")
    tiles = [Tile(dict(info.dimension_coordinates), box.x, box.y, box.h, box.w) for info, box in boxes.items()]
    for axis in {axis for tile in tiles for axis in tile.at} - {*_AXES}:
        if len({tile.number(axis) for tile in tiles}) > 1:
            raise PlaneError("not_a_plane", f"its images run over the axis {axis}; expected no others than {_AXES}.")
    tiles.sort(key=lambda tile: _key(tile.at))
    if not tiles:
        raise PlaneError("unreadable", "its directory names no image.")
    return tuple(tiles), _DTYPES[kind]


def _key(at: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(at.get(axis, 0) for axis in _AXES)


def _moment(text: str) -> str | None:
    """Return the time of acquisition in the metadata of a tile."""
    if "AcquisitionTime" not in text:
        return None
    try:
        return parse_xml(text.encode()).findtext(".//AcquisitionTime") or None
    except VendorFileError:
        return None
