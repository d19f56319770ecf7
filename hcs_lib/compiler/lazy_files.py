"""Files that arguments name: read once, and put into the plate's results under their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hcs_lib.contexts.lazy import FOLDER, LazyFile, load_file
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import write_atomic
from hcs_lib.pipeline.files import wrong_with_file


class LazyFiles:
    """The files of a pipeline. `folder` is that of the pipeline, to which names are relative."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, LazyFile] = {}

    def reference(self, name: str) -> dict[str, str]:
        """Return the reference to a file: an argument as a context holds it, `{"lazy": "json", …}`.

        Raises
        ------
        ValueError
            Where the file is missing, damaged or of another kind.
        """
        if name not in self._found:
            wrong = wrong_with_file(name, self._folder)
            if wrong:
                raise ValueError(wrong)
            path = self._folder / name
            try:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                load_file(path)
            except (OSError, ValueError) as error:
                raise ValueError(f"{name} cannot be read: {error}") from None
            self._found[name] = LazyFile.model_validate({"lazy": path.suffix[1:], "name": path.name, "sha256": digest})
        return self._found[name].model_dump()

    def write(self, results: Path) -> None:
        """Put the files that contexts refer to into the plate's results, and remove others.

        Raises
        ------
        UserError
            Where a file changed meanwhile.
        """
        wanted = {reference.path: name for name, reference in self._found.items()}
        for path, name in wanted.items():
            if not (results / path).exists():
                data = (self._folder / name).read_bytes()
                if not path.startswith(f"{FOLDER}/{hashlib.sha256(data).hexdigest()}."):
                    raise UserError(
                        Problem(name, "The file changed while it was compiled.", "Run `hcs compile` again.")
                    )
                write_atomic(results / path, data)
        for file in (results / FOLDER).glob("*"):
            if f"{FOLDER}/{file.name}" not in wanted:
                file.unlink()
