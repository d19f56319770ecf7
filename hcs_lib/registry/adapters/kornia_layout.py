"""Functions of kornia, which take batches (B, C, H, W), for images (y, x) and (n, y, x)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from hcs_lib.registry.adapters.torch_layout import floats, planewise


def adapt(
    function: Callable[..., torch.Tensor], kernel: Callable[[torch.Tensor], torch.Tensor], **always: Any
) -> Callable[..., Any]:
    """Return a function of batches as one of planes, called on each slice of a stack by itself.

    It keeps its signature. An argument `kernel` may be nested lists; the function given here adds axes to it.
    `always` are arguments of every call.
    """

    @wraps(function)
    def adapter(image: torch.Tensor, **arguments: Any) -> torch.Tensor:
        image = floats(image)
        if "kernel" in arguments:
            arguments["kernel"] = kernel(torch.as_tensor(arguments["kernel"], dtype=image.dtype, device=image.device))
        return planewise(function, image, **arguments, **always)

    return adapter
