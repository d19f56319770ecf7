"""A difference between results and what stands for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["missing", "changed", "extra", "damaged", "stale"]


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is not as receipts say.

    Attributes
    ----------
    plate, well
        Where; the well is empty for what belongs to the whole plate.
    kind
        `missing`: named and not there. `changed`: other bytes. `extra`: there and named by nothing. `damaged`: a
        record that cannot be read, or differs from its own digest. `stale`: a record of another state.
    path
        Relative to the plate's results.
    message
        What was found, what was expected.
    """

    plate: str
    well: str
    kind: Kind
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.plate} {self.well}".rstrip()
        return f"{where}: {self.kind}: {self.path}: {self.message}"

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values."""
        return asdict(self)


Tell = Callable[[Difference], None]
