"""Reading the index files of vendors: XML, JSON, CSV and text that may be damaged, or made to do harm."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from hcs_lib.core.errors import raise_machine_fault

_LARGEST = 2**30
"""Bytes of an index file. The largest that are known (a measurement of 384 wells) have a tenth."""

_COLOUR = re.compile(r"#(?:[0-9A-Fa-f]{2})?([0-9A-Fa-f]{6})")

_LONGEST_NAME, _LONGEST_PATH = 255, 2048
"""Bytes of the name of a file, and characters of a path within a plate's folder: less than a system takes."""


class VendorFileError(Exception):
    """Why an index file cannot be used. The message follows the name of the file."""


class _Builder(TreeBuilder):
    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        """Refuse: no vendor declares a document type, and entities are declared in one."""
        raise VendorFileError("it declares a document type, which no microscope does; not read.")


def read_xml(path: Path) -> Element:
    """Read an XML file; its tags and attributes carry no namespace.

    Raises
    ------
    VendorFileError
        Where it cannot be read, is not well formed, or declares a document type (and so, perhaps, entities).
    """
    return parse_xml(_bytes(path))


def parse_xml(data: bytes) -> Element:
    """Parse XML as `read_xml` does."""
    parser = XMLParser(target=_Builder())
    try:
        parser.feed(data)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise VendorFileError(f"it is no sound XML: {error}.") from None
    for element in root.iter():
        element.tag = _local(element.tag)
        if any("}" in key for key in element.keys()):  # noqa: SIM118
            attributes = {_local(key): value for key, value in element.items()}
            element.attrib.clear()
            element.attrib.update(attributes)
    return root


def read_json_file(path: Path) -> Any:
    """Read a JSON file; a VendorFileError says why not. Half a character (a lone surrogate) could not be written."""
    data = _bytes(path)
    try:
        value = json.loads(data)
        if b"\\ud" in data.lower():
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError) as error:
        raise VendorFileError(f"it is no sound JSON: {error}.") from None


def read_csv_file(path: Path) -> list[dict[str, str]]:
    """Read a CSV file (UTF-8, comma) with a header; cells that a row lacks are empty.

    Raises
    ------
    VendorFileError
        Where it cannot be read.
    """
    try:
        text = _bytes(path).decode("utf-8-sig")
        rows = csv.DictReader(text.splitlines(), restval="")
        return [{key: value for key, value in row.items() if key is not None} for row in rows]
    except (ValueError, csv.Error) as error:
        raise VendorFileError(f"it is no sound CSV: {error}.") from None


def read_text_file(path: Path) -> str:
    """Read a text in UTF-8 or, where it is not, in Windows' western code page."""
    data = _bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def within(folder: str, name: str) -> str | None:
    """Return a relative path (forward slashes) that an index file in `folder` names.

    None where it leaves `folder`, or where no file can have that name.
    """
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        return None
    if "\0" in name or len(name) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in path.parts):
        return None
    return str(PurePosixPath(folder) / path)


def number(text: object) -> float | None:
    """Return a finite number; None where the text is none."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def whole(text: object) -> int | None:
    """Return a whole number from 0 that fits 31 bits; None where the text is none."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() and 0 <= value < 2**31 else None


def colour(text: str | None) -> str | None:
    """Return RRGGBB of a colour as XML of Windows has it, `#AARRGGBB` or `#RRGGBB`; None where the text is none."""
    match = _COLOUR.fullmatch(text or "")
    return match[1].upper() if match else None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise VendorFileError(f"it has more than {_LARGEST} bytes; no index file has.")
        return path.read_bytes()
    except OSError as error:
        raise_machine_fault(path, error)
        raise VendorFileError(f"it cannot be opened: {error.strerror}.") from None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
