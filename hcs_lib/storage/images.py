"""Multiscale images and label images of OME-Zarr."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.storage import metadata
from hcs_lib.storage.arrays import ArrayWriter, read_array
from hcs_lib.storage.colours import display_colours
from hcs_lib.storage.planning import plan_level
from hcs_lib.storage.spec import ArraySpec, OmeZarr

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Pyramid:
    """The resolution levels of an image or label image in the making: each is compressed as its pixels come.

    Levels of images are means of 2 × 2 pixels, those of label images and masks the upper left of them.

    Parameters
    ----------
    spec
        What is planned. It is an image where it names channels.
    """

    def __init__(self, spec: ArraySpec) -> None:
        import numpy as np

        self.spec = spec
        self._halve = halve_image if spec.channels else halve_labels
        self._levels = [ArrayWriter(plan_level(spec, level)) for level in range(spec.levels)]
        self._step = max(1, round(max(spec.shape[-2:]) / 256))
        sides = (math.ceil(side / self._step) for side in spec.shape[-2:])
        self._sampled = np.empty((*spec.shape[:-2], *sides), spec.dtype) if spec.channels else None
        self._extremes = np.empty((2, *spec.shape[:-2]), spec.dtype)

    def put(self, place: tuple[int, ...], pixels: Array) -> None:
        """Put pixels at some place on the first axes, in all levels. Errors as in `ArrayWriter.put`."""
        import numpy as np

        if self._sampled is not None:
            self._sampled[place] = pixels[..., :: self._step, :: self._step]
            for extreme, find in zip(self._extremes, (np.fmin, np.fmax), strict=True):
                extreme[place] = find.reduce(pixels, axis=(-2, -1))
        for level, writer in enumerate(self._levels):
            pixels = self._halve(pixels) if level else pixels
            writer.put(place, pixels)

    def write(self, folder: Path) -> None:
        """Write each level into a folder of its own, when all pixels are there. Errors as in `ArrayWriter.write`."""
        for level, writer in enumerate(self._levels):
            writer.write(folder / str(level))

    def windows(self) -> list[tuple[float, float, float, float]]:
        """Return (min, max, start, end) of each channel, for display.

        The least and greatest value of all pixels, and percentiles 0.1 and 99.9 of every n-th pixel along y and x, of
        some 256 along the longer side. What depends on the pixels of one image only is the same however many are
        written together. A channel of a single value is shown dark, over a range of 1.
        """
        import numpy as np

        assert self._sampled is not None
        channel = self.spec.axes.index("c")
        windows = []
        for sampled, *extremes in zip(*(np.moveaxis(array, channel, 0) for array in (self._sampled, *self._extremes)),
                                  strict=True):  # fmt: skip
            finite, low, high = (values[np.isfinite(values)].astype(np.float64) for values in (sampled, *extremes))
            start, end = np.percentile(finite, (0.1, 99.9)).tolist() if finite.size else (0.0, 0.0)
            least, greatest = float(low.min(initial=start)), float(high.max(initial=end))
            end = end if end > start else start + 1
            windows.append((least, max(greatest, end), start, end))
        return windows


def write_image(
    group: Path,
    image: Pyramid,
    *,
    name: str,
    translation_um: tuple[float, float] | None = None,
    colours: Sequence[str] = (),
) -> None:
    """Write the image of one site into a new group, with its resolution levels.

    Parameters
    ----------
    group
        Folder of the site, `demo.zarr/B/02/1`.
    image
        All of its pixels.
    name
        Of the image, for viewers.
    translation_um
        Where the centre of the first pixel lies in the well, (y, x), in micrometres. Left out of the
        metadata where the size of a pixel is unknown.
    colours
        In which viewers show the channels, RRGGBB; by default what their names tell.
    """
    image.write(group)
    spec = image.spec
    channels = metadata.channels(spec.channels, colours or display_colours(spec.channels), image.windows())
    metadata.write_group(
        group, spec.ome_zarr, {"multiscales": metadata.multiscales(spec, name, translation_um), "omero": channels}
    )


def write_labels(group: Path, name: str, labels: Pyramid, *, translation_um: tuple[float, float] | None = None) -> None:
    """Write a label image into the group of its image, with its resolution levels.

    Parameters are those of `write_image`; `name` is that of the label image. It is added to those already there.
    """
    folder = group / "labels"
    labels.write(folder / name)
    metadata.write_group(
        folder / name,
        labels.spec.ome_zarr,
        {
            "multiscales": metadata.multiscales(labels.spec, name, translation_um),
            "image-label": {"source": {"image": "../../"}},
        },
    )
    write_labels_group(group, [*(label for label in label_names(group) if label != name), name], labels.spec.ome_zarr)


def read_image(group: Path, label: str | None = None) -> Array:
    """Read the image of a site at full resolution, or one of its label images.

    Raises
    ------
    DataError
        Where a file of pixels is gone.
    FileNotFoundError
        Where there is no such image.
    """
    return read_array(group / "0" if label is None else group / "labels" / label / "0")


def read_plane(group: Path, place: tuple[int, ...], label: str | None = None) -> Array:
    """Read one plane (y, x) at full resolution, by its place on the other axes. Errors as in `read_image`."""
    return read_array(group / "0" if label is None else group / "labels" / label / "0", place)


def add_labels(group: Path, names: Sequence[str]) -> None:
    """Name label images that were put into the group of their image, after those that it names already."""
    known = label_names(group)
    write_labels_group(group, [*known, *(name for name in names if name not in known)])


def write_labels_group(group: Path, names: Sequence[str], version: OmeZarr | None = None) -> None:
    """Write the group of the label images of an image, which names them, in the version of the image if not told."""
    metadata.write_group(group / "labels", version or metadata.version_of(group) or "0.5", {"labels": list(names)})


def label_names(group: Path) -> list[str]:
    """Return the names of the label images of a site, in the order they were written."""
    try:
        names: list[str] = metadata.read_group(group / "labels")["labels"]
    except FileNotFoundError:
        return []
    return names


def halve_image(array: Array) -> Array:
    """Return half the resolution in y and x: means of 2 × 2 pixels, rounded for integers, half up.

    An odd last row or column counts twice. Masks keep the upper left pixel.
    """
    import numpy as np

    if array.dtype.kind == "b":
        return halve_labels(array)
    rows, columns = (size % 2 for size in array.shape[-2:])
    if rows or columns:
        array = np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, rows), (0, columns)], mode="edge")
    four = [array[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    if array.dtype.kind == "f":
        mean: Array = (four[0] + four[1] + four[2] + four[3]) / array.dtype.type(4)
        return mean
    # Quarters and remainders apart: exact in every integer dtype, without a wider one.
    remainders = sum((pixel & 3 for pixel in four[1:]), start=(four[0] & 3) + array.dtype.type(2)) >> 2
    halved: Array = sum((pixel >> 2 for pixel in four), start=remainders)
    return halved


def halve_labels(array: Array) -> Array:
    """Return half the resolution in y and x: the upper left of each 2 × 2 pixels."""
    return array[..., ::2, ::2]
