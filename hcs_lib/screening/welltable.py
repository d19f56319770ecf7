"""The table of wells, `tables/wells.csv`, as text columns and one matrix of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.contexts.columns import check_features
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.storage.collected import read_csv

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SITES = "sites"
"""Where the columns begin that say how many sites a well has, and what became of them; features come after these."""

_LARGEST = 1e100
"""What is larger is no measurement but arithmetic that went astray, and the statistics, which square and sum it, would
exceed what a float can hold."""


@dataclass(frozen=True, slots=True)
class WellTable:
    """The wells of a plate.

    Attributes
    ----------
    path
        The file.
    text
        The columns that are no features (plate, well, status, what the platemap says, sites), as text.
    features
        Names of the features: counts of objects, then medians over objects.
    values
        float64 of shape (wells, features). NaN where a well has no finite value (it failed, or a derived feature
        divided by zero), or one beyond ±1e100.
    """

    path: Path
    text: dict[str, list[str]]
    features: tuple[str, ...]
    values: npt.NDArray[np.float64]

    def column(self, name: str) -> list[str]:
        """Return a text column; empty texts where the table does not have it."""
        return self.text.get(name) or [""] * len(self.values)

    def cells(self, row: int) -> dict[str, Any]:
        """Return the text of one well, by column."""
        return {name: column[row] for name, column in self.text.items()}

    def feature(self, name: str) -> npt.NDArray[np.float64]:
        """Return the values of one feature, of shape (wells,)."""
        values: npt.NDArray[np.float64] = self.values[:, self.features.index(name)]
        return values

    def wells_of(self, control: str) -> npt.NDArray[np.bool_]:
        """Return which wells are controls of a kind, `neg` or `pos`; of shape (wells,)."""
        import numpy as np

        return np.array([value == control for value in self.column("control")], dtype=bool)

    def check_features(self, wanted: Sequence[tuple[str, str]]) -> None:
        """Refuse names that are no feature of the table.

        Parameters
        ----------
        wanted
            Pairs of the key that names a feature and the name.

        Raises
        ------
        UserError
            With each unknown name, and the names most like it.
        """
        problems = check_features(wanted, self.features, str(self.path))
        if problems:
            raise UserError(problems)


def read_wells(path: Path) -> WellTable:
    """Read the table of wells that `hcs collect` wrote.

    Raises
    ------
    UserError
        Where the file is missing, or is no table of wells.
    """
    import numpy as np

    try:
        header, rows = read_csv(path)
        after = enumerate(header[header.index(_SITES) :], header.index(_SITES))
        first = next((index for index, name in after if not name.startswith(_SITES)), len(header))
        numbers = [[float(cell) if cell else np.nan for cell in row[first:]] for row in rows]
    except FileNotFoundError:
        raise UserError(Problem(str(path), "the plate was not collected.", "Run `hcs collect` first.")) from None
    except (OSError, ValueError) as error:
        raise UserError(
            Problem(str(path), f"this is no table of wells: {error}.", "Run `hcs collect` again.")
        ) from None
    values = np.array(numbers, dtype=np.float64).reshape(len(rows), len(header) - first)
    values[~(np.abs(values) < _LARGEST)] = np.nan
    text = {name: [row[index] for row in rows] for index, name in enumerate(header[:first])}
    return WellTable(path, text, tuple(header[first:]), values)
