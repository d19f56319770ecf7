"""The registry as others use it: `RegistryService` to look functions up, `resolve` to call them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hcs_lib.core.errors import MachineError, Problem, UserError, nearest
from hcs_lib.registry import cache, extensions
from hcs_lib.registry.base import FunctionMetadata, LazyFunction, LibraryRegistryBase, Progress
from hcs_lib.registry.libraries import get_library, library_names

if TYPE_CHECKING:
    from hcs_lib.registry.entry import FunctionEntry
    from hcs_lib.registry.search import Query

Source = Literal["workflow", "user", "snapshot", "probe"]

MAX_AGE_DAYS = 7.0
"""How old a user's own cache may be."""


_AGAIN: Mapping[Source, str] = {
    "workflow": "Delete it: the next run of the workflow writes it again.",
    "user": "Delete it: `hcs registry build` writes it again.",
    "snapshot": "Install hcs-workflow again.",
}
"""What to do about a damaged file."""


def _say(warn: bool, message: str, *values: object) -> None:
    """Log a warning or information. Importing `logging` takes as long as reading a library's file.

    Information is for those who have asked for it, and they have imported it.
    """
    if not warn and "logging" not in sys.modules:
        return
    import logging

    logging.getLogger("hcs.registry").log(logging.WARNING if warn else logging.INFO, message, *values)


class BoundFunction(NamedTuple):
    """A function and the registry of its library, which keeps its contract."""

    func: Callable[..., Any]
    registry: LibraryRegistryBase


class Catalogue(NamedTuple):
    """All entries of one library by id, usable or not, and where they come from. `path` is None after a probe."""

    library: str
    entries: Mapping[str, FunctionEntry]
    source: Source
    path: Path | None


