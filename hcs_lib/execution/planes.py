"""Raw planes of one well: read, checked against the context, hashed; and the policy for bad ones."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.contexts.context import BadPlane, FrozenContext, PlaneRef
from hcs_lib.core.domains import Coordinates, Site
from hcs_lib.core.errors import DataError, MachineError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CHANGED = "The file changed after the plate was indexed. Index, compile and execute again."
_MEND = (
    "Mend the file and run again: `hcs index`, `hcs compile`, `hcs execute`; "
    "if it is then as it was when indexed, `hcs execute … --retry-failed`."
)


class Plane(NamedTuple):
    """Pixels (y, x), and the SHA-256 of their bytes."""

    pixels: Array
    sha256: str


class Planes:
    """Reads the raw planes that a context names, and checks them."""

    def __init__(self, context: FrozenContext, raw: Path) -> None:
        if context.planes and not raw.is_dir():
            raise MachineError(f"The raw plate is not at {raw}. Mount it, or say where it is with --raw.")
        self._context = context
        self._raw = raw
        self._refs = {Coordinates(ref.site, ref.channel, ref.z, ref.t): ref for ref in context.planes}
        self._seen: set[str] = set()

    def name(self, coordinates: Coordinates) -> str:
        """Return what a receipt calls a plane: `file#page`."""
        ref = self._refs[coordinates]
        return f"{ref.file}#{ref.page}"

    def read(self, coordinates: Coordinates) -> Plane:
        """Read a plane.

        Raises
        ------
        DataError
            Of kind `bad_plane`: absent, damaged, of another shape or dtype, or changed since it was indexed.
        MachineError
            Where the raw plate cannot be reached, or holds none of the well's files.
        """
        import numpy as np

        from hcs_lib.plates.reading import read_plane

        ref = self._refs[coordinates]
        if ref.file not in self._seen:
            self._check_file(ref)
            self._seen.add(ref.file)
        try:
            plane = read_plane(self._raw, ref.file, ref.page)
        except DataError as error:
            raise DataError(f"{error} {_MEND}", kind="bad_plane", site=ref.site) from None
        shape, dtype = self._context.plane_shape, self._context.plane_dtype
        if plane.shape != shape or plane.dtype.name != dtype:
            raise self._bad(
                ref,
                f"{_pixels(plane.shape)} of {plane.dtype.name}, expected {_pixels(shape)} of {dtype} as in the "
                f"rest of the plate. {_CHANGED}",
            )
        plane = np.ascontiguousarray(plane)
        return Plane(plane, hashlib.sha256(plane.data).hexdigest())

    def _check_file(self, ref: PlaneRef) -> None:
        from hcs_lib.plates.listing import stat_path
        from hcs_lib.plates.reading import digest_plane

        path = self._raw / ref.file
        try:
            found = stat_path(path)
            if not os.access(path, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            # A mount point without its mount is an empty folder: the well's data are not bad, they are elsewhere.
            if not any(os.access(self._raw / other.file, os.R_OK) for other in self._context.planes):
                raise MachineError(
                    f"The raw plate at {self._raw} holds none of the files of well {self._context.axis_id} that were "
                    f"indexed ({ref.file}: {error.strerror}). Mount it, or say where it is with --raw; if the files "
                    "are gone for good, index and compile again."
                ) from None
            raise self._bad(ref, f"{error.strerror}. {_MEND}") from None
        if found.size != ref.size:
            raise self._bad(ref, f"{found.size} bytes, {ref.size} when indexed. {_CHANGED}")
        if ref.mtime_ns is not None and found.mtime_ns != ref.mtime_ns:
            raise self._bad(ref, f"another time of modification than when indexed. {_CHANGED}")
        if ref.sha256 is not None and digest_plane(self._raw, ref.file) != ref.sha256:
            raise self._bad(ref, f"other bytes than when indexed. {_CHANGED}")

    def _bad(self, ref: PlaneRef, message: str) -> DataError:
        where = f"{ref.file} (site {ref.site}, channel {ref.channel}, z {ref.z}, t {ref.t})"
        return DataError(f"{where}: {message}", kind="bad_plane", site=ref.site)


def left_out(context: FrozenContext) -> dict[Site, str]:
    """Apply the policy for bad planes to what the index found; return the sites left out, with the reason.

    Raises
    ------
    DataError
        Where the well fails (`fail`), or is left out (`skip_well`, or a fault that belongs to no site).
    """
    if not context.problems:
        return {}
    text = "; ".join(_describe(problem) for problem in context.problems)
    if context.bad_planes == "fail":
        raise DataError(text, kind="bad_plane", site=context.problems[0].site)
    if context.bad_planes == "skip_well" or any(problem.site is None for problem in context.problems):
        raise DataError(f"The well is left out (bad_planes: {context.bad_planes}): {text}", kind="skipped")
    reasons: dict[Site, list[str]] = {}
    for problem in context.problems:
        if problem.site is not None:
            reasons.setdefault(problem.site, []).append(_describe(problem))
    return {site: "; ".join(found) for site, found in reasons.items()}


def _describe(problem: BadPlane) -> str:
    at = [
        f"{axis} {getattr(problem, axis)}"
        for axis in ("site", "channel", "z", "t")
        if getattr(problem, axis) is not None
    ]
    file = f"{problem.file} " if problem.file else ""
    return f"{file}({', '.join(at)}): {problem.message}" if at else f"{file}{problem.message}"


def _pixels(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape) + " pixels"
