"""Thumbnails from the plate's store: the plate at a glance, and fields at full size, outlines drawn over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.addresses import geometry_of, parse_well
from hcs_lib.core.errors import DataError
from hcs_lib.report.heatmaps import name_wells
from hcs_lib.report.style import DPI, INK, Room, panels, say
from hcs_lib.report.tables import Plate
from hcs_lib.storage.arrays import read_array
from hcs_lib.storage.metadata import read_group, version_of, well_path

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, Any]
    Windows = list[tuple[float, float]]

_WIDTH = 1500
"""Pixels of a whole montage; those of a well follow from the number of columns."""
_LARGEST = 220
_OUTLINED = 90
"""Pixels from which a well shows outlines; in smaller ones (384 wells) they are a haze over the image."""
_FIELD = 320
"""Side of a field that is shown at full size, in pixels."""

_SHADES = {
    "0000FF": ("blue", (0.35, 0.45, 1.0)),
    "00FF00": ("green", (0.2, 1.0, 0.3)),
    "FF0000": ("red", (1.0, 0.25, 0.25)),
    "FFFF00": ("yellow", (1.0, 1.0, 0.2)),
    "FF00FF": ("magenta", (1.0, 0.3, 1.0)),
    "00FFFF": ("cyan", (0.2, 1.0, 1.0)),
    "FFFFFF": ("grey", (1.0, 1.0, 1.0)),
}
"""Display colours that we give: their name, and a lighter shade that can be told from black."""
_OUTLINES = ((1.0, 1.0, 1.0), (1.0, 0.75, 0.0))


@dataclass(frozen=True)
class _Store:
    """The kept images of a plate: its channels, and how bright each is shown, the same for all wells."""

    root: Path
    channels: tuple[str, ...]
    colours: tuple[str, ...]
    windows: Windows
    labels: tuple[str, ...]
    sites: dict[str, Path]


def well_montage(plate: Plate) -> Figure:
    """Draw the first site of each well where it lies on the plate, all wells in the same brightness."""
    store = _open(plate)
    if store is None:
        return say("There are no images in the plate's store.")
    rows, columns = geometry_of(plate.plan.imaged)
    side = min(_LARGEST, _WIDTH // columns)
    if side < _OUTLINED:
        store = replace(store, labels=())
    figure, ((axes,),) = panels(1, 1, (columns * side / DPI, rows * side / DPI), Room(0.3, 0.2, 0.35, 0.4))
    canvas = _blank(rows * side, columns * side)
    missing = dict(zip(plate.wells.column("well"), plate.wells.column("status"), strict=True))
    for name, site in store.sites.items():
        well = parse_well(name)
        try:
            picture = _picture(store, site, side - 2)
        except DataError:
            missing[name] = "unreadable"
            continue
        del missing[name]
        top, left = well.row * side, well.column * side
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    axes.imshow(canvas, interpolation="nearest", extent=(-0.5, columns - 0.5, rows - 0.5, -0.5))
    for name, why in missing.items():
        well = parse_well(name)
        axes.text(well.column, well.row, f"×\n{why}", ha="center", va="center", color=INK, fontsize=7)
    name_wells(axes, rows, columns, size=8)
    wells = len(plate.wells.values)
    shown = f"{wells - len(missing)} of {wells} wells, first site of each."
    axes.annotate(
        f"{shown} {_legend(store)}", (0, 0), (0, -5), "axes fraction", "offset points", va="top", fontsize=8.5
    )
    return figure


def example_fields(plate: Plate, limit: int = 4) -> Figure:
    """Draw the middle of a few fields at full size with outlines of the labels: controls, then samples."""
    store = _open(plate)
    if store is None:
        return say("There are no images in the plate's store.")
    groups = [(name, wells[:limit]) for name, wells in _groups(plate, store)]
    across = max(len(wells) for _, wells in groups)
    side = _FIELD / DPI
    figure, grid = panels(len(groups), across, (side, side), Room(0.08, 0.08, 0.3, 0.08), Room(bottom=0.3))
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (name, wells) in zip(grid, groups, strict=True):
        for axes, well in zip(line, wells, strict=False):
            _field(axes, store, well, f"{well}  {name}")
    figure.supxlabel(_legend(store), fontsize=8.5, x=0.01, y=0.1 / figure.get_figheight(), ha="left")
    return figure


def _open(plate: Plate) -> _Store | None:
    """Read what is in the store: done wells with an image, and the display windows that were written with them."""
    import numpy as np

    if plate.plan.store is None:
        return None
    root = plate.folder / plate.plan.store
    sites: dict[str, Path] = {}
    starts, ends = [], []
    for name, status in zip(plate.wells.column("well"), plate.wells.column("status"), strict=True):
        groups = (path for path in (root / well_path(name)).glob("*/") if version_of(path))
        found = sorted(groups, key=lambda path: (len(path.name), path.name))
        if status == "done" and found:
            sites[name] = found[0]
            shown = [channel["window"] for channel in read_group(found[0])["omero"]["channels"]]
            starts.append([window["start"] for window in shown])
            ends.append([window["end"] for window in shown])
    if not sites:
        return None
    # Dark like the median well, bright enough for nearly the brightest.
    low, high = np.median(starts, axis=0), np.percentile(ends, 95, axis=0)
    windows = list(zip(low.tolist(), np.maximum(high, low + 1e-9).tolist(), strict=True))
    first = read_group(next(iter(sites.values())))
    shown = first["omero"]["channels"]
    channels = tuple(channel["label"] for channel in shown)
    # A channel alone is best seen in grey.
    colours = tuple(channel["color"] for channel in shown) if len(shown) > 1 else ("FFFFFF",)
    return _Store(root, channels, colours, windows, plate.plan.labels[:2], sites)


def _groups(plate: Plate, store: _Store) -> Iterator[tuple[str, list[str]]]:
    """Yield controls and samples that have images, each from the whole plate: evenly spaced in its order."""
    control = dict(zip(plate.wells.column("well"), plate.wells.column("control"), strict=True))
    for kind, name in (("neg", "negative control"), ("pos", "positive control"), ("", "sample")):
        wells = [well for well in store.sites if control[well] == kind]
        if wells:
            yield name, wells[:: max(1, len(wells) // 4)]


def _field(axes: Axes, store: _Store, well: str, title: str) -> None:
    image, labels = _pixels(store, store.sites[well], 0)
    rows, columns = (
        slice(max(0, (size - _FIELD) // 2), max(0, (size - _FIELD) // 2) + _FIELD) for size in image.shape[-2:]
    )
    outlines = [_outline(label[rows, columns]) for label in labels]
    axes.imshow(_compose(store, image[:, rows, columns], outlines), interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=8.5)


def _picture(store: _Store, site: Path, side: int) -> Array:
    """Return a whole field as RGB, its longer side `side` pixels; outlines are averaged, as the image is."""
    import numpy as np

    levels = len(read_group(site)["multiscales"][0]["datasets"])
    wanted = 2 * side
    for level in reversed(range(levels)):
        image, labels = _pixels(store, site, level)
        if level == 0 or max(image.shape[-2:]) >= wanted:
            break
    scale = max(image.shape[-2:]) / side
    outlines = [_shrink(_outline(label).astype(np.float32), scale) for label in labels]
    small = np.stack([_shrink(plane.astype(np.float32), scale) for plane in image])
    return _compose(store, small, outlines)


def _pixels(store: _Store, site: Path, level: int) -> tuple[Array, list[Array]]:
    """Return channels (c, y, x) and label images (y, x): the first time point, z projected by the maximum."""
    axes = [axis["name"] for axis in read_group(site)["multiscales"][0]["axes"]]
    image = _flat(read_array(site / str(level)), axes, keep="cyx")
    labels = []
    for name in store.labels:
        group = site / "labels" / name
        if (group / str(level)).is_dir():
            axes = [axis["name"] for axis in read_group(group)["multiscales"][0]["axes"]]
            labels.append(_flat(read_array(group / str(level)), axes, keep="yx"))
    return image, labels


def _flat(array: Array, axes: Sequence[str], keep: str) -> Array:
    for place in reversed(range(len(axes))):
        if axes[place] not in keep:
            array = array.max(axis=place) if axes[place] == "z" else array.take(0, axis=place)
    return array


def _outline(labels: Array) -> Array:
    """Return the pixels of labels that touch another label or the background, right or below, as a mask."""
    import numpy as np

    edge = np.zeros(labels.shape, dtype=bool)
    for here, there in (((slice(None), slice(-1)), (slice(None), slice(1, None))), ((slice(-1),), (slice(1, None),))):
        differs = labels[here] != labels[there]
        edge[here] |= differs & (labels[here] > 0)
        edge[there] |= differs & (labels[there] > 0)
    return edge


def _shrink(plane: Array, scale: float) -> Array:
    """Return means over blocks, so that the plane is `scale` times smaller; one that is small already stays."""
    import numpy as np
    from PIL import Image

    if scale <= 1:
        return plane
    rows, columns = (max(1, round(size / scale)) for size in plane.shape)
    return np.asarray(Image.fromarray(plane).resize((columns, rows), Image.Resampling.BOX))


def _compose(store: _Store, image: Array, outlines: Sequence[Array]) -> Array:
    """Return 8-bit RGB: each channel in its colour, one channel in grey, outlines over them."""
    import numpy as np

    colours = [_shade(colour)[1] for colour in store.colours]
    mixed = np.zeros((*image.shape[-2:], 3), dtype=np.float32)
    for plane, (low, high), colour in zip(image, store.windows, colours, strict=False):
        mixed += np.clip((plane[..., None] - low) / (high - low), 0, 1) * np.array(colour, dtype=np.float32)
    mixed = np.minimum(mixed, 1)
    for outline, colour in zip(reversed(outlines), reversed(_OUTLINES[: len(outlines)]), strict=True):
        part = 0.8 * np.asarray(outline, dtype=np.float32)[..., None]
        mixed = mixed * (1 - part) + part * np.array(colour, dtype=np.float32)
    return (255 * mixed + 0.5).astype(np.uint8)


def _shade(colour: str) -> tuple[str, tuple[float, float, float]]:
    """Return what a display colour is called, and the shade that is drawn; the microscope's are drawn a third paler."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4))
    return _SHADES.get(colour, (f"#{colour}", ((1 + 2 * red) / 3, (1 + 2 * green) / 3, (1 + 2 * blue) / 3)))


def _blank(height: int, width: int) -> Array:
    import numpy as np

    return np.full((height, width, 3), 245, dtype=np.uint8)


def _legend(store: _Store) -> str:
    names = [_shade(colour)[0] for colour in store.colours]
    shown = ", ".join(f"{channel} {colour} ({low:.4g} to {high:.4g})" for channel, colour, (low, high)
                      in zip(store.channels, names, store.windows, strict=False))  # fmt: skip
    outlined = ", ".join(f"{label} {colour}" for label, colour in zip(store.labels, ("white", "orange"), strict=False))
    return f"{shown}; outlines: {outlined}" if outlined else shown
