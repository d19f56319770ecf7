"""scikit-image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hcs_lib.registry.base import LibraryRegistryBase, distribution_version

_FIGURE = "it draws a figure"


def _array(values: Any) -> Any:
    import numpy as np

    return np.array(list(values))


class SkimageRegistry(LibraryRegistryBase):
    """scikit-image. Integers come back in [0, 1] from many of its functions: see `keeps_scale`."""

    library_name = "skimage"
    MODULES_TO_SCAN = (
        "skimage.color",
        "skimage.exposure",
        "skimage.feature",
        "skimage.filters",
        "skimage.filters.rank",
        "skimage.graph",
        "skimage.measure",
        "skimage.metrics",
        "skimage.morphology",
        "skimage.registration",
        "skimage.restoration",
        "skimage.segmentation",
        "skimage.transform",
        "skimage.util",
    )
    MEMORY_TYPE = "numpy"
    FLOAT_DTYPE = "float32"
    DEPENDENCIES = ("numpy", "scipy")
    EXCLUSIONS: ClassVar[Mapping[str, str]] = {
        "plot_matched_features": _FIGURE,
        "show_rag": _FIGURE,
        "try_all_threshold": _FIGURE,
        "lookfor": "it searches docstrings",
    }
    IMAGE_PARAMETERS = frozenset({
        "ar", "arr", "arr_in", "array", "data", "gimage", "im1", "im_true", "image", "image0", "image0_mask",
        "image_true", "input_arr", "label", "label_field", "label_image", "label_img", "labels", "radon_image",
        "reference_image", "s1", "seed", "volume",
    })  # fmt: skip
    # Defaults meant for large images take seconds a call; smaller ones show the same behaviour. That of a gamma of 1
    # shows none.
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "adjust_gamma": {"gamma": 2},
        "blob_dog": {"max_sigma": 4},
        "blob_doh": {"max_sigma": 4, "num_sigma": 3},
        "blob_log": {"max_sigma": 4, "num_sigma": 3},
        "chan_vese": {"max_num_iter": 5},
        "corner_orientations": {"mask": lambda _: _array([[1, 1, 1]] * 3)},
        "denoise_nl_means": {"patch_size": 3, "patch_distance": 3},
        "hough_ellipse": {"min_size": 66},
        "inpaint_biharmonic": {"mask": lambda sample: sample.labels == 1},
        "map_array": {"input_vals": lambda _: _array(range(3001)), "output_vals": lambda _: _array(range(1, 3002))},
        "multiscale_basic_features": {"sigma_max": 2, "workers": 1},
        "optical_flow_tvl1": {"num_warp": 1, "num_iter": 2},
        "quickshift": {"convert2lab": False, "kernel_size": 2, "max_dist": 3},
        "reconstruction": {"mask": lambda sample: sample.image + sample.image},
        "rolling_ball": {"radius": 4},
        "slic": {"n_segments": 10},
        "threshold_minimum": {"nbins": 32, "max_num_iter": 300},
        "threshold_multiotsu": {"classes": 2},
        "view_as_blocks": {"block_shape": lambda sample: sample.shape},
    }

    def get_library_version(self) -> str:
        """Return the version of scikit-image."""
        return distribution_version("scikit-image")
