"""The sources of this package: what they are digested by, to know when code changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hcs_lib.core.canonical import digest, digest_file


def digest_sources(package: Path, sources: Sequence[str]) -> str:
    """Digest sources below the folder of `hcs_lib`: Python files, and those of folders."""
    files = [
        file
        for source in sources
        for file in ([package / source] if source.endswith(".py") else (package / source).rglob("*.py"))
    ]
    return digest({file.relative_to(package).as_posix(): digest_file(file) for file in files})
