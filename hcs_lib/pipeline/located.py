"""YAML that knows on which line each of its values stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hcs_lib.core.errors import Problem, UserError

Location = tuple[str | int, ...]

MAX_NODES = 200_000
"""Aliases can make a small file unfold into more values than fit in memory; nobody writes so many."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file says, and where.

    `lines` maps the location of each value, `("steps", 0, "func")`, to the line it begins on, from 1;
    for a value in a mapping that is the line of its key.
    """

    source: str
    value: Any
    lines: Mapping[Location, int]

    def line(self, *location: str | int) -> int:
        """Return the line of a value, or of the nearest one around it; 0 where lines are not known."""
        while location not in self.lines and location:
            location = location[:-1]
        return self.lines.get(location, 0)

    def where(self, *location: str | int) -> str:
        """Return `pipeline.yaml:LINE` of a value, or of the nearest one around it."""
        line = self.line(*location)
        return f"{self.source}:{line}" if line else self.source


def display_path(path: Path) -> str:
    """Return a path as a person would type it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def read_yaml(path: Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    UserError
        Where the file is missing, is no YAML, or repeats a key.
    """
    source = display_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(Problem(source, "The file does not exist.")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Problem(source, f"The file cannot be read: {error}.")) from None
    return parse_yaml(text, source)


def parse_yaml(text: str, source: str) -> Document:
    """Read YAML from a text; `source` names it in errors. Errors as in `read_yaml`."""
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            located = _Locator(source)
            if node is not None:
                located.visit(node, (), ())
            if located.problems:
                raise UserError(located.problems)
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(Problem(f"{source}:{line}", f"This is no YAML: {error.problem or error.context}.")) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(Problem(source, f"This is no YAML that can be read: {error}.")) from None
    return Document(source, value, located.lines)


class _Locator:
    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def visit(self, node: yaml.Node, location: Location, ancestors: tuple[int, ...]) -> None:
        self._nodes += 1
        line = node.start_mark.line + 1
        if id(node) in ancestors or self._nodes > MAX_NODES:
            what = "contains itself" if id(node) in ancestors else "unfolds into too many values"
            raise UserError(Problem(f"{self.source}:{line}", f"An alias (`*`) {what}."))
        self.lines.setdefault(location, line)
        inside = (*ancestors, id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*location, index), inside)
        elif isinstance(node, yaml.MappingNode):
            keys: dict[str, int] = {}
            for key, item in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else None
                if name is not None:
                    line = key.start_mark.line + 1
                    if name in keys:
                        self.problems.append(
                            Problem(f"{self.source}:{line}", f"The key '{name}' stands on line {keys[name]} already.",
                                    "Keep one of them.")
                        )  # fmt: skip
                    keys[name] = line
                    self.lines[*location, name] = line
                self.visit(item, (*location, name or ""), inside)
