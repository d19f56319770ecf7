"""kornia, where it is installed beside torch: filters and morphology, by adapters of ours for images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hcs_lib.registry import adapters
from hcs_lib.registry.base import distribution_version
from hcs_lib.registry.libraries.torch import TorchRegistry

_SIDES = {"kernel_size": (5, 3)}
_BOX = {"kernel": [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]}


class KorniaRegistry(TorchRegistry):
    """kornia. What expects colours, or values between 0 and 1, is left out."""

    library_name = "kornia"
    PUBLIC: ClassVar[Mapping[str, str]] = {
        f"{adapters.__name__}.kornia_filters": "kornia.filters",
        f"{adapters.__name__}.kornia_morphology": "kornia.morphology",
    }
    MODULES_TO_SCAN = tuple(PUBLIC)
    DEPENDENCIES = ("numpy", "torch")
    IMAGE_PARAMETERS = frozenset({"input", "tensor"})
    HIDDEN_PARAMETERS = frozenset({"max_val"})
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **dict.fromkeys(("box_blur", "median_blur"), _SIDES),
        **{name: {"kernel_size": 3} for name in ("blur_pool2d", "laplacian", "max_blur_pool2d")},
        **{name: _SIDES | {"sigma": (1.5, 1.0)} for name in ("gaussian_blur2d", "unsharp_mask")},
        **dict.fromkeys(("bottom_hat", "closing", "dilation", "erosion", "gradient", "opening", "top_hat"), _BOX),
        "bilateral_blur": _SIDES | {"sigma_color": 0.3, "sigma_space": (1.5, 1.5)},
        "filter2d": {"kernel": [[0.0, 0.5, 0.1], [0.1, 0.1, 0.2]]},
        "motion_blur": {"kernel_size": 5, "angle": 30.0, "direction": 0.5},
    }  # fmt: skip

    def get_library_version(self) -> str:
        """Return the version of kornia."""
        return distribution_version("kornia")
