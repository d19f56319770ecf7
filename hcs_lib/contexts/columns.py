"""Names of columns that the tables of every plate have: compiler and collect agree on them here."""

METADATA = "Metadata_"
"""Begins columns of the object table that say which object, not what it is like."""

WELL_COLUMNS = ("plate", "well", "status", "reason", "sites", "sites_left_out")
"""First columns of `wells.csv`, in order."""

COUNT = "count_"
"""Begins columns of `wells.csv` that count the objects of a label image."""

SITES = "sites_"
"""Begins columns of `wells.csv` that count sites."""


def is_reserved(name: str) -> bool:
    """Tell whether a feature of this name would replace a column that the tables of a plate have anyhow."""
    return name in WELL_COLUMNS or name.startswith((METADATA, COUNT, SITES))
