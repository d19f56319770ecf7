"""scipy.ndimage: filters, morphology, measurements and interpolation of n-dimensional images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hcs_lib.registry.base import LibraryRegistryBase, distribution_version


class ScipyNdimageRegistry(LibraryRegistryBase):
    """scipy.ndimage. Most of its filters take `axes`, which makes them slice-wise."""

    library_name = "scipy.ndimage"
    MODULES_TO_SCAN = ("scipy.ndimage",)
    MEMORY_TYPE = "numpy"
    FLOAT_DTYPE = "float32"
    UNCOUPLE = ({"axes": [-2, -1]},)
    IMAGE_PARAMETERS = frozenset({"input", "arr"})
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "convolve1d": {"weights": [0.25, 0.5, 0.25]},
        "correlate1d": {"weights": [0.25, 0.5, 0.25]},
        "histogram": {"max": 1000},
        "watershed_ift": {"markers": lambda sample: sample.labels},
    }

    def get_library_version(self) -> str:
        """Return the version of scipy."""
        return distribution_version("scipy")
