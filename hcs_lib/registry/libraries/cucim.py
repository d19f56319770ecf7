"""cuCIM: scikit-image on CUDA."""

from __future__ import annotations

from hcs_lib.registry.cuda import CudaRegistry
from hcs_lib.registry.libraries.skimage import SkimageRegistry


class CucimRegistry(CudaRegistry):
    """cuCIM's `skimage`, named and called as scikit-image."""

    library_name = "cucim"
    DISTRIBUTION = "cucim"
    TWIN = ("cucim.skimage.", "skimage.")
    MODULES_TO_SCAN = tuple(
        f"cucim.{module}" for module in SkimageRegistry.MODULES_TO_SCAN if module != "skimage.graph"
    )
    EXCLUSIONS = SkimageRegistry.EXCLUSIONS
    IMAGE_PARAMETERS = SkimageRegistry.IMAGE_PARAMETERS
    PROBE_ARGUMENTS = SkimageRegistry.PROBE_ARGUMENTS
