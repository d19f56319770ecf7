"""How values are written in a text: numbers, lengths, names of wells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hcs_lib.core.addresses import parse_well


def number(value: float) -> str:
    """Write a number with at most four digits that matter: 0.1, 12.31."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def length(value: float, pixel_size_um: float | None) -> str:
    """Write a length in pixels, and in micrometres where the pixel size is known."""
    metric = f" ({number(value * pixel_size_um)} µm)" if pixel_size_um else ""
    return f"{number(value)} px{metric}"


def area(value: float, pixel_size_um: float | None) -> str:
    """Write an area in square pixels, and in square micrometres where the pixel size is known."""
    metric = f" ({number(value * pixel_size_um**2)} µm²)" if pixel_size_um else ""
    return f"{number(value)} px²{metric}"


def plain(value: Any) -> str:
    """Write a JSON value as a person does."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(value) if isinstance(value, int) else f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    return str(value)


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: `1 site`, `1,024 sites`."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def wells(names: Sequence[str]) -> str:
    """Write wells, neighbours in a row as a range: `A01–A03, B07`."""
    parts: list[list[str]] = []
    for name in sorted(names, key=parse_well):
        row, column = parse_well(name)
        if parts and parse_well(parts[-1][-1]) == (row, column - 1):
            parts[-1].append(name)
        else:
            parts.append([name])
    return ", ".join(
        part[0] if len(part) == 1 else f"{part[0]}{', ' if len(part) == 2 else '–'}{part[-1]}" for part in parts
    )
