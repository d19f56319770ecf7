"""Images in the making: planes are compressed as they come; an image is written when the last one is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import ZarrStore
from hcs_lib.contexts.values import Value, Wiring, stored_images
from hcs_lib.core.domains import Domain, Site
from hcs_lib.core.errors import DataError
from hcs_lib.execution.outputs import Staging
from hcs_lib.storage.images import Pyramid
from hcs_lib.storage.spec import ArraySpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_NAMES = {"t": "t", "c": "channel", "z": "z"}


@dataclass(eq=False)
class _Image:
    """The image or label image of one site (None: of all sites merged). `step` is empty for the raw image."""

    store: ZarrStore
    site: Site | None
    step: str
    missing: int
    pixels: Pyramid | None = None


class Images:
    """What is written of one well: every plane of it, and where it belongs."""

    def __init__(self, context: FrozenContext, wiring: Wiring) -> None:
        self._places: dict[Value, list[tuple[_Image, tuple[int, ...]]]] = {}
        for stored in stored_images(context, wiring):
            step = "" if stored.plan is None else stored.plan.step_name
            positions = list(_positions(stored.store.array, stored.domain, step))
            image = _Image(stored.store, stored.site, step, len(positions))
            for value, position in zip(stored.values, positions, strict=True):
                self._places.setdefault(value, []).append((image, position))

    def put(self, value: Value, plane: Any, staging: Staging) -> None:
        """Put a plane (y, x) wherever it belongs; write what is complete then.

        Raises
        ------
        DataError
            Where the pixels are not of the shape or dtype that was planned.
        """
        from hcs_lib.arrays.convert import to

        for image, position in self._places.pop(value, ()):
            try:
                _put(image, position, to(plane, "numpy"), staging)
            except DataError as error:
                if not image.step:
                    raise
                raise _of_step(error, image.step, image.site) from None

    def drop_site(self, site: Site) -> None:
        """Forget the images of a site that is left out."""
        for places in self._places.values():
            places[:] = [(image, position) for image, position in places if image.site != site]


def _put(image: _Image, position: tuple[int, ...], plane: Array, staging: Staging) -> None:
    if image.pixels is None:
        image.pixels = Pyramid(image.store.array)
    image.pixels.put(position, _exactly(plane, image.store.array))
    image.missing -= 1
    if not image.missing:
        pixels, image.pixels = image.pixels, None
        staging.write_site(image.store, image.site, pixels)


def _positions(spec: ArraySpec, domain: Domain, step: str) -> Iterator[tuple[int, ...]]:
    sizes = {axis: len(domain.values(name)) for axis, name in _NAMES.items()}
    planned = dict(zip(spec.axes, spec.shape, strict=True))
    if any(sizes[axis] != planned.get(axis, 1) for axis in sizes):
        error = DataError(f"there are {sizes} planes along t, c, z, planned are {planned}.", kind="output")
        raise _of_step(error, step, domain.site[0]) if step else error
    axes = [_NAMES[axis] for axis in spec.axes[:-2]]
    number = {axis: {value: place for place, value in enumerate(domain.values(axis))} for axis in axes}
    for at in domain:
        yield tuple(number[axis][getattr(at, axis)] for axis in axes)


def _of_step(error: DataError, step: str, site: Site | None) -> DataError:
    return DataError(f"step {step}: {error}", kind=error.kind, site=site, step=step)


def _exactly(plane: Array, spec: ArraySpec) -> Array:
    """Return a plane in the planned dtype: its values unchanged, or an error."""
    import numpy as np

    if plane.shape != spec.shape[-2:]:
        raise DataError(
            f"the image has {' × '.join(map(str, plane.shape))} pixels, "
            f"planned are {' × '.join(map(str, spec.shape[-2:]))}.",
            kind="output",
        )
    if plane.dtype.name == spec.dtype:
        return plane
    with np.errstate(invalid="ignore", over="ignore"):
        cast = plane.astype(spec.dtype)
    if not np.can_cast(plane.dtype, spec.dtype, "safe") and not np.array_equal(
        cast.astype(plane.dtype), plane, equal_nan=plane.dtype.kind == "f"
    ):
        raise DataError(
            f"the image is of {plane.dtype.name}, and its values do not fit into the {spec.dtype} that was planned.",
            kind="output",
        )
    return cast
