"""Tensor operations of torch that make sense for images: of pixels, of planes, and over the slices of a stack.

The names and defaults are those of torch. Arithmetic with integers is done as float32, so that nothing wraps round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hcs_lib.registry.adapters.torch_layout import floats, slices_of, within_plane

_OF_PIXELS = {
    "abs": "Absolute values.",
    "ceil": "Round up.",
    "floor": "Round down.",
    "log": "Natural logarithm.",
    "log10": "Logarithm to the base 10.",
    "log1p": "Natural logarithm of the image plus 1.",
    "log2": "Logarithm to the base 2.",
    "logical_not": "Mask of the pixels that are zero.",
    "round": "Round to the nearest integer, halves to the even one.",
    "sigmoid": "The logistic function.",
    "sign": "-1, 0 or 1.",
    "sqrt": "Square root.",
    "tanh": "Hyperbolic tangent.",
    "trunc": "Round towards zero.",
}
_OF_PIXELS_AS_FLOATS = {
    "neg": "The negative.",
    "reciprocal": "1 divided by the image.",
    "square": "The square.",
}
_WITH_NUMBERS = {
    "eq": "Mask of the pixels that are equal to a number.",
    "ge": "Mask of the pixels that are a number or above.",
    "gt": "Mask of the pixels above a number.",
    "le": "Mask of the pixels that are a number or below.",
    "lt": "Mask of the pixels below a number.",
    "ne": "Mask of the pixels that are not equal to a number.",
}
_WITH_NUMBERS_AS_FLOATS = {
    "add": "Add a number, or an image.",
    "div": "Divide by a number, or an image.",
    "mul": "Multiply by a number, or an image.",
    "sub": "Subtract a number, or an image.",
}
_MASKS_OVER_SLICES = {
    "all": "Mask of the pixels that are not zero in all slices.",
    "any": "Mask of the pixels that are not zero in any slice.",
}
_OVER_SLICES = {
    "amax": "Maximum over the slices of a stack.",
    "amin": "Minimum over the slices of a stack.",
    "argmax": "Number of the slice with the maximum.",
    "argmin": "Number of the slice with the minimum.",
    "sum": "Sum over the slices of a stack.",
}
_OVER_SLICES_AS_FLOATS = {
    "mean": "Mean over the slices of a stack.",
    "std": "Standard deviation over the slices of a stack, of a sample.",
    "var": "Variance over the slices of a stack, of a sample.",
}
_QUANTILE_LIMIT = 1 << 24
"""Pixels that `torch.quantile` takes at once."""

__all__ = [
    "bucketize", "clamp", "cumsum", "diff", "fliplr", "flipud", "gradient", "median", "nan_to_num", "pow",
    "quantile", "roll", "rot90", *_OF_PIXELS, *_OF_PIXELS_AS_FLOATS, *_WITH_NUMBERS, *_WITH_NUMBERS_AS_FLOATS,
    *_MASKS_OVER_SLICES, *_OVER_SLICES, *_OVER_SLICES_AS_FLOATS,
]  # fmt: skip


def _as_they_are(image: torch.Tensor) -> torch.Tensor:
    return image


def _masks(image: torch.Tensor) -> torch.Tensor:
    return image != 0


def _of_pixels(name: str, prepare: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    function = getattr(torch, name)

    def adapter(image: torch.Tensor) -> torch.Tensor:
        return function(prepare(image))

    return adapter


def _with_numbers(name: str, prepare: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    function = getattr(torch, name)

    def adapter(image: torch.Tensor, other: float) -> torch.Tensor:
        return function(prepare(image), other)

    return adapter


def _over_slices(name: str, prepare: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    function = getattr(torch, name)

    def adapter(image: torch.Tensor) -> torch.Tensor:
        return function(prepare(slices_of(image)), dim=0)

    return adapter


for _make, _prepare, _documented in (
    (_of_pixels, _as_they_are, _OF_PIXELS),
    (_of_pixels, floats, _OF_PIXELS_AS_FLOATS),
    (_with_numbers, _as_they_are, _WITH_NUMBERS),
    (_with_numbers, floats, _WITH_NUMBERS_AS_FLOATS),
    (_over_slices, _masks, _MASKS_OVER_SLICES),
    (_over_slices, _as_they_are, _OVER_SLICES),
    (_over_slices, floats, _OVER_SLICES_AS_FLOATS),
):
    for _name, _doc in _documented.items():
        _adapter = _make(_name, _prepare)
        _adapter.__name__, _adapter.__doc__ = _name, _doc
        globals()[_name] = _adapter


def pow(image: torch.Tensor, exponent: float) -> torch.Tensor:  # noqa: A001 — as torch names it
    """Raise to a power."""
    return torch.pow(floats(image), exponent)


def clamp(image: torch.Tensor, min: float | None = None, max: float | None = None) -> torch.Tensor:  # noqa: A002
    """Limit values from below, from above, or both."""
    return torch.clamp(image, min, max)


def nan_to_num(
    image: torch.Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> torch.Tensor:
    """Replace NaN by a number, and infinity by the bounds of the dtype or by numbers."""
    return torch.nan_to_num(image, nan, posinf, neginf)


def bucketize(image: torch.Tensor, boundaries: Sequence[float], right: bool = False) -> torch.Tensor:
    """Number of the class of each pixel: how many boundaries lie below it."""
    return torch.bucketize(floats(image), torch.as_tensor(boundaries, device=image.device), right=right)


def fliplr(image: torch.Tensor) -> torch.Tensor:
    """Planes with left and right exchanged."""
    return torch.flip(image, (-1,))


def flipud(image: torch.Tensor) -> torch.Tensor:
    """Planes with top and bottom exchanged."""
    return torch.flip(image, (-2,))


def rot90(image: torch.Tensor, k: int = 1) -> torch.Tensor:
    """Turn planes by 90° counter-clockwise, `k` times."""
    return torch.rot90(image, k, (-2, -1))


def roll(image: torch.Tensor, shifts: Sequence[int]) -> torch.Tensor:
    """Move planes by whole pixels (y, x); what leaves on one side comes back on the other."""
    return torch.roll(image, tuple(shifts), (-2, -1))


def cumsum(image: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """Sum up along an axis of the planes, -1 (x) or -2 (y)."""
    return torch.cumsum(image, within_plane(dim))


def diff(image: torch.Tensor, n: int = 1, dim: int = -1) -> torch.Tensor:
    """Differences of neighbours along an axis of the planes, -1 (x) or -2 (y): one fewer for each of `n`."""
    return torch.diff(floats(image), n, within_plane(dim))


def gradient(image: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """Slope along an axis of the planes, -1 (x) or -2 (y): central differences, at the border one-sided ones."""
    return torch.gradient(floats(image), dim=within_plane(dim))[0]


def median(image: torch.Tensor) -> torch.Tensor:
    """Median over the slices of a stack: the lower of two that are in the middle."""
    return torch.median(slices_of(image), dim=0).values


def quantile(image: torch.Tensor, q: float, interpolation: str = "linear") -> torch.Tensor:
    """Quantile over the slices of a stack, `q` between 0 and 1."""
    stack = floats(slices_of(image))
    rows = max(1, _QUANTILE_LIMIT // (stack.shape[0] * stack.shape[2]))
    return torch.cat([torch.quantile(part, q, 0, interpolation=interpolation) for part in stack.split(rows, 1)])
