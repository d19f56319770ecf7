"""Planes with nuclei of known place and size."""

import numpy as np
import pytest


def draw(centres, radii, shape=(160, 180), height=1000.0):
    """Discs with a soft border of one pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = np.zeros(shape)
    for (cy, cx), radius in zip(centres, radii, strict=True):
        plane = np.maximum(plane, height * np.clip(radius + 0.5 - np.hypot(y - cy, x - cx), 0, 1))
    return plane


@pytest.fixture
def discs():
    return draw


@pytest.fixture
def noisy():
    """Uneven illumination, offset, Poisson and read noise, 16 bit."""

    def degrade(plane, seed=0, uneven=0.3):
        rng = np.random.default_rng(seed)
        y, x = (np.linspace(-1, 1, size) for size in plane.shape)
        light = 1 - uneven * (y[:, None] ** 2 + x**2) / 2
        photons = rng.poisson((plane + 200) * light / 4) * 4
        return np.clip(np.rint(photons + rng.normal(100, 8, plane.shape)), 0, 65535).astype(np.uint16)

    return degrade
