"""What a probed function returns: the kind of result, its dtypes, and whether it keeps the scale of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hcs_lib.core.declare import Returns
from hcs_lib.registry.calls import Failure, Subject, is_scalar, is_table, same
from hcs_lib.registry.samples import Sample

if TYPE_CHECKING:
    from hcs_lib.registry.probe import Trial

_ORDER = ("float32", "float64", "uint16", "uint8", "bool", "int32")
_RANGES = {"uint8": 255.0, "uint16": 65535.0}
_FURTHER = ("int16", "uint32", "int64")
_LABEL_ARGUMENTS = frozenset({"labels", "markers", "label_img", "s2"})


def _primary(good: Mapping[str, Trial], dimensions: int) -> tuple[str, Trial]:
    """Return the first dtype in the order of interest whose planes (or stack) were taken."""
    return next(
        (dtype, good[dtype])
        for dtype in _ORDER
        if dtype in good and (good[dtype].takes_planes if dimensions == 2 else good[dtype].takes_volume)
    )


def result_of(trial: Trial, dimensions: int) -> tuple[Sample, Any]:
    """Return the sample and the result that stand for a dtype: of a plane, or of the stack."""
    return (trial.plane, trial.planes[1]) if dimensions == 2 else (trial.sample, trial.volume)


def returned(subject: Subject, image: str, good: Mapping[str, Trial], accepts: tuple[int, ...]) -> Returns:
    """Return the kind of a function's result, judged by a plane's, or by a stack's where it takes no planes."""
    dimensions = accepts[0]
    _, trial = _primary(good, dimensions)
    sample, result = result_of(trial, dimensions)
    if is_scalar(result):
        return "scalar"
    if is_table(result):
        return "table"
    if isinstance(result, (tuple, list)):
        return "tuple" if isinstance(result, tuple) else "list"
    if not isinstance(result, np.ndarray):
        return "other"
    if result.shape == sample.shape:
        return _kind_of_image(subject, image, good, dimensions)
    if result.ndim == 2 and dimensions == 3 and result.shape[1] not in (2, 3):
        return "image"
    return _kind_of_array(subject, trial, dimensions)


def _kind_of_array(subject: Subject, trial: Trial, dimensions: int) -> Returns:
    """Tell points, images of another size, and arrays of other kinds apart."""
    sample, result = result_of(trial, dimensions)
    cropped = subject.call(sample.cropped(), attempt=trial.attempts.get(dimensions))
    # A square of numbers is a matrix between objects, not a point for each of them.
    points = result.ndim == 2 and result.shape[1] == dimensions != result.shape[0]
    if not isinstance(cropped, np.ndarray) or not result.ndim == cropped.ndim == dimensions:
        return "coordinates" if points else "other"
    if points and cropped.shape[1] == dimensions:
        return "coordinates"
    return "image" if all(a != b for a, b in zip(result.shape[-2:], cropped.shape[-2:], strict=True)) else "other"


def _kind_of_image(subject: Subject, image: str, good: Mapping[str, Trial], dimensions: int) -> Returns:
    dtype, trial = _primary(good, dimensions)
    sample, result = result_of(trial, dimensions)
    if image.startswith("label") and "int32" in good:
        named = result_of(good["int32"], dimensions)[1]
        if isinstance(named, np.ndarray) and named.dtype.kind in "iu":
            return "labels"
    if result.dtype.kind == "b" and not _keeps_dtype(good, dimensions):
        return "mask"
    if not dtype.startswith("float") and "int32" in good:
        # Functions that refuse floats and give back integers work on labels.
        named = result_of(good["int32"], dimensions)[1]
        if isinstance(named, np.ndarray) and (_selects(sample, named) or _numbered(named)):
            return "labels"
    if dtype == "bool" and result.dtype.kind == "b":
        return "mask"
    if result.dtype.name in ("int32", "int64", "uint32") and dtype != "int32":
        seeded = _LABEL_ARGUMENTS & {parameter.name for parameter in subject.parameters}
        if seeded and _selects(sample, result):
            return "labels"
        turned = subject.call(sample.turned(), attempt=trial.attempts.get(dimensions))
        if _numbered(result) and isinstance(turned, np.ndarray) and not same(result[..., ::-1, ::-1], turned):
            return "labels"
    if result.dtype.kind in "iu" and dtype.startswith("float") and _is_binary(result):
        return "mask"
    return "image"


def _is_binary(result: np.ndarray) -> bool:
    return bool(np.array_equal(np.unique(result), (0, 1)))


def _keeps_dtype(good: Mapping[str, Trial], dimensions: int) -> bool:
    """Tell whether a Boolean result only means a Boolean image."""
    found = output_dtypes(good, (dimensions,))
    return any(output != "bool" for output in found.values())


def _numbered(result: np.ndarray) -> bool:
    """Tell whether the values are 0 or 1 to n without gaps, as labels are."""
    values = np.unique(result)
    return (
        result.dtype.kind in "iu"
        and len(values) > 2
        and values[0] in (0, 1)
        and values[-1] - values[0] == len(values) - 1
    )


def _selects(sample: Sample, result: Any) -> bool:
    """Tell whether an integer result holds labels of the sample and no other value."""
    if not isinstance(result, np.ndarray) or result.dtype.kind not in "iu":
        return False
    values = np.unique(result[result > 0])
    return len(values) > 1 and bool(np.isin(values, sample.labels).all())


def output_dtypes(good: Mapping[str, Trial], accepts: tuple[int, ...]) -> dict[str, str]:
    """Return the dtype of the result (of arrays and scalars) by the dtype of the image."""
    found = {}
    for dtype, trial in good.items():
        if not (trial.takes_planes if accepts[0] == 2 else trial.takes_volume):
            continue
        _, result = result_of(trial, accepts[0])
        if isinstance(result, (np.ndarray, np.generic)) or is_scalar(result):
            found[dtype] = np.asarray(result).dtype.name
    return found


