"""ND2 files (Nikon NIS-Elements) as files of planes, through `nd2`: page n is channel n % C of frame n // C.

`nd2` gives a black image for a frame that is absent or cut off: where each frame lies is looked at here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from hcs_lib.plates.containers import open_container, reader_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.tiff import Page, PlaneError

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"\xda\xce\xbe\n"
_HEAD, _PIXELS = 16, 4096
"""Bytes of the head of a chunk, and from there to the pixels of an image."""

_MOST_PLANES = 1_000_000
"""A file of more is damaged."""

_EPOCH_JULIAN = 2440587.5


class Frame(NamedTuple):
    """One exposure of all channels: its place along each loop from 0, and where and when it was taken.

    `position` is the name that the user gave to the place, empty where there is none.
    """

    t: int
    point: int
    z: int
    position: str
    metadata: PlaneMetadata
    fault: PlaneError | None


class Nd2Content(NamedTuple):
    """What a file holds: shape and dtype of a plane, what is said of each channel, and the frames in their order."""

    shape: tuple[int, int]
    dtype: str
    channels: tuple[PlaneMetadata, ...]
    frames: tuple[Frame, ...]


def read_content(path: Path) -> Nd2Content:
    """Read the metadata of a file; no pixel is read.

    Raises
    ------
    PlaneError
        For a file that is empty, no ND2, cut short or damaged, or in colour.
    MissingReaderError
        Where the reader is not installed.
    """
    with _opened(path) as (opened, file), warnings.catch_warnings():
        # Frame times that are damaged are warned of, and are None here.
        warnings.simplefilter("ignore")
        layout = _layout(path)
        channels = tuple(_channel(channel) for channel in opened.metadata.channels)
        if len(channels) != layout.channels:
            raise PlaneError("unreadable", f"its metadata name {len(channels)} channels of {layout.channels}.")
        frames = tuple(_frames(opened, file, layout))
    return Nd2Content(layout.shape, layout.dtype, channels, frames)


def read_pages(path: Path) -> tuple[Page, ...]:
    """Return the planes of a file; those of a frame that is absent or cut off have a fault.

    Raises
    ------
    PlaneError
        As `read_content`.
    MissingReaderError
        Where the reader is not installed.
    """
    with _opened(path) as (_, file):
        layout = _layout(path)
        faults = [layout.fault(file, frame) for frame in range(layout.frames)]
    return tuple(
        Page(frame * layout.channels + channel, layout.shape, layout.dtype, None, fault)
        for frame, fault in enumerate(faults)
        for channel in range(layout.channels)
    )


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

    with _opened(path) as (opened, file):
        layout = _layout(path)
        frame, channel = divmod(number, layout.channels)
        if frame >= layout.frames:
            raise PlaneError("unreadable", f"the file has {layout.frames * layout.channels} planes, none of {number}.")
        if fault := layout.fault(file, frame):
            raise fault
        pixels = np.asarray(opened.read_frame(frame)).reshape(layout.channels, *layout.shape)
        plane: np.ndarray[tuple[int, int], Any] = pixels[channel].copy()
        return plane


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, IO[bytes]]]:
    """Open a file with `nd2`, and as it is; whatever is wrong with it is a PlaneError."""
    nd2 = reader_of("nd2", path)
    with open_container(path, _MAGIC, "an ND2 file of version 2 or newer") as file, nd2.ND2File(path) as opened:
        yield opened, file


class _Layout(NamedTuple):
    """Where the frames of a file lie, and of what they are; `pixels` are the bytes of one, None where compressed."""

    channels: int
    shape: tuple[int, int]
    dtype: str
    frames: int
    pixels: int | None
    chunks: Mapping[bytes, tuple[int, int]]
    size: int

    def fault(self, file: IO[bytes], frame: int) -> PlaneError | None:
        """Return what is wrong with where a frame lies."""
        name = b"ImageDataSeq|%d!" % frame
        if name not in self.chunks:
            return PlaneError("missing", f"the file holds no frame {frame}, which its experiment asks for.")
        start, _ = self.chunks[name]
        file.seek(start)
        head = file.read(_HEAD + len(name))
        if head[:4] != _MAGIC or head[_HEAD:] != name:
            return PlaneError("truncated", f"frame {frame} is not where the file says: it is cut short or damaged.")
        end = start + _HEAD + int.from_bytes(head[4:8], "little") + int.from_bytes(head[8:_HEAD], "little")
        if end > self.size or (self.pixels is not None and end < start + _PIXELS + self.pixels):
            return PlaneError("truncated", f"frame {frame} ends at byte {end} of {self.size}: it is cut short.")
        return None


def _layout(path: Path) -> _Layout:
    """Return the layout of a file; of a few files it is kept, because planes are read one by one."""
    stat = path.stat()
    return _read_layout(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_layout(path: Path, size: int, _mtime_ns: int) -> _Layout:
    from nd2._parse._chunk_decode import get_chunkmap

    with _opened(path) as (opened, file):
        said, dtype = opened.attributes, opened.dtype
        channels: int = said.channelCount or 1
        if said.componentCount != channels:
            found = f"{said.componentCount} samples in {channels} channel(s)"
            raise PlaneError("not_a_plane", f"its images have {found}; expected one sample of each channel.")
        rows, columns = int(said.heightPx), int(said.widthPx or 0)
        counts = [loop.count for loop in opened.experiment] or [said.sequenceCount]
        frames = math.prod(counts)
        if min(rows, columns, *counts) < 1 or frames * channels > _MOST_PLANES:
            raise PlaneError("unreadable", f"its metadata tell of {frames} frames of {rows} x {columns} pixels.")
        pixels = None if said.compressionType else rows * (said.widthBytes or columns * channels * dtype.itemsize)
        return _Layout(channels, (rows, columns), str(dtype.name), frames, pixels, get_chunkmap(file), size)


def _channel(channel: Any) -> PlaneMetadata:
    said, volume = channel.channel, channel.volume
    x, y = volume.axesCalibration[:2]
    square = all(volume.axesCalibrated[:2]) and x > 0 and abs(x - y) <= 0.01 * x
    return PlaneMetadata(
        pixel_size_um=x if square else None,
        channel=said.name or None,
        wavelength_nm=said.emissionLambdaNm,
        excitation_nm=said.excitationLambdaNm,
        colour="{:02X}{:02X}{:02X}".format(*said.color[:3]),
    )


def _frames(opened: Any, file: IO[bytes], layout: _Layout) -> Iterator[Frame]:
    loops = {loop.type: loop for loop in opened.experiment}
    unknown = loops.keys() - {"TimeLoop", "NETimeLoop", "XYPosLoop", "ZStackLoop"}
    if unknown:
        raise PlaneError("unreadable", f"its experiment runs over {', '.join(sorted(unknown))}, which is not known.")
    points = loops["XYPosLoop"].parameters.points if "XYPosLoop" in loops else []
    stack = loops["ZStackLoop"].parameters if "ZStackLoop" in loops else None
    to_image = _to_image(opened.metadata.channels[0].volume)
    places = opened.loop_indices if loops else [{"T": frame} for frame in range(layout.frames)]
    for number, at in enumerate(places):
        moment = place = None
        with suppress(Exception):  # times and places that are damaged are not known
            said = opened.frame_metadata(number).channels[0]
            moment, place = said.time.absoluteJulianDayNumber, said.position.stagePositionUm
        point, z = at.get("P", 0), at.get("Z", 0)
        if points:
            place = points[point].stagePositionUm
        x, y = to_image(place.x, place.y) if place else (None, None)
        direction = 1 if stack is None or stack.bottomToTop else -1
        height = place.z if place else 0.0
        metadata = PlaneMetadata(
            x_um=x,
            y_um=y,
            z_um=round(height + direction * (z - (stack.homeIndex or 0)) * stack.stepUm, 9) if stack else height,
            acquired=_moment(moment),
        )
        name = (points[point].name or "") if points else ""
        yield Frame(at.get("T", 0), point, z, name, metadata, layout.fault(file, number))


def _to_image(volume: Any) -> Any:
    """Return how stage positions become positions along the image's axes: by the camera's matrix, where it is known."""
    matrix = volume.pixelToStageTransformationMatrix
    size = volume.axesCalibration[0]
    if not matrix:
        return lambda x, y: (x, y)
    a, b, _, c, d, _ = matrix
    det = a * d - b * c
    if not det:
        return lambda x, y: (None, None)
    return lambda x, y: (round(size * (d * x - b * y) / det, 6), round(size * (a * y - c * x) / det, 6))


def _moment(julian: float | None) -> str | None:
    if julian is None or not 0 < julian - _EPOCH_JULIAN < 100_000:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round((julian - _EPOCH_JULIAN) * 86_400, 3))
    return moment.isoformat(timespec="milliseconds")
