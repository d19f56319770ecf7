"""pyclesperanto: image processing on OpenCL devices, GPUs and CPUs alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hcs_lib.core.errors import MachineError
from hcs_lib.registry.base import LibraryRegistryBase, distribution_version

_CRASHES = "it crashes the process on integers above 255"
_SLOW = "it takes minutes on a CPU, for the smallest images too"
_UNWRITTEN = "part of what it returns is memory that it did not write"


class PyclesperantoRegistry(LibraryRegistryBase):
    """pyclesperanto. Its arrays hold no float64 and no bool; many of its filters are slice-wise with a radius of 0."""

    library_name = "pyclesperanto"
    MODULES_TO_SCAN = ("pyclesperanto",)
    MEMORY_TYPE = "pyclesperanto"
    FLOAT_DTYPE = "float32"
    DTYPES = ("uint16", "uint8", "int32")
    DEVICE = "opencl"
    WATCHDOG_SECONDS = 60.0
    IMAGE_PARAMETERS = frozenset({
        "image", "input_binary", "input_image", "input_image0", "input_image_label", "intensity", "label",
        "label_image", "labels",
    })  # fmt: skip
    HIDDEN_PARAMETERS = frozenset({
        "device", "output_image", "output_image0", "output_image1", "output_image_index_list", "output_image_matrix",
    })  # fmt: skip
    EXCLUSIONS: ClassVar[Mapping[str, str]] = {
        "mode": _CRASHES,
        "mode_box": _CRASHES,
        "mode_sphere": _CRASHES,
        "copy_horizontal_slice": _UNWRITTEN,
        "copy_slice": _UNWRITTEN,
        "copy_vertical_slice": _UNWRITTEN,
        "reduce_stack": _UNWRITTEN,
        "pointlist_to_labelled_spots": "it writes wherever its values point, and crashes the process",
        "centroids_of_labels": "it crashes the process now and then",
        "sum_reduction_x": "it crashes the process now and then",
        "labels_neighbors_statistics": _SLOW,
        "merge_touching_labels": _SLOW,
        "proximal_neighbor_count": _SLOW,
        "proximal_neighbor_count_map": _SLOW,
        "statistics_of_labelled_neighbors": _SLOW,
        "touching_neighbor_count_map": _SLOW,
    }
    # By default many of these are 0, which makes a filter the identity.
    PROBE_DEFAULTS: ClassVar[Mapping[str, Any]] = {
        **{f"radius_{axis}": 1 for axis in "xyz"},
        **{f"sigma_{axis}": 1.0 for axis in "xyz"},
        "radius": 1,
        "scalar": 2.0,
    }
    # By default both Gaussians are the same, and their difference is nothing.
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "difference_of_gaussian": {f"sigma2_{axis}": 4.0 for axis in "xyz"},
    }
    UNCOUPLE = ({"radius_z": 0}, {"sigma_z": 0})

    def get_library_version(self) -> str:
        """Return the version of pyclesperanto."""
        return distribution_version("pyclesperanto")

    def get_library_object(self) -> Any:
        """Import it, and look for a device: without one, its functions are missing.

        Raises
        ------
        MachineError
            Where there is no OpenCL device.
        """
        library = super().get_library_object()
        if not (hasattr(library, "list_available_devices") and library.list_available_devices()):
            raise MachineError(
                "pyclesperanto finds no OpenCL device. Install a driver (Debian: pocl-opencl-icd gives one on the CPU)."
            )
        return library

    def push(self, array: Any) -> Any:
        """Return an array of NumPy on the device; float64 as float32."""
        return super().push(array.astype("float32") if array.dtype == "float64" else array)