def further_dtypes(subject: Subject, good: Mapping[str, Trial], dimensions: int) -> dict[str, str]:
    """Return the dtype of the result for integers that are not compared otherwise."""
    if "int32" not in good:
        return {}
    trial = good["int32"]
    sample, _ = result_of(trial, dimensions)
    found = {}
    for dtype in _FURTHER:
        result = subject.call(sample.cast(dtype), attempt=trial.attempts.get(dimensions))
        if isinstance(result, np.ndarray) or is_scalar(result):
            found[dtype] = np.asarray(result).dtype.name
    return found


def scale(subject: Subject, trials: Mapping[str, Trial], returns: Returns, accepts: tuple[int, ...]) -> dict[str, Any]:
    """Find whether integers keep their scale: compare with the same numbers as floats, and with floats in [0, 1].

    The scale may depend neither on the range of the dtype nor on that of the data: a stretch keeps none.
    Labels, masks and points carry no intensities and count as kept. A scalar is no pixel: it is kept, or None.
    None too where neither comparison decides.
    """
    if returns in ("labels", "mask", "coordinates"):
        return {"keeps_scale": True}
    if returns not in ("image", "scalar"):
        return {}
    verdicts = {dtype: _keeps(subject, trials[dtype], dtype, accepts[0]) for dtype in _RANGES if dtype in trials}
    known = {dtype: verdict for dtype, verdict in verdicts.items() if verdict is not None}
    kept = None if not known else all(known.values())
    if returns == "scalar":
        return {"keeps_scale": kept or None}
    found: dict[str, Any] = {"keeps_scale": kept}
    if kept is False and any(parameter.name == "preserve_range" for parameter in subject.parameters):
        repaired = [
            _keeps(subject, trials[dtype], dtype, accepts[0], preserve_range=True)
            for dtype, verdict in known.items()
            if not verdict
        ]
        if all(repaired):
            found["keep_scale"] = {"preserve_range": True}
    return found


def _keeps(subject: Subject, trial: Trial, dtype: str, dimensions: int, **extra: Any) -> bool | None:
    if not (trial.takes_planes if dimensions == 2 else trial.takes_volume):
        return None
    sample, result = result_of(trial, dimensions)
    attempt = trial.attempts.get(dimensions)
    integers = subject.call(sample, attempt=attempt, **extra) if extra else result
    if isinstance(integers, Failure):
        return None
    values = np.asarray(integers)
    if dtype == "uint8":
        if not _same_modulo(values, subject.call(sample.cast("uint16"), attempt=attempt, **extra)):
            return False
    elif _fills_bounds(values) and _fills_bounds(subject.call(sample.narrowed(), attempt=attempt, **extra)):
        # Not asked of uint8, which reaches its bounds by wrapping round.
        return False
    if values.dtype == dtype:
        return True
    floats = subject.call(sample.scaled(1.0), attempt=attempt, **extra)
    if same(floats, integers):
        return True
    unit = subject.call(sample.scaled(_RANGES[dtype]), attempt=attempt, **extra)
    if same(unit, integers) and not isinstance(floats, Failure):
        return False
    if values.dtype.kind in "iu":
        # An integer type of another width, filled: img_as_int and its like; within the rounding of one.
        return not (isinstance(unit, np.ndarray) and np.abs(unit - values.astype(np.float64)).max() <= 1)
    within = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    return None if within == 0 else within > 1 + 1e-6


def _same_modulo(narrow: np.ndarray, wide: Any) -> bool:
    """Compare what came of the same numbers as uint8 and as uint16; integers as far as uint8 can tell.

    That takes sums that wrap round, or end at the bounds of the dtype, and the inverse of an image, for the same.
    """
    if isinstance(wide, Failure):
        return True
    other = np.asarray(wide)
    if narrow.shape == other.shape and narrow.dtype.kind in "iu" and other.dtype.kind in "iu":
        difference = other.astype(np.int64) - narrow.astype(np.int64)
        return not (difference % 256).any() or np.array_equal(narrow, np.clip(other, 0, 255))
    return same(narrow, other)


def _fills_bounds(values: Any) -> bool:
    """Tell whether pixels reach from bound to bound of their integer dtype, or floats just to 1."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf" or len(np.unique(values)) <= 2:
        return False
    if values.dtype.kind == "f":
        return float(np.abs(values).max()) == 1.0
    bounds = np.iinfo(values.dtype)
    return (int(values.min()), int(values.max())) == (bounds.min, bounds.max)


def size(subject: Subject, good: Mapping[str, Trial], returns: Returns, accepts: tuple[int, ...]) -> dict[str, Any]:
    """Find whether an image comes back with other sides than it had, and the arguments that prevent it."""
    _, trial = _primary(good, accepts[0])
    sample, result = result_of(trial, accepts[0])
    if returns not in ("image", "labels", "mask") or result.shape[-2:] == sample.shape[-2:]:
        return {}
    switches: list[dict[str, Any]] = [
        {known.name: "same" if known.default == "full" else not known.default}
        for known in subject.parameters
        if isinstance(known.default, bool) or (known.name, known.default) == ("mode", "full")
    ]
    names = {known.name for known in subject.parameters}
    switches += [dict(arguments) for arguments in subject.registry.KEEP_SIZE if arguments.keys() <= names]
    for extra in switches:
        kept = subject.call(sample, attempt=trial.attempts.get(accepts[0]), **extra)
        if isinstance(kept, np.ndarray) and kept.shape == sample.shape:
            return {"resizes": True, "keep_size": extra}
    return {"resizes": True}
