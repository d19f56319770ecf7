"""The functions of kornia.filters that make one image of another."""

from __future__ import annotations

import kornia.filters

from hcs_lib.registry.adapters.kornia_layout import adapt

_FUNCTIONS = (
    "bilateral_blur", "blur_pool2d", "box_blur", "filter2d", "gaussian_blur2d", "laplacian", "max_blur_pool2d",
    "median_blur", "motion_blur", "sobel", "unsharp_mask",
)  # fmt: skip
__all__ = [*_FUNCTIONS]

for _name in _FUNCTIONS:
    globals()[_name] = adapt(getattr(kornia.filters, _name), lambda kernel: kernel[None])
