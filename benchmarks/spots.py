"""Functions of the small work that OpenHCS was measured on, for the script and, as a module, for the workflow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.declare import image_function


@image_function(accepts=(2,), keeps_scale=False, dtypes={"uint16": "uint16"})
def normalise(image: NDArray[Any], *, low: float = 1.0, high: float = 99.0) -> NDArray[np.uint16]:
    """Stretch between two percentiles to the range of 16 bits."""
    bottom, top = np.percentile(image, (low, high))
    scaled = (image.astype(np.float32) - bottom) / max(top - bottom, 1)
    stretched: NDArray[np.uint16] = (np.clip(scaled, 0, 1) * 65535).astype(np.uint16)
    return stretched


@image_function(accepts=(2,), returns="mask", dtypes="bool")
def threshold(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Return what is brighter than Otsu's threshold."""
    from skimage.filters import threshold_otsu

    mask: NDArray[np.bool_] = image > threshold_otsu(image)
    return mask
