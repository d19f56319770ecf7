"""What flows from call to call, as far as the registry tells: kind, dimensions, dtype."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hcs_lib.core.declare import ProcessingContract, Returns
from hcs_lib.pipeline.models import Axis
from hcs_lib.registry.entry import FunctionEntry

Shapes = Mapping[str, tuple[int, int]]
"""Rows and columns, by well."""

LABEL_DTYPE = "int32"
"""Of the labels that a step yields, whatever the integers of its functions."""

IMAGES: tuple[Returns, ...] = ("image", "labels", "mask")
"""Kinds that a function can be given as its image."""


@dataclass(frozen=True, slots=True)
class ImageType:
    """An image or another result. `kind` and `dtype` are None where they are unknown.

    `shapes` are its sides where it is a mosaic; None: those of the plate's planes. `resized_by` is the function that
    gave it other sides, which are not known.
    """

    kind: Returns | None
    dims: Literal[2, 3]
    dtype: str | None
    resized_by: str | None = None
    shapes: Shapes | None = None

    def __str__(self) -> str:
        return f"{'planes' if self.dims == 2 else 'stacks'} of {self.dtype or 'unknown dtype'}"


def sees_volume(entry: FunctionEntry, stack: Axis | None, args: Collection[str], *, slice_by_slice: bool) -> bool:
    """Tell whether a stack is given to a function as one volume, and not slice by slice.

    Over z it is, where the function takes volumes; over any other axis only where its slices do not touch each
    other, or the function is made for that axis, or to reduce any. One that takes nothing but stacks of one axis
    takes no others. Slices that the registry saw apart touch each other once the step names an axis to work along.
    """
    if 3 not in entry.accepts or entry.contract is ProcessingContract.PURE_2D:
        return False
    if entry.contract is ProcessingContract.FLEXIBLE and slice_by_slice:
        return False
    if entry.axis is not None:
        return entry.axis == stack or (entry.coupling == "none" and 2 in entry.accepts)
    apart = entry.coupling == "none" and not {"axis", "axes"} & {*args}
    return stack == "z" or apart or entry.coupling == "reduces"


def result_of(
    entry: FunctionEntry | None, image: ImageType, args: Mapping[str, Any], shapes: Shapes | None = None
) -> ImageType:
    """Return what a call gives for an image, unknown in parts where the registry does not tell.

    `shapes` is what the call spans, where it makes a mosaic.
    """
    if entry is None:
        return ImageType(None, image.dims, None, image.resized_by, image.shapes)
    dtype = entry.dtypes.get(image.dtype or "")
    kind = entry.returns
    if kind == "image" and image.kind == "labels" and dtype == image.dtype:
        kind = "labels"
    elif kind == "labels" and dtype is not None and "int" not in dtype:
        # Functions that take labels and masks alike give what they were given.
        kind = "mask" if dtype == "bool" else "image"
    reduces = entry.contract is ProcessingContract.VOLUMETRIC_TO_SLICE
    dims = 2 if reduces or kind not in IMAGES else image.dims
    resizes = entry.resizes and not (entry.keep_size and all(args.get(k) == v for k, v in entry.keep_size.items()))
    if entry.shape in entry.special_inputs:
        resizes = shapes is None
    else:
        shapes = image.shapes
    return ImageType(kind, dims, dtype if kind in IMAGES else None, entry.id if resizes else image.resized_by, shapes)
