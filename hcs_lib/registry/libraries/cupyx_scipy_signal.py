"""The part of cupyx.scipy.signal that is made for images: scipy.signal on CUDA, a part of CuPy."""

from __future__ import annotations

from hcs_lib.registry.cuda import CudaRegistry
from hcs_lib.registry.libraries.scipy_signal import ScipySignalRegistry


class CupyxScipySignalRegistry(CudaRegistry):
    """CuPy's `scipy.signal`, named and called as that of SciPy."""

    library_name = "cupyx.scipy.signal"
    DISTRIBUTION = "cupy"
    TWIN = ("cupyx.scipy.signal.", "scipy.signal.")
    MODULES_TO_SCAN = ("cupyx.scipy.signal",)
    FUNCTIONS = ScipySignalRegistry.FUNCTIONS
    IMAGE_PARAMETERS = ScipySignalRegistry.IMAGE_PARAMETERS
    PROBE_ARGUMENTS = ScipySignalRegistry.PROBE_ARGUMENTS
