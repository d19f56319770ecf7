"""Libraries whose functions are declared, by `image_function`, and not probed: our own, and modules of users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.canonical import digest, digest_file
from hcs_lib.core.declare import DECLARATION, DTYPES, Declaration
from hcs_lib.core.errors import HcsError, Problem, UserError
from hcs_lib.registry.base import LibraryRegistryBase, Progress
from hcs_lib.registry.sources import dependencies, source_digest

if TYPE_CHECKING:
    from hcs_lib.registry.entry import FunctionEntry


class DeclaredLibrary(LibraryRegistryBase):
    """The functions of a module, or of the modules of a package, that carry a `Declaration`.

    The version of a function is the digest of its sources.

    Parameters
    ----------
    package
        The importable name of the module or package.
    library_name
        What the ids of its functions begin with; by default the name of the package.
    """

    probed = False
    MEMORY_TYPE = "numpy"
    FLOAT_DTYPE = "float32"
    IMAGE_PARAMETERS = frozenset({"image", "labels", "stack", "tiles"})

    def __init__(self, package: str, library_name: str = "") -> None:
        self.package = package
        # Of one library here, of a class where libraries are probed.
        self.library_name = library_name or package  # type: ignore[misc]

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Source files by module."""
        from importlib import util

        try:
            spec = util.find_spec(self.package)
        except (ImportError, ValueError) as error:
            raise self._unusable(error) from error
        if spec is None or spec.origin is None:
            raise self._unusable("there is none")
        root = Path(spec.origin)
        if spec.submodule_search_locations is None:
            return {self.package: root}
        inside = {f"{self.package}.{file.stem}": file for file in sorted(root.parent.glob("*.py")) if file != root}
        return {self.package: root, **inside}

    @property
    def MODULES_TO_SCAN(self) -> tuple[str, ...]:  # type: ignore[override]  # noqa: N802
        """The modules of the package."""
        return tuple(self._files)

    def get_library_version(self) -> str:
        """Return a digest of all sources: one that changes whenever any of the functions may have changed."""
        return self._digest

    def dependencies(self) -> dict[str, str]:
        """Return the versions of the distributions that any of the modules imports."""
        return {name: version for module in self._files for name, version in dependencies(module, self.package).items()}

    @cached_property
    def _digest(self) -> str:
        module, *others = self._files
        if not others:
            return self._source_digest(module)
        root = self._files[module].parent
        return digest({file.relative_to(root).as_posix(): digest_file(file) for file in sorted(root.rglob("*.py"))})

    def identify(self, module: str, name: str) -> str:
        """Return the library's name and the function's: which module it lives in is its author's to change."""
        return f"{self.library_name}.{name}"

    def public_functions(self, module: str, only: str | None = None) -> dict[str, Callable[..., Any]]:
        """Return the functions of a module that are declared there."""
        try:
            members = super().public_functions(module, only)
        except SystemExit as error:  # a script, which would end the program without a word
            raise self._unusable(error) from error
        return {
            name: function
            for name, function in members.items()
            if hasattr(function, DECLARATION) and function.__module__ == module
        }

    def digest_of_source(self, target: str) -> str:
        """Return the digest of the module of a function, and of what it imports of its package."""
        return self._source_digest(target.partition(":")[0])

    def _source_digest(self, module: str) -> str:
        try:
            return source_digest(module, self.package)
        except (ImportError, OSError, SyntaxError, ValueError) as error:  # compiled, or no Python
            raise self._unusable(error) from error

    def check(self, target: str, version: str, source_digest: str | None) -> None:
        """Refuse a function whose sources are not those that it was compiled with."""
        self.check_source(target, source_digest)

    def build(self, progress: Progress | None = None) -> list[FunctionEntry]:
        """Read the declarations; nothing is called.

        Raises
        ------
        UserError
            Where two modules of the package declare a function of one name.
        """
        from hcs_lib.registry.discover import candidates

        found = candidates(self)
        targets: dict[str, list[str]] = {}
        for function_id, target in found:
            targets.setdefault(function_id, []).append(target)
        twice = [Problem(function_id, f"Declared twice: {' and '.join(places)}.", "Give one of them another name.")
                 for function_id, places in targets.items() if len(places) > 1]  # fmt: skip
        if twice:
            raise UserError(twice)
        return [self._entry(*candidate) for candidate in found]

    def _entry(self, function_id: str, target: str) -> FunctionEntry:
        from hcs_lib.registry.discover import first_line, parameters_of
        from hcs_lib.registry.entry import FunctionEntry

        module, _, _ = target.partition(":")
        function = self.function(target)
        declared: Declaration = getattr(function, DECLARATION)
        digest_ = self._source_digest(module)
        return FunctionEntry(
            id=function_id,
            library=self.library_name,
            version=digest_[:12],
            memory_type=declared.memory_type,
            target=target,
            parameters=parameters_of(function),
            doc=first_line(function),
            tags=tuple(sorted(declared.tags)),
            accepts=declared.accepts,
            coupling=declared.coupling,
            uncouple=dict(declared.uncouple),
            returns=declared.returns,
            dtypes=_expand(declared.dtypes),
            keeps_scale=declared.keeps_scale,
            axis=declared.axis,
            special_inputs=declared.special_inputs,
            special_outputs=declared.special_outputs,
            columns=declared.columns,
            rows=declared.rows,
            shape=declared.shape,
            generic=declared.generic,
            origin="declared",
            source_digest=digest_,
            dependencies=dependencies(module, self.package),
        )

    def _unusable(self, why: object) -> HcsError:
        """Return a UserError: somebody named the module."""
        reason = f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else why
        return UserError(Problem(f"module {self.package}", f"It cannot be imported ({reason}).",
                                 "Put it beside the configuration, or install it."))  # fmt: skip


def _expand(dtypes: Mapping[str, str] | str) -> dict[str, str]:
    if isinstance(dtypes, str):
        return {dtype: dtype if dtypes == "same" else dtypes for dtype in DTYPES}
    return dict(dtypes)
