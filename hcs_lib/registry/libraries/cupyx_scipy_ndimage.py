"""cupyx.scipy.ndimage: scipy.ndimage on CUDA, a part of CuPy."""

from __future__ import annotations

from hcs_lib.registry.cuda import CudaRegistry
from hcs_lib.registry.libraries.scipy_ndimage import ScipyNdimageRegistry


class CupyxScipyNdimageRegistry(CudaRegistry):
    """CuPy's `scipy.ndimage`, named and called as that of SciPy."""

    library_name = "cupyx.scipy.ndimage"
    DISTRIBUTION = "cupy"
    TWIN = ("cupyx.scipy.ndimage.", "scipy.ndimage.")
    MODULES_TO_SCAN = ("cupyx.scipy.ndimage",)
    UNCOUPLE = ScipyNdimageRegistry.UNCOUPLE
    IMAGE_PARAMETERS = ScipyNdimageRegistry.IMAGE_PARAMETERS | {"image"}
    PROBE_ARGUMENTS = ScipyNdimageRegistry.PROBE_ARGUMENTS
