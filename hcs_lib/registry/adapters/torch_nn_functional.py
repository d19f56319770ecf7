"""torch.nn.functional for images: pooling, convolution, resizing, and thresholds. Slices of a stack stay apart.

The names and defaults are those of torch. Integers are computed with as float32, so that nothing wraps round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 — as everybody names it

from hcs_lib.registry.adapters.torch_layout import floats, planewise, volumewise

__all__ = [
    "avg_pool2d", "avg_pool3d", "conv2d", "conv3d", "hardshrink", "hardtanh", "interpolate", "leaky_relu",
    "lp_pool2d", "max_pool2d", "max_pool3d", "pad", "relu", "softplus", "softshrink", "threshold",
]  # fmt: skip


def avg_pool2d(
    image: torch.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] | Literal["same"] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> torch.Tensor:
    """Mean of windows, by default side by side: a smaller image. `padding: same` puts one around each pixel."""
    stride, padding = _around(kernel_size, stride, padding)
    return planewise(F.avg_pool2d, floats(image), kernel_size, stride, padding, ceil_mode, count_include_pad)


def max_pool2d(
    image: torch.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] | Literal["same"] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> torch.Tensor:
    """Maximum of windows, by default side by side: a smaller image. `padding: same` makes it a dilation."""
    stride, padding = _around(kernel_size, stride, padding, dilation)
    pooled = planewise(F.max_pool2d, floats(image), kernel_size, stride, padding, dilation, ceil_mode)
    return pooled.to(image.dtype)


def lp_pool2d(
    image: torch.Tensor,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> torch.Tensor:
    """Power mean, but for the division, of windows: the root of the sum of squares for a `norm_type` of 2."""
    return planewise(F.lp_pool2d, floats(image), float(norm_type), kernel_size, stride, ceil_mode)


def avg_pool3d(
    image: torch.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] | Literal["same"] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> torch.Tensor:
    """Mean of boxes of a stack, by default side by side. `padding: same` puts one around each voxel."""
    stride, padding = _around(kernel_size, stride, padding)
    return volumewise(F.avg_pool3d, floats(image), kernel_size, stride, padding, ceil_mode, count_include_pad)


def max_pool3d(
    image: torch.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] | Literal["same"] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> torch.Tensor:
    """Maximum of boxes of a stack, by default side by side. `padding: same` puts one around each voxel."""
    stride, padding = _around(kernel_size, stride, padding, dilation)
    return volumewise(F.max_pool3d, floats(image), kernel_size, stride, padding, dilation, ceil_mode).to(image.dtype)


def conv2d(
    image: torch.Tensor,
    weight: Any,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | Literal["same", "valid"] = 0,
    dilation: int | Sequence[int] = 1,
) -> torch.Tensor:
    """Correlate with a kernel of two axes, without padding unless told (`padding: same`)."""
    image = floats(image)
    return planewise(F.conv2d, image, _kernel(weight, image), None, stride, padding, dilation)


def conv3d(
    image: torch.Tensor,
    weight: Any,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | Literal["same", "valid"] = 0,
    dilation: int | Sequence[int] = 1,
) -> torch.Tensor:
    """Correlate a stack with a kernel of three axes, without padding unless told (`padding: same`)."""
    image = floats(image)
    return volumewise(F.conv3d, image, _kernel(weight, image), None, stride, padding, dilation)


def interpolate(
    image: torch.Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "bilinear",
    align_corners: bool | None = None,
    antialias: bool = False,
) -> torch.Tensor:
    """Resize planes to a size or by a factor: `nearest-exact`, `bilinear`, `bicubic` or `area`."""
    return planewise(
        F.interpolate, floats(image), size, scale_factor, mode, align_corners=align_corners, antialias=antialias
    )


def pad(image: torch.Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> torch.Tensor:
    """Pad planes on their left, right, top and bottom: `constant`, `reflect`, `replicate` or `circular`."""
    if len(pad) != 4:
        raise ValueError("pad is [left, right, top, bottom]")
    return planewise(F.pad, floats(image), list(pad), mode, value).to(image.dtype)


def threshold(image: torch.Tensor, threshold: float, value: float) -> torch.Tensor:
    """Set to `value` what is not above a threshold."""
    return F.threshold(floats(image), threshold, value)


def relu(image: torch.Tensor) -> torch.Tensor:
    """Set to zero what is below."""
    return F.relu(floats(image))


def leaky_relu(image: torch.Tensor, negative_slope: float = 0.01) -> torch.Tensor:
    """Multiply what is below zero by a small number."""
    return F.leaky_relu(floats(image), negative_slope)


def hardtanh(image: torch.Tensor, min_val: float = -1.0, max_val: float = 1.0) -> torch.Tensor:
    """Limit values to a range."""
    return F.hardtanh(floats(image), min_val, max_val)


def hardshrink(image: torch.Tensor, lambd: float = 0.5) -> torch.Tensor:
    """Set to zero what is nearer to it than `lambd`."""
    return F.hardshrink(floats(image), lambd)


def softshrink(image: torch.Tensor, lambd: float = 0.5) -> torch.Tensor:
    """Bring values nearer to zero by `lambd`, as far as it."""
    return F.softshrink(floats(image), lambd)


def softplus(image: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
    """Smooth approximation of what is above zero."""
    return F.softplus(floats(image), beta, threshold)


def _kernel(weight: Any, image: torch.Tensor) -> torch.Tensor:
    """Return a kernel, nested lists or a tensor, as torch wants it: (out, in, …)."""
    return torch.as_tensor(weight, dtype=image.dtype, device=image.device)[None, None]


def _around(
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int] | str,
    dilation: int | Sequence[int] = 1,
) -> tuple[int | Sequence[int] | None, int | Sequence[int]]:
    """Return stride and padding; for a padding of `same`, those of a window around each pixel.

    Raises
    ------
    ValueError
        For a padding in other words, and where `same` cannot be: an even kernel has no middle.
    """
    if not isinstance(padding, str):
        return stride, padding
    sides, others = _numbers(kernel_size), (*_numbers(stride or 1), *_numbers(dilation))
    if padding != "same" or any(side % 2 == 0 for side in sides) or any(number != 1 for number in others):
        raise ValueError(
            "padding is a number, or `same` for a kernel of odd sides with no other stride or dilation than 1"
        )
    return 1, tuple(side // 2 for side in sides)


def _numbers(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)
