"""torch: pooling, convolution, resizing, arithmetic, and projections, by adapters of ours for images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hcs_lib.registry import adapters
from hcs_lib.registry.base import LibraryRegistryBase, distribution_version


def _kernel(dimensions: int) -> Any:
    """Return a kernel that is symmetric along no axis, and sums to 1."""
    import numpy as np

    values = np.arange(1.0, 1 + 3**dimensions)
    return (values / values.sum()).reshape((3,) * dimensions).tolist()


class TorchRegistry(LibraryRegistryBase):
    """torch. Functions stand under their public names: `PUBLIC` tells which module an adapter stands for."""

    library_name = "torch"
    PUBLIC: ClassVar[Mapping[str, str]] = {
        f"{adapters.__name__}.torch_nn_functional": "torch.nn.functional",
        f"{adapters.__name__}.torch_tensors": "torch",
    }
    MODULES_TO_SCAN = tuple(PUBLIC)
    ADAPTERS = adapters.__name__
    MEMORY_TYPE = "torch"
    FLOAT_DTYPE = "float32"
    KEEP_SIZE = ({"padding": "same"},)
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **{name: {"kernel_size": 3} for name in ("avg_pool2d", "avg_pool3d", "max_pool2d", "max_pool3d")},
        **{name: {"other": lambda sample: 0.3 * sample.peak} for name in ("ge", "gt", "le", "lt", "eq", "ne")},
        **{name: {"other": 2} for name in ("add", "div", "mul", "sub")},
        "bucketize": {"boundaries": lambda sample: [0.2 * sample.peak, 0.6 * sample.peak]},
        "clamp": {"min": 0.1, "max": 2000},
        "conv2d": {"weight": lambda _: _kernel(2)},
        "conv3d": {"weight": lambda _: _kernel(3)},
        "interpolate": {"scale_factor": 1.5},
        "lp_pool2d": {"norm_type": 2, "kernel_size": 3},
        "pad": {"pad": [1, 2, 1, 2]},
        "pow": {"exponent": 2},
        "quantile": {"q": 0.25},
        "roll": {"shifts": [2, 5]},
        "threshold": {"threshold": lambda sample: 0.3 * sample.peak, "value": 0},
    }

    def get_library_version(self) -> str:
        """Return the version of torch, whatever device it was built for: `2.13.0` for `2.13.0+cpu`."""
        return distribution_version("torch").partition("+")[0]

    def get_library_object(self) -> Any:
        """Import torch, and let it give the same result each time, in full precision.

        Raises
        ------
        MachineError
            Where it cannot be imported.
        """
        library = super().get_library_object()
        import torch

        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        return library

    def stack(self, slices: Sequence[Any]) -> Any:
        """Join tensors along a new first axis, where they are."""
        import torch

        return torch.stack(list(slices))

    def identify(self, module: str, name: str) -> str:
        """Return the public name of what is adapted: `torch.nn.functional.avg_pool2d`."""
        return f"{self.PUBLIC.get(module, module)}.{name}"
