"""What the probe calls functions with: seeded images.

They are made so that a wrong contract shows: no side is 3 or 4 (which would look like colour) and no two are equal,
slices differ in brightness, objects span slices, and the background is exactly zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SHAPE = (7, 37, 34)
_BRIGHTNESS = (0.55, 1.0, 0.8, 0.35, 0.7)
_PEAK = {"float32": 1.0, "float64": 1.0, "uint8": 210, "uint16": 3000}


@dataclass(frozen=True)
class Sample:
    """One probe image, a plane (y, x) or a stack (n, y, x), with the labels of its objects.

    `peak` is the largest value of the whole stack as a number of Python, so that thresholds are the same for all
    its planes.
    """

    image: np.ndarray
    labels: np.ndarray
    peak: Any

    @property
    def ndim(self) -> int:
        """Dimensions of the image."""
        return self.image.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image."""
        return self.image.shape

    @property
    def other(self) -> np.ndarray:
        """Return a second image with other values: the first one moved by two pixels, its right half empty."""
        moved = np.roll(self.image, 2, axis=-1)
        moved[..., moved.shape[-1] // 2 :] = 0
        return moved

    def slices(self) -> list[Sample]:
        """Return the planes of a stack, one by one."""
        return [Sample(image, labels, self.peak) for image, labels in zip(self.image, self.labels, strict=True)]

    def turned(self) -> Sample:
        """Return the sample turned by half within its planes."""
        return Sample(self.image[..., ::-1, ::-1].copy(), self.labels[..., ::-1, ::-1].copy(), self.peak)

    def column(self, index: int) -> Sample:
        """Return the plane across the slices of a stack at one place of the last axis."""
        return Sample(self.image[..., index].copy(), self.labels[..., index].copy(), self.peak)

    def cropped(self) -> Sample:
        """Return the sample without its last rows and columns."""
        return Sample(self.image[..., :-7, :-5].copy(), self.labels[..., :-7, :-5].copy(), self.peak)

    def brightened(self, index: int) -> Sample:
        """Return a stack in which one slice is another image."""
        image = self.image.copy()
        image[index] = image[index][::-1, ::-1]
        return Sample(image, self.labels, self.peak)

    def cast(self, dtype: str) -> Sample:
        """Return the sample with the same numbers in another dtype."""
        return Sample(self.image.astype(dtype), self.labels, self.peak)

    def narrowed(self) -> Sample:
        """Return a sample of integers with a third of the range, above zero."""
        image = self.image // 3 + self.peak // 10
        return Sample(image.astype(self.image.dtype), self.labels, image.max().item())

    def scaled(self, peak: float) -> Sample:
        """Return the sample as float64, divided by `peak`."""
        return Sample(self.image.astype(np.float64) / peak, self.labels, self.peak / peak)


def make_sample(dtype: str, *, shape: tuple[int, int, int] = SHAPE, seed: int = 2) -> Sample:
    """Return a stack of a dtype: textured ellipsoids, well above a background of zeros.

    `bool` is the mask of the objects, `int32` their labels.
    """
    rng = np.random.default_rng(seed)
    depth, height, width = shape
    z, y, x = np.ogrid[:depth, :height, :width]
    signal = np.zeros(shape)
    labels = np.zeros(shape, np.int32)
    for number in range(6):
        row, column = divmod(number, 3)
        center = (
            rng.uniform(0.3, 0.7) * depth,
            (row + 0.5 + rng.uniform(-0.08, 0.08)) * height / 2,
            (column + 0.5 + rng.uniform(-0.08, 0.08)) * width / 3,
        )
        radius = (rng.uniform(0.5, 1.2) * depth, rng.uniform(0.13, 0.2) * height, rng.uniform(0.1, 0.14) * width)
        inside = sum(
            ((axis - middle) / extent) ** 2 for axis, middle, extent in zip((z, y, x), center, radius, strict=True)
        )
        labels[inside < 1] = number + 1
        signal = np.maximum(signal, np.where(inside < 1, 1 - 0.5 * inside, 0))
    return _finish(dtype, signal * rng.uniform(0.8, 1.0, shape), labels)


def make_noise(dtype: str, *, density: float, shape: tuple[int, int, int] = SHAPE, seed: int = 3) -> Sample:
    """Return a stack of independent pixels, a fraction `density` of them above zero; one slice is empty.

    It has holes, single pixels and crosses, and differences of slices where `make_sample` has none.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 7, shape, np.int32) * (rng.random(shape) < density)
    labels[2] = 0
    return _finish(dtype, rng.uniform(0.2, 1.0, shape), labels.astype(np.int32))


def _finish(dtype: str, signal: np.ndarray, labels: np.ndarray) -> Sample:
    if dtype == "bool":
        image = labels > 0
    elif dtype == "int32":
        image = labels.copy()
    else:
        signal = signal * np.resize(_BRIGHTNESS, len(signal))[:, None, None]
        signal[labels == 0] = 0
        scaled = signal / signal.max() * _PEAK[dtype]
        image = (scaled if dtype.startswith("float") else np.rint(scaled)).astype(dtype)
    return Sample(image, labels, image.max().item())
