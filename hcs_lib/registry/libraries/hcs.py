"""Our own functions, `hcs_lib.functions`: declared, not probed."""

from __future__ import annotations

from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.declared import DeclaredLibrary


class HcsRegistry(DeclaredLibrary):
    """The functions of `hcs_lib.functions`.

    What they import is listed: looking it up takes 0.2 s, and every start of the workflow asks for it.
    """

    DEPENDENCIES = ("numpy", "scikit-image", "scipy")

    def __init__(self) -> None:
        super().__init__("hcs_lib.functions", "hcs")

    def dependencies(self) -> dict[str, str]:
        """Return the versions of `DEPENDENCIES`."""
        return LibraryRegistryBase.dependencies(self)
