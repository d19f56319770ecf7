"""Between images, (y, x) and (n, y, x), and what torch expects: batches of channels, and floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_EXACT = 1 << 24
"""Integers up to this are exact as float32."""

_SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16)


def floats(image: torch.Tensor) -> torch.Tensor:
    """Return integers and masks as float32, floats as they are.

    Raises
    ------
    ValueError
        For integers that float32 does not hold exactly.
    """
    if image.is_floating_point():
        return image
    if image.dtype not in _SMALL and image.numel():
        low, high = image.aminmax()
        if max(-int(low), int(high)) > _EXACT:
            raise ValueError(f"the image holds integers beyond {_EXACT}, which are not exact as float32")
    return image.to(torch.float32)


def planewise(function: Callable[..., torch.Tensor], image: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Call a function of batches (N, C, H, W) on a plane, or on each slice of a stack by itself."""
    if image.ndim == 2:
        return function(image[None, None], *args, **kwargs)[0, 0]
    return function(image[:, None], *args, **kwargs)[:, 0]


def volumewise(function: Callable[..., torch.Tensor], stack: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Call a function of batches (N, C, D, H, W) on a stack."""
    return function(slices_of(stack)[None, None], *args, **kwargs)[0, 0]


def slices_of(stack: torch.Tensor) -> torch.Tensor:
    """Return a stack as it is. Raises ValueError for a plane."""
    if stack.ndim != 3:
        raise ValueError("a stack (n, y, x) is needed")
    return stack


def within_plane(dim: int) -> int:
    """Return an axis of planes. Raises ValueError for any but -1, x, and -2, y: these are the same in a stack."""
    if dim not in (-1, -2):
        raise ValueError(f"dim is -1 (x) or -2 (y), not {dim}")
    return dim
