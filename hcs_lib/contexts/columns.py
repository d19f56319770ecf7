"""Names of columns that the tables of every plate have: compiler and collect agree on them here."""

import re
from collections.abc import Collection, Iterable

from hcs_lib.core.errors import Problem, nearest

METADATA = "Metadata_"
"""Begins columns of the object table that say which object, not what it is like."""

SITE = f"{METADATA}Site"
"""Column of the tables of wells with the site; not there where all sites of a well were merged."""

WELL_COLUMNS = ("plate", "well", "status", "reason", "sites", "sites_left_out")
"""First columns of `wells.csv`, in order."""

COUNT = "count_"
"""Begins columns of `wells.csv` that count the objects of a label image."""

SITES = "sites_"
"""Begins columns of `wells.csv` that count sites."""


def is_reserved(name: str) -> bool:
    """Tell whether a feature of this name would replace a column that the tables of a plate have anyhow."""
    return name in WELL_COLUMNS or name.startswith((METADATA, COUNT, SITES))


_NO_FEATURE = re.compile(rf"^{METADATA}|_(Number_|Location_|AreaShape_(Center|BoundingBoxM|Orientation))")
"""Columns that say which object and where, not what it is like, and directions: their median says nothing."""


def is_feature(name: str) -> bool:
    """Tell whether wells have the median of a column of the object table."""
    return _NO_FEATURE.search(name) is None


def check_features(wanted: Iterable[tuple[str, str]], features: Collection[str], table: str) -> list[Problem]:
    """Return a problem, with the names most like it, for each name that is no feature of the wells of a plate.

    Parameters
    ----------
    wanted
        Pairs of the key that names a feature and the name.
    features
        Those that there are.
    table
        What has these features, in words.
    """
    return [
        Problem(
            key,
            f"'{name}' is no feature of {table}.",
            nearest(name, features) or f"It has {len(features)}: {', '.join(sorted(features)[:5])}, ….",
        )
        for key, name in wanted
        if name not in features
    ]
