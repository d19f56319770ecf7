"""Our own functions, `hcs_lib.functions`: declared, not probed."""

from __future__ import annotations

from hcs_lib.registry.declared import DeclaredLibrary


class HcsRegistry(DeclaredLibrary):
    """The functions of `hcs_lib.functions`."""

    def __init__(self) -> None:
        super().__init__("hcs_lib.functions", "hcs")
