"""What libraries of CUDA have in common: one compiles for them where they cannot run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hcs_lib.core.distributions import installed_version
from hcs_lib.core.errors import MachineError
from hcs_lib.registry import cache
from hcs_lib.registry.base import LibraryRegistryBase, Progress, distribution_version, variants_of

if TYPE_CHECKING:
    from hcs_lib.registry.entry import FunctionEntry


def cupy_version() -> str:
    """Return the version of CuPy that is compiled for: what is installed, else that of the snapshots."""
    from hcs_lib.registry.libraries import get_library

    return get_library("cupyx.scipy.ndimage").versions()["cupy"]


class CudaRegistry(LibraryRegistryBase):
    """A library whose arrays are those of CuPy.

    Where it is not installed (a login node), it is offered in the version of the snapshot that ships with the package;
    where it is executed, that version must be there.

    Attributes
    ----------
    DISTRIBUTION
        What it is installed with: `cucim` stands for `cucim-cu12` and `cucim-cu13`.
    """

    MEMORY_TYPE = "cupy"
    FLOAT_DTYPE = "float32"
    DEVICE = "cuda"
    DEPENDENCIES = ("cupy",)
    WATCHDOG_SECONDS = 60.0  # kernels are compiled at the first call, for each dtype
    DISTRIBUTION: ClassVar[str]

    def get_library_version(self) -> str:
        """Return the version that is installed. MachineError where there is none."""
        if not any(map(installed_version, variants_of(self.DISTRIBUTION))):
            raise MachineError(f"{self.DISTRIBUTION} is not installed. On a machine with a GPU, run "
                               "`make setup EXTRAS=cuda12` (or cuda13).")  # fmt: skip
        return distribution_version(self.DISTRIBUTION)

    def versions(self) -> dict[str, str]:
        """Return what the file of this library is valid for: what is installed, else what the snapshot is of.

        NumPy has no part in what functions of CUDA do, and neither has our own version: a snapshot that a machine
        without GPU cannot make again would be lost with either.
        """
        try:
            version = self.get_library_version()
        except MachineError:
            snapshot = cache.snapshot_versions(self.library_name)
            if snapshot is None:
                raise
            return snapshot
        return {self.library_name: version, **self.dependencies(), "probe": super().versions()["probe"]}

    def get_library_object(self) -> Any:
        """Import it, and look for a device.

        Raises
        ------
        MachineError
            Where it cannot be imported, or there is no CUDA device.
        """
        library = super().get_library_object()
        import cupy

        if not cupy.cuda.is_available():
            raise MachineError(f"{self.library_name} needs a CUDA device, and CuPy sees none (`hcs doctor`).")
        return library

    def build(self, progress: Progress | None = None) -> list[FunctionEntry]:
        """Measure every candidate on the GPU.

        Raises
        ------
        MachineError
            Where there is none: with the version that there is a snapshot of, and what to do.
        """
        version = self.get_library_version()
        try:
            return super().build(progress)
        except MachineError as error:
            known = (cache.snapshot_versions(self.library_name) or {}).get(self.library_name)
            other = (
                f"install {self.DISTRIBUTION} {known}, of which a snapshot ships with this program, or "
                if known
                else ""
            )
            raise MachineError(
                f"{self.library_name} {version} must be probed on a GPU. {error} To compile without one, {other}"
                f"run `hcs registry build {self.library_name} --output results/registry/{self.library_name}.json` "
                "on a machine that has one."
            ) from error
