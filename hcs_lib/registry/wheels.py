"""What a wheel says of its functions, read from its sources: nothing of it is installed, imported or run."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Container, Iterator
from email.parser import HeaderParser
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hcs_lib.core.errors import UserError
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.discover import json_or_none, summary_of
from hcs_lib.registry.entry import Parameter

_DEPTH = 10
"""How many imports a name is followed through."""


class Signature(NamedTuple):
    """A public function as its source says: id, `module:name`, the parameter of the image, the others, first line."""

    id: str
    target: str
    image: str | None
    parameters: tuple[Parameter, ...]
    doc: str


class _Source(NamedTuple):
    """A module: its statements, those within `if` and `try` too."""

    statements: tuple[ast.stmt, ...]
    is_package: bool
    is_stub: bool


class Wheel:
    """The sources within a wheel.

    Raises
    ------
    UserError
        Where the file is no wheel.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
            self._names = frozenset(self._archive.namelist())
            metadata = next(name for name in sorted(self._names) if name.endswith(".dist-info/METADATA"))
            headers = HeaderParser().parsestr(self._archive.read(metadata).decode("utf-8", "replace"))
            self.name, self.version = headers["Name"], headers["Version"]
        except (OSError, zipfile.BadZipFile, StopIteration) as error:
            raise UserError(
                f"{path}: this is no wheel ({type(error).__name__}). `pip download --no-deps` gets one."
            ) from None
        self._source = lru_cache(maxsize=None)(self._parse)

    def signatures(self, registry: LibraryRegistryBase) -> list[Signature]:
        """Return the public functions of the modules that a library scans, each under its shortest path, by id."""
        shortest: dict[tuple[str, str], tuple[str, str]] = {}
        for module in registry.MODULES_TO_SCAN:
            for name in self._public_names(module):
                home = self._find(module, name) if registry.FUNCTIONS is None or name in registry.FUNCTIONS else None
                if home is not None:
                    found = registry.identify(module, name), f"{module}:{name}"
                    known = shortest.setdefault(home, found)
                    if (len(found[0]), found[0]) < (len(known[0]), known[0]):
                        shortest[home] = found
        return sorted(
            self._signature(home, function_id, target, registry.HIDDEN_PARAMETERS)
            for home, (function_id, target) in shortest.items()
        )

    def _signature(self, home: tuple[str, str], function_id: str, target: str, hidden: Container[str]) -> Signature:
        node = self._function(*home)
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults = [None] * (len(positional) - len(node.args.defaults)) + list(node.args.defaults)
        given = [
            *zip(positional, defaults, strict=True),
            *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
        ]
        image = positional[0].arg if positional else None
        parameters = tuple(
            Parameter(
                argument.arg,
                required=default is None,
                default=None if default is None else _value(default),
                shown="" if default is None else _shown(default),
                annotation="" if argument.annotation is None else ast.unparse(argument.annotation),
            )
            for argument, default in given[1:]
            if argument.arg not in hidden and argument not in node.args.posonlyargs
        )
        if node.args.kwarg is not None:
            parameters += (Parameter(node.args.kwarg.arg, kind="any"),)
        return Signature(function_id, target, image, parameters, summary_of(ast.get_docstring(node)))

    def _parse(self, module: str) -> _Source | None:
        path = module.replace(".", "/")
        for name in (f"{path}/__init__.pyi", f"{path}/__init__.py", f"{path}.py"):
            if name in self._names:
                try:
                    body = ast.parse(self._archive.read(name)).body
                except (SyntaxError, ValueError, zipfile.BadZipFile) as error:
                    raise UserError(f"{self.path}: {name} cannot be read ({error}).") from None
                return _Source(tuple(_statements(body)), "__init__" in name, name.endswith(".pyi"))
        return None

    def _public_names(self, module: str) -> list[Any]:
        """Return what `__all__` lists; where it is absent or computed, all names without an underscore.

        A stub says what a package loads lazily (`lazy_loader.attach_stub`): all that it imports.
        """
        source = self._source(module)
        listed: list[Any] | None = None
        if source is not None and not source.is_stub:
            for node in source.statements:
                if isinstance(node, ast.Assign) and any(_is_name(target, "__all__") for target in node.targets):
                    listed = _value(node.value)
        return sorted(listed or {name for name in self._bound(module) if not name.startswith("_")})

    def _bound(self, module: str) -> Iterator[str]:
        source = self._source(module)
        for node in source.statements if source else ():
            if isinstance(node, ast.FunctionDef):
                yield node.name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name == "*":
                        yield from self._public_names(self._origin(module, node))
                    else:
                        yield alias.asname or alias.name
            elif isinstance(node, ast.Assign):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))

    def _find(self, module: str, name: str, depth: int = _DEPTH) -> tuple[str, str] | None:
        """Return the module where a function is defined, and its name there; None for what is no function."""
        source = self._source(module)
        if source is None or depth == 0:
            return None
        home: tuple[str, str] | None = None
        for node in source.statements:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                home = module, name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == name or alias.name == "*":
                        wanted = name if alias.name == "*" else alias.name
                        home = self._find(self._origin(module, node), wanted, depth - 1) or home
            elif isinstance(node, ast.Assign) and any(_is_name(target, name) for target in node.targets):
                home = self._find(module, node.value.id, depth - 1) if isinstance(node.value, ast.Name) else None
        return home

    def _function(self, module: str, name: str) -> ast.FunctionDef:
        source = self._source(module)
        assert source is not None
        return next(node for node in source.statements if isinstance(node, ast.FunctionDef) and node.name == name)

    def _origin(self, module: str, node: ast.ImportFrom) -> str:
        """Return the module that an import names, `.`s resolved."""
        if not node.level:
            return node.module or ""
        source = self._source(module)
        parts = module.split(".")
        up = node.level - 1 if source is not None and source.is_package else node.level
        return ".".join([*parts[: len(parts) - up], *((node.module,) if node.module else ())])


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those within `if` and `try` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _statements([*node.body, *(inner for handler in node.handlers for inner in handler.body)])


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _value(node: ast.expr) -> Any:
    """Return a default as JSON, or None where it is none or is computed."""
    try:
        return json_or_none(ast.literal_eval(node))
    except ValueError:
        return None


def _shown(node: ast.expr) -> str:
    """Return a default that is no JSON as the source writes it."""
    none = isinstance(node, ast.Constant) and node.value is None
    return "" if none or _value(node) is not None else ast.unparse(node)
