"""High-content-screening microscopy: from raw plates to labels, tables, quality and hits."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hcs-workflow")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
