"""Digests of our own functions: the source of a module and of what it imports, and what that stands on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hcs_lib.core.canonical import digest, digest_file
from hcs_lib.core.distributions import installed_version

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


@cache
def source_digest(module: str, package: str) -> str:
    """Return the SHA-256 over the sources of a module and of the modules of `package` that it imports, transitively.

    Raises
    ------
    ModuleNotFoundError
        Where the module has no source file.
    """
    return digest({name: digest_file(_source(name)) for name in _closure(module, package)})


@cache
def dependencies(module: str, package: str) -> dict[str, str]:
    """Return the installed versions of the distributions which those sources import, by name."""
    own = package.partition(".")[0]
    tops = {name.partition(".")[0] for source in _closure(module, package) for name in _imports(source)}
    names = {name for top in tops - {own} - sys.stdlib_module_names if (name := _distribution(top))}
    return {name: version for name in sorted(names) if (version := installed_version(name))}


@cache
def _closure(module: str, package: str) -> tuple[str, ...]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other in _imports(name) if _within(other, package)]
    return tuple(sorted(found))


def _within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.") and _find(name) is not None


def _imports(module: str) -> Iterator[str]:
    """Yield every name that a module imports, also within functions: `a.b` and `a.b.c` for `from a.b import c`."""
    import ast

    path = _source(module)
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + is_package] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


@cache
def _find(name: str) -> ModuleSpec | None:
    """Find a module without importing what it is in, as `find_spec` does; None where there is none."""
    from importlib import util
    from importlib.machinery import PathFinder

    parent = name.rpartition(".")[0]
    if not parent:
        return util.find_spec(name)
    above = _find(parent)
    within = None if above is None else above.submodule_search_locations
    return None if within is None else PathFinder.find_spec(name, within)


def _source(module: str) -> Path:
    spec = _find(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No source of {module} is here.", name=module)
    return Path(spec.origin)


def _distribution(top: str) -> str | None:
    """Return the distribution that a top-level module is from, None where it is not installed."""
    return top if installed_version(top) else next(iter(_by_module().get(top, ())), None)


@cache
def _by_module() -> dict[str, list[str]]:
    from importlib import metadata

    return dict(metadata.packages_distributions())
