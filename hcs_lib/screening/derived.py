"""Derived features: arithmetic over the columns of the object table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hcs_lib.core.expressions import column_names

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def evaluate_derived(
    derived: Mapping[str, str], columns: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Evaluate each expression over the rows of a table.

    Parameters
    ----------
    derived
        Name → expression. The compiler has checked them (`hcs_lib.core.expressions`): arithmetic over
        columns that exist.
    columns
        Name → values of shape (rows,); all of one length.

    Returns
    -------
    dict
        Name → float64 values of shape (rows,). Division by zero gives NaN or infinity, as IEEE 754 says.
    """
    import numexpr
    import numpy as np

    numexpr.set_num_threads(1)
    rows = len(next(iter(columns.values()), ()))
    values = {}
    for name, expression in derived.items():
        used = {column: columns[column].astype(np.float64) for column in column_names(expression)}
        found = numexpr.evaluate(expression, local_dict=used, global_dict={})
        values[name] = np.broadcast_to(np.asarray(found, dtype=np.float64), (rows,))
    return values
