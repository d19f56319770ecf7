"""The engine: the code that executes contexts. What it is made of is part of every context."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from hcs_lib.contexts.context import Engine
from hcs_lib.core.distributions import installed_version
from hcs_lib.core.sources import digest_sources

SOURCES = (
    "arrays",
    "contexts",
    "core",
    "execution",
    "plates/containers.py",
    "plates/czi_files.py",
    "plates/nd2_files.py",
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

READERS = {".nd2": "nd2", ".czi": "aicspylibczi"}
"""What planes are read with beside these, by the end of their file's name."""


@cache
def current_engine() -> Engine:
    """Return the engine that is installed."""
    versions = {name: version for name in DISTRIBUTIONS if (version := installed_version(name))}
    return Engine(digest=digest_sources(Path(__file__).parents[1], SOURCES), versions=versions)


def engine_that_reads(engine: Engine, files: Iterable[str]) -> Engine:
    """Return the engine with the versions of what it reads these files with."""
    ends = {file[-4:].lower() for file in files}
    versions = {name: installed_version(name) or "none" for end, name in READERS.items() if end in ends}
    return engine.model_copy(update={"versions": {**engine.versions, **versions}}) if versions else engine