class RegistryService:
    """The functions of all libraries, each library read when first needed.

    A library is looked for in this order: the workflow's file, the user's cache, the snapshot shipped for exactly
    these versions, a probe (which is kept in the user's cache). A file that is damaged, or for other versions, is
    said so on the log and never used in part. No image library is imported, unless to probe it.

    Parameters
    ----------
    folder
        The workflow's files, `results/registry`; None outside of a workflow.
    max_age_days
        How old the user's cache may be. The workflow's files do not age.
    """

    def __init__(self, folder: Path | None = None, max_age_days: float = MAX_AGE_DAYS) -> None:
        self._folder = folder
        self._max_age_days = max_age_days
        self._catalogues: dict[str, Catalogue] = {}

    def entry(self, function_id: str) -> FunctionEntry:
        """Return what is known of a function.

        Raises
        ------
        UserError
            For an id that no library has, with the nearest, and how modules of the user are named; for a function that
            is excluded, with the reason.
        """
        library = self._library_of(function_id)
        entry = None if library is None else self.catalogue(library).entries.get(function_id)
        if entry is None:
            raise UserError(Problem("registry", f"There is no function {function_id!r}.", self._hint(function_id)))
        if entry.excluded is not None:
            raise UserError(Problem("registry", f"{function_id!r} cannot be used: {entry.excluded}."))
        return entry

    def twin(self, function_id: str) -> FunctionEntry | None:
        """Return the twin of a function on the other device (`hcs_lib.registry.twins`); None where none can be used.

        Raises
        ------
        MachineError
            Where the library of the twin is installed in a version that is not known, and cannot be probed here.
        """
        from hcs_lib.registry.twins import twin_name

        name = twin_name(function_id)
        if name is None:
            return None
        try:
            get_library(name.library).versions()
        except MachineError:  # it is not installed
            return None
        entry = self.catalogue(name.library).entries.get(name.id)
        return None if entry is None or entry.excluded is not None else entry

    def entries(self) -> Mapping[str, FunctionEntry]:
        """Return every usable function of the `catalogues`, by id."""
        return {
            entry.id: entry
            for catalogue in self.catalogues()
            for entry in catalogue.entries.values()
            if entry.excluded is None
        }

    def search(self, query: Query, *, with_excluded: bool = False) -> list[FunctionEntry]:
        """Return the functions that a query matches, by id; with `with_excluded` also those that cannot be used.

        Raises
        ------
        UserError
            Where the query names a library that there is not.
        MachineError
            Where it names one that is not installed or cannot be used here.
        """
        catalogues = self.catalogues() if query.library is None else [self.catalogue(query.library)]
        return sorted(
            (
                entry
                for catalogue in catalogues
                for entry in catalogue.entries.values()
                if (with_excluded or entry.excluded is None) and query.matches(entry)
            ),
            key=lambda entry: entry.id,
        )

    def catalogues(self) -> Iterator[Catalogue]:
        """Yield the catalogue of each library that can be used, without probing any.

        What is not probed yet, and what cannot be loaded, is said so on the log.
        """
        for library in library_names():
            try:
                registry = get_library(library)
                found = self._catalogues.get(library) or self.look_up(library)
                if found is None and registry.probed:
                    _say(True, "%s %s is not probed yet: `hcs registry build %s`.",
                                 library, registry.get_library_version(), library)  # fmt: skip
                    continue
                yield self._catalogues.setdefault(library, found or self.probe(library))
            except MachineError as error:
                _say(library in extensions.names(), "%s", error)
            except UserError as error:
                _say(True, "%s", error)

    def get_all_functions_with_metadata(self) -> dict[str, FunctionMetadata]:
        """Return every usable function, ready to be called; its library is imported at the first call."""
        return {
            entry.id: FunctionMetadata(
                name=entry.id,
                func=LazyFunction(get_library(entry.library), entry.target),
                contract=entry.contract,
                registry=get_library(entry.library),
                module=entry.target.partition(":")[0],
                doc=entry.doc,
                tags=entry.tags,
                original_name=entry.target.partition(":")[2],
            )
            for entry in self.entries().values()
        }

    def catalogue(self, library: str) -> Catalogue:
        """Return the entries of one library, probing it only where no file serves.

        Raises
        ------
        UserError
            For a name that is no library.
        MachineError
            Where the library is not installed or cannot be used here.
        """
        if library not in self._catalogues:
            self._catalogues[library] = self.look_up(library) or self.probe(library)
        return self._catalogues[library]

    def look_up(self, library: str) -> Catalogue | None:
        """Return the entries of a library from the first file that serves; None where none does."""
        versions = get_library(library).versions()
        for source, path, age in self._places(library):
            try:
                entries = cache.read_library(path, library, versions, max_age_days=age)
            except FileNotFoundError:
                continue
            except cache.DamagedError as error:
                _say(True, "%s is damaged: %s. It is not used. %s", path, error, _AGAIN[source])
            except cache.StaleError as error:
                _say(source == "workflow", "%s is not used: %s.", path, error)
            else:
                return Catalogue(library, entries, source, path)
        return None

    def probe(self, library: str, progress: Progress | None = None) -> Catalogue:
        """Build the entries of a library anew, and keep them in the user's cache."""
        registry = get_library(library)
        if registry.probed:
            _say(True, "Probing %s %s; this takes a minute or more.", library, registry.get_library_version())
        entries = registry.build(progress)
        path = cache.user_folder() / f"{library}.json"
        try:
            cache.write_library(path, library, registry.versions(), entries)
        except OSError as error:
            _say(True, "%s cannot be written: %s. The next run probes again.", path, error)
        return Catalogue(library, {entry.id: entry for entry in entries}, "probe", None)

    def _places(self, library: str) -> Iterator[tuple[Source, Path, float | None]]:
        name = f"{library}.json"
        if self._folder is not None:
            yield "workflow", self._folder / name, None
        yield "user", cache.user_folder() / name, self._max_age_days
        yield "snapshot", cache.snapshot_folder() / name, None

    def _hint(self, function_id: str) -> str:
        """Return what to do about an id that there is not: functions of that name elsewhere, else those of like ids."""
        module, _, name = function_id.rpartition(".")
        known = self.entries()
        namesakes = sorted((other for other in known if other.rpartition(".")[2] == name), key=len)[:3]
        hints = [f"Did you mean {' or '.join(namesakes)}?" if namesakes else nearest(function_id, known)]
        if module and self._library_of(function_id) is None:
            hints.append(f"Is {module} a module of your own? Name it: `hcs --module {module} …`, or "
                         f"`registry: {{modules: [{module}]}}` in the configuration.")  # fmt: skip
        return " ".join(filter(None, hints))

    @staticmethod
    def _library_of(function_id: str) -> str | None:
        """Return the library with the longest name that an id begins with."""
        return max((name for name in library_names() if function_id.startswith(f"{name}.")), key=len, default=None)


def resolve(function_id: str, library: str, version: str, target: str, source_digest: str | None) -> BoundFunction:
    """Return the function that a context names, and the registry which keeps its contract.

    Raises
    ------
    MachineError
        Where the version (of our own functions: the source) that is installed is not what was compiled for.
    UserError
        Where `target` is no public function that the library offers under this id: nothing else is ever imported.
    """
    registry = get_library(library)
    module, _, name = target.partition(":")
    if registry.identify(module, name) != function_id or module not in registry.MODULES_TO_SCAN:
        raise UserError(Problem(function_id, f"{target} is no function that {library} offers under this name.",
                                "Run `hcs compile` again."))  # fmt: skip
    registry.check(target, version, source_digest)
    return BoundFunction(registry.function(target), registry)
