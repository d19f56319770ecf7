"""File-name conventions, one small module each. A new format is a function of type `Find` and a line below."""

from __future__ import annotations

from hcs_lib.plates.formats import imagexpress
from hcs_lib.plates.formats.base import Find, Found, PlaneFile
from hcs_lib.plates.formats.pattern import find_by_pattern

FORMATS: dict[str, Find] = {"imagexpress": imagexpress.find}
"""Formats that are known by their names alone. `pattern` is the user's own, see `find_by_pattern`."""

__all__ = ["FORMATS", "Find", "Found", "PlaneFile", "find_by_pattern"]
