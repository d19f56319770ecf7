"""The part of scipy.signal that is made for images: convolution, smoothing, splines, sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hcs_lib.registry.base import LibraryRegistryBase, distribution_version

# All else there is filter design, or wants a single signal. What makes complex numbers of an image is left out too.
_OF_IMAGES = frozenset({
    "argrelmax", "argrelmin", "convolve", "convolve2d", "correlate", "correlate2d", "cspline2d", "decimate", "detrend",
    "fftconvolve", "medfilt", "medfilt2d", "oaconvolve", "order_filter", "qspline2d", "resample_poly",
    "savgol_filter", "sepfir2d", "spline_filter", "symiirorder1", "symiirorder2", "wiener",
})  # fmt: skip


def _kernel(sample: Any) -> Any:
    """Return a kernel that is symmetric along no axis."""
    import numpy as np

    return np.arange(1.0, 1 + 3**sample.ndim).reshape((3,) * sample.ndim) / sum(range(1, 1 + 3**sample.ndim))


def _domain(sample: Any) -> Any:
    import numpy as np

    return np.ones((3,) * sample.ndim, np.uint8)


class ScipySignalRegistry(LibraryRegistryBase):
    """scipy.signal. Its convolutions return the full overlap unless they are given `mode: same`."""

    library_name = "scipy.signal"
    MODULES_TO_SCAN = ("scipy.signal",)
    MEMORY_TYPE = "numpy"
    FLOAT_DTYPE = "float32"
    FUNCTIONS = _OF_IMAGES
    IMAGE_PARAMETERS = frozenset({"Iin", "a", "data", "im", "in1", "input", "signal", "volume", "x"})
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **{
            name: {"in2": _kernel}
            for name in ("convolve", "convolve2d", "correlate", "correlate2d", "fftconvolve", "oaconvolve")
        },
        "decimate": {"q": 2},
        "order_filter": {"domain": _domain, "rank": 5},
        "resample_poly": {"up": 1, "down": 2},
        "savgol_filter": {"window_length": 5, "polyorder": 2},
    }

    def get_library_version(self) -> str:
        """Return the version of scipy."""
        return distribution_version("scipy")
