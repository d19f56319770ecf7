"""What the image functions refuse, said in one way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def require_plane(function: str, image: NDArray[Any]) -> None:
    """Raise ValueError unless `image` is a non-empty plane (y, x) of finite numbers."""
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"{function} expects a plane (y, x), not an array of shape {image.shape}")
    if np.issubdtype(image.dtype, np.inexact) and not np.isfinite(image).all():
        raise ValueError(f"{function} expects finite values; the image holds NaN or infinity")


def require_labels(function: str, labels: NDArray[Any], shape: tuple[int, ...] | None = None) -> None:
    """Raise ValueError unless `labels` is a plane of integers from 0, of the given shape where one is given."""
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{function} expects labels as a plane (y, x) of integers, not {labels.dtype} of shape {labels.shape}"
        )
    if shape is not None and labels.shape != shape:
        raise ValueError(f"{function}: labels of shape {labels.shape} do not lie on an image of shape {shape}")
    if labels.size and labels.min() < 0:
        raise ValueError(f"{function} expects labels from 0 (background); found {labels.min()}")
