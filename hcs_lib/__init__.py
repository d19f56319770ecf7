"""High-content-screening microscopy: from raw plates to labels, tables, quality and hits."""

from hcs_lib.core.distributions import installed_version

# A source tree that was never installed has none.
__version__ = installed_version("hcs-workflow") or "0+unknown"
