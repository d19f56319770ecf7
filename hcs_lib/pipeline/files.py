"""Files that the arguments of a pipeline name: `{file: models/nuclei.json}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from hcs_lib.pipeline.located import Location
from hcs_lib.pipeline.models import Pipeline

SUFFIXES = (".json", ".npz")
"""Kinds of files that hold data and nothing else."""


def file_of(value: Any) -> str | None:
    """Return the name of the file that an argument is; None where it is something else.

    Raises
    ------
    ValueError
        For a mapping with the key `file` that is not a name alone.
    """
    if not isinstance(value, Mapping) or "file" not in value:
        return None
    if set(value) != {"file"} or not isinstance(value["file"], str) or not value["file"]:
        raise ValueError("a file is named by {file: NAME}, and nothing else")
    return str(value["file"])


def named_files(pipeline: Pipeline) -> Iterator[tuple[Location, Any]]:
    """Yield each argument that names a file, and where it stands, steps first."""
    for number, step in enumerate(pipeline.steps):
        for value, chain in step.routes().items():
            for call, place in zip(chain, step.places()[value], strict=True):
                for name, given in call.args.items():
                    if isinstance(given, Mapping) and "file" in given:
                        yield ("steps", number, "func", *place, "args", name), given
    for number, override in enumerate(pipeline.overrides):
        for function, args in override.args.items():
            for name, given in args.items():
                if isinstance(given, Mapping) and "file" in given:
                    yield ("overrides", number, "args", function, name), given


def wrong_with_file(name: str, folder: Path) -> str | None:
    """Return what is wrong with the file of an argument, None where nothing is. `folder` is that of the pipeline."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        return f"{name!r} does not lie in the folder of the pipeline; put the file there, and name it from there"
    if path.suffix not in SUFFIXES:
        return f"{name} is neither {' nor '.join(SUFFIXES)}"
    if not (folder / name).is_file():
        return f"there is no file {name} in the folder of the pipeline"
    return None
