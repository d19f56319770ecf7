"""Sizes of pixels by the names of dtypes, `uint16`: no array library is needed for that."""

from __future__ import annotations

import re


def bits(dtype: str) -> int:
    """Return the bits of a pixel that its dtype names; 1 for `bool`."""
    found = re.search(r"\d+$", dtype)
    return int(found[0]) if found else 1


def itemsize(dtype: str) -> int:
    """Return the bytes of a pixel."""
    return max(1, bits(dtype) // 8)
