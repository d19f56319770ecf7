"""One function called on probe images: what came back, as values that can be compared."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hcs_lib.arrays.memory import memory_type_of
from hcs_lib.core.errors import DataError
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.entry import Parameter
from hcs_lib.registry.guesses import guess_arguments
from hcs_lib.registry.samples import Sample

_NOTHING = 1e-14
"""What is left where an image of one value is subtracted from itself."""

_ADDRESS = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True)
class Failure:
    """A call that raised: type and first line of the message, without memory addresses."""

    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception in one line."""
        first = str(error).strip().partition("\n")[0]
        return cls(_ADDRESS.sub("0x…", f"{type(error).__name__}: {first}")[:200].rstrip(": "))


@dataclass(frozen=True)
class Subject:
    """A function under probe, with what is known of its arguments."""

    registry: LibraryRegistryBase
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    overrides: Mapping[str, Any]

    def call(self, sample: Sample, *, attempt: str | None = None, like: Sample | None = None, **extra: Any) -> Any:
        """Call the function on copies of a sample; return its result on the CPU, or a `Failure`.

        Arguments are guessed for `like` where it is given (a plane: arguments that fit planes).

        Raises
        ------
        NeedsArgumentError
            Where an argument cannot be guessed.
        """
        arguments = {**guess_arguments(self.parameters, self.overrides, attempt, like or sample), **extra}
        image = sample.image.copy()
        np.random.seed(0)  # for functions that draw from the global generator
        try:
            pushed = {name: self._push(value) for name, value in arguments.items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pulled = self._pull(self.function(self.registry.push(image), **pushed))
        except Exception as error:
            return Failure.of(error)
        if not np.array_equal(image, sample.image):
            return Failure("it changes its input in place")
        return Failure("it returns nothing") if pulled is None else pulled

    def leave_behind(self, result: Any, byte: int) -> None:
        """Fill memory with a byte, as much as a result takes, and free it: what a call leaves unwritten holds it."""
        if isinstance(result, np.ndarray) and result.size:
            held = [self.registry.push(np.full((1, result.nbytes), byte, np.uint8)) for _ in range(8)]
            held.clear()

    def _push(self, value: Any) -> Any:
        return self.registry.push(value.copy()) if isinstance(value, np.ndarray) else value

    def _pull(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._pull(member) for member in value)
        if isinstance(value, list):
            return [self._pull(member) for member in value]
        if isinstance(value, dict):
            return {name: self._pull(member) for name, member in value.items()}
        try:
            memory_type_of(value)
        except DataError:
            return value
        return self.registry.pull(value) if getattr(value, "ndim", 0) else value


def is_scalar(value: Any) -> bool:
    """Tell whether a result is one number."""
    return isinstance(value, (bool, int, float, np.generic)) or (isinstance(value, np.ndarray) and value.ndim == 0)


def is_table(value: Any) -> bool:
    """Tell whether a result is a mapping of columns of one length."""
    if not isinstance(value, Mapping) or not value:
        return False
    columns = list(value.values())
    return all(isinstance(column, (list, np.ndarray)) for column in columns) and len({len(c) for c in columns}) == 1


def same(left: Any, right: Any) -> bool:
    """Tell whether two results hold the same values; floats within rounding of their own largest value."""
    if isinstance(left, (tuple, list)):
        return (
            isinstance(right, (tuple, list))
            and len(left) == len(right)
            and all(same(a, b) for a, b in zip(left, right, strict=True))
        )
    if isinstance(left, Mapping):
        return isinstance(right, Mapping) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if not (is_scalar(left) or isinstance(left, np.ndarray)) or not (is_scalar(right) or isinstance(right, np.ndarray)):
        return type(left) is type(right) and not isinstance(left, Failure)
    a, b = np.asarray(left), np.asarray(right)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "biu" and b.dtype.kind in "biu":
        return bool(np.array_equal(a, b))
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return bool(np.array_equal(a, b))
    finite = np.abs(b[np.isfinite(b)])
    tolerance = 1e-4 if "float32" in (a.dtype.name, b.dtype.name) else 1e-6
    smallest = max(tolerance * finite.max(initial=0.0), _NOTHING)
    return bool(np.allclose(a, b, rtol=tolerance, atol=smallest, equal_nan=True))


def is_informative(value: Any) -> bool:
    """Tell whether a result holds more than one value, so that being equal to another says something."""
    if isinstance(value, tuple):
        return any(is_informative(member) for member in value)
    return isinstance(value, np.ndarray) and value.size > 1 and not same(value, np.full_like(value, value.flat[0]))


def stacked(results: Sequence[Any], axis: int) -> Any:
    """Return results of planes as one stack, members of tuples each by themselves; None where shapes differ."""
    first = results[0]
    if isinstance(first, tuple):
        if not first or any(not isinstance(result, tuple) or len(result) != len(first) for result in results):
            return None
        members = [stacked(parts, axis) for parts in zip(*results, strict=True)]
        return None if any(member is None for member in members) else tuple(members)
    if all(isinstance(result, np.ndarray) and result.ndim for result in results):
        return np.stack(results, axis) if len({result.shape for result in results}) == 1 else None
    return None
