"""Lazy arguments: in a context a small reference to a file, loaded when a step first needs it.

`hcs compile` puts the file into the plate's results under its digest, where execution finds it on any machine.
Files are data: JSON, or arrays of NumPy (`.npz`) without pickled objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from hcs_lib.core.frozen import Frozen, freeze

FOLDER = "models"
"""Where the files lie, below the plate's results."""


def is_lazy(value: Any) -> bool:
    """Tell whether an argument refers to a file."""
    return isinstance(value, Mapping) and "lazy" in value


class LazyFile(Frozen):
    """A reference to a file. `lazy` is how it is read, `name` what the user called it."""

    lazy: Literal["json", "npz"]
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def path(self) -> str:
        """Where the file lies, relative to the plate's results."""
        return f"{FOLDER}/{self.sha256}.{self.lazy}"

    @classmethod
    def of(cls, value: Any) -> LazyFile | None:
        """Return the reference that an argument is; None where it is a plain value.

        Raises
        ------
        ValueError
            Where it has the key `lazy` and is no reference.
        """
        if not is_lazy(value):
            return None
        try:
            return cls.model_validate(dict(value))
        except ValidationError as error:
            raise ValueError(f"{dict(value)} is no reference to a file: {error.errors()[0]['msg']}") from None


def load_file(path: Path) -> Any:
    """Read a file: JSON as it is, an `.npz` as a mapping of arrays. Nothing in it can be changed.

    Raises
    ------
    OSError
        Where it cannot be read.
    ValueError
        Where it is damaged, or holds Python objects.
    """
    if path.suffix == ".json":
        return freeze(json.loads(path.read_bytes()))
    import zipfile

    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise ValueError(str(error) or "the file is no .npz") from None
    for array in arrays.values():
        array.setflags(write=False)
    return freeze(arrays)
