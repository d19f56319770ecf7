"""The engine: the code that executes contexts. What it is made of is part of every context."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hcs_lib.contexts.context import Engine
from hcs_lib.core.canonical import digest, digest_file
from hcs_lib.core.distributions import installed_version

SOURCES = (
    "arrays",
    "contexts",
    "core",
    "execution",
    "plates/png.py",
    "plates/reading.py",
    "plates/tiff.py",
    "plates/zarr_arrays.py",
    "registry/base.py",
    "registry/declared.py",
    "registry/execute.py",
    "registry/extensions.py",
    "registry/libraries",
    "registry/service.py",
    "storage",
)
"""Folders and files of `hcs_lib` whose code the bytes of a result depend on, whatever the pipeline calls."""

DISTRIBUTIONS = ("imagecodecs", "numcodecs", "numpy", "pyarrow", "tifffile", "zarr")
"""What pixels and tables are read and written with."""


@cache
def current_engine() -> Engine:
    """Return the engine that is installed."""
    versions = {name: version for name in DISTRIBUTIONS if (version := installed_version(name))}
    return Engine(digest=digest_sources(Path(__file__).parents[1]), versions=versions)


def digest_sources(package: Path, sources: Sequence[str] = SOURCES) -> str:
    """Digest sources below the folder of `hcs_lib`: files and folders, by default those of the engine."""
    files = [
        file
        for source in sources
        for file in ([package / source] if source.endswith(".py") else (package / source).rglob("*.py"))
    ]
    return digest({file.relative_to(package).as_posix(): digest_file(file) for file in files})
