"""The pixels of labelled objects, grouped by object: what measuring without a loop over objects stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Segments:
    """Consecutive runs of a flat array, one run per object, none of them empty.

    Attributes
    ----------
    starts, counts
        Where each run begins, and its length.
    """

    starts: Array
    counts: Array

    @classmethod
    def of(cls, rows: Array) -> Segments:
        """Return the runs of equal values in `rows`."""
        if not rows.size:
            return cls(np.zeros(0, np.intp), np.zeros(0, np.intp))
        starts = np.concatenate(([0], np.flatnonzero(rows[1:] != rows[:-1]) + 1))
        return cls(starts, np.diff(starts, append=rows.size))

    @property
    def ends(self) -> Array:
        """Index of the last element of each run."""
        return self.starts + self.counts - 1

    def sum(self, values: Array) -> Array:
        """Sum over each run, in float64."""
        return self._reduce(np.add, values.astype(np.float64, copy=False))

    def mean(self, values: Array) -> Array:
        """Mean over each run."""
        return self.sum(values) / self.counts

    def std(self, values: Array) -> Array:
        """Standard deviation of each run, of the population (divided by n)."""
        return np.sqrt(self.mean((values - self.spread(self.mean(values))) ** 2))

    def min(self, values: Array) -> Array:
        """Minimum of each run."""
        return self._reduce(np.minimum, values)

    def max(self, values: Array) -> Array:
        """Maximum of each run."""
        return self._reduce(np.maximum, values)

    def spread(self, per_run: Array) -> Array:
        """Repeat one value per run for each of its elements."""
        return np.repeat(per_run, self.counts)

    def sort(self, values: Array) -> Array:
        """Sort the values within each run."""
        runs = self.spread(np.arange(len(self.counts)))
        if not np.issubdtype(values.dtype, np.integer) or values.dtype.itemsize > 4:
            return values[np.lexsort((values, runs))]
        # One sort of run and value in one integer is several times faster than a sort by two keys.
        lowest = int(values.min(initial=0))
        packed = np.sort((runs.astype(np.int64) << 32) | (values.astype(np.int64) - lowest))
        return (packed & 0xFFFFFFFF) + lowest

    def quantile(self, ordered: Array, fraction: float) -> Array:
        """Interpolate linearly in values that `sort` ordered, as `numpy.quantile` does by default."""
        position = (self.counts - 1) * fraction
        below = position.astype(np.intp)
        low = ordered[self.starts + below].astype(np.float64)
        high = ordered[np.minimum(self.starts + below + 1, self.ends)]
        return low + (high - low) * (position - below)

    def _reduce(self, operation: np.ufunc, values: Array) -> Array:
        return operation.reduceat(values, self.starts) if self.starts.size else values[:0]


@dataclass(frozen=True, slots=True)
class ObjectPixels:
    """The pixels of the objects of a label image, grouped by object, in raster order within each.

    Attributes
    ----------
    rows
        For each object that is there, its row in the table.
    pixels
        Flat indices into the plane.
    segments
        The runs of `pixels`, one per object.
    y, x
        Coordinates of `pixels`.
    edge
        Indices into `pixels`: those with at least one of 4 neighbours outside the object or the plane.
    edge_segments
        The runs of `edge`.
    padded
        The label image with a margin of one pixel of background.
    """

    rows: Array
    pixels: Array
    segments: Segments
    y: Array
    x: Array
    edge: Array
    edge_segments: Segments
    padded: Array

    @classmethod
    def group(cls, labels: Array, ids: Array) -> ObjectPixels:
        """Group the pixels of the objects `ids` (ascending); other objects are left out."""
        row_of = np.full(max(int(labels.max(initial=0)), int(ids.max(initial=0))) + 1, -1, np.int64)
        row_of[ids] = np.arange(len(ids))
        row_of[0] = -1
        pixels = np.flatnonzero(labels)
        row = row_of[labels.ravel()[pixels]]
        if (row < 0).any():
            pixels, row = pixels[row >= 0], row[row >= 0]
        # A stable sort of 16-bit integers is a radix sort: several times faster.
        order = np.argsort(row.astype(np.uint16) if len(ids) <= 1 << 16 else row, kind="stable")
        pixels, row = pixels[order], row[order]
        segments = Segments.of(row)
        y, x = np.divmod(pixels, labels.shape[1])
        padded = np.pad(labels, 1)
        own = padded[y + 1, x + 1]
        sides = neighbour_values(padded, y, x, SIDES)
        edge = np.flatnonzero(np.logical_or.reduce([side != own for side in sides]))
        return cls(row[segments.starts], pixels, segments, y, x, edge, Segments.of(row[edge]), padded)


SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def neighbour_values(padded: Array, y: Array, x: Array, neighbours: tuple[tuple[int, int], ...]) -> list[Array]:
    """Return the values of a padded plane beside the pixels (y, x), one array per neighbour."""
    width = padded.shape[1]
    flat, centre = padded.ravel(), (y + 1) * width + x + 1
    return [flat[centre + dy * width + dx] for dy, dx in neighbours]
