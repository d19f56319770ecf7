"""cupyx.scipy.ndimage: scipy.ndimage on CUDA, a part of CuPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hcs_lib.registry.cuda import CudaRegistry
from hcs_lib.registry.libraries.scipy_ndimage import ScipyNdimageRegistry


def _smoothing(_: Any) -> Any:
    import numpy as np

    return np.array([0.25, 0.5, 0.25])


class CupyxScipyNdimageRegistry(CudaRegistry):
    """CuPy's `scipy.ndimage`, named and called as that of SciPy."""

    library_name = "cupyx.scipy.ndimage"
    DISTRIBUTION = "cupy"
    TWIN = ("cupyx.scipy.ndimage.", "scipy.ndimage.")
    MODULES_TO_SCAN = ("cupyx.scipy.ndimage",)
    UNCOUPLE = ScipyNdimageRegistry.UNCOUPLE
    IMAGE_PARAMETERS = ScipyNdimageRegistry.IMAGE_PARAMETERS | {"image"}
    # A list is no array to CuPy.
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **ScipyNdimageRegistry.PROBE_ARGUMENTS,
        "convolve1d": {"weights": _smoothing},
        "correlate1d": {"weights": _smoothing},
    }
