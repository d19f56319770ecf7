"""How the four processing contracts are kept: the methods behind `ProcessingContract.execute`.

An array is anything with `shape`, `ndim` and indexing; this imports no array library.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hcs_lib.core.errors import DataError, UserError


class ContractExecution:
    """The part of a library's registry that calls its functions.

    `image` is a plane (y, x) or a stack (n, y, x). Where a stack is processed slice by slice, every other array
    with as many dimensions and slices as the image (labels, masks; also within a mapping) is sliced along with it.
    The results of the slices are joined: arrays and scalars along a new first axis, members of tuples and mappings
    each by themselves, tables row by row under a further column `slice`, anything else as a list.
    Labels of slices keep the numbers they had within their slice.
    """

    @abstractmethod
    def stack(self, slices: Sequence[Any]) -> Any:
        """Join arrays of this library along a new first axis."""

    def _execute_pure_2d(
        self, func: Callable[..., Any], image: Any, *args: Any, slice_by_slice: bool = False, **kwargs: Any
    ) -> Any:
        """Call a function of planes; a stack slice by slice, whatever `slice_by_slice` says."""
        _check(func, image, (2, 3))
        return func(image, *args, **kwargs) if image.ndim == 2 else self._each_slice(func, image, args, kwargs)

    def _execute_pure_3d(
        self, func: Callable[..., Any], image: Any, *args: Any, slice_by_slice: bool = False, **kwargs: Any
    ) -> Any:
        """Call a function of volumes; a plane is refused."""
        _check_not_sliced(func, slice_by_slice)
        _check(func, image, (3,))
        return func(image, *args, **kwargs)

    def _execute_flexible(
        self, func: Callable[..., Any], image: Any, *args: Any, slice_by_slice: bool = False, **kwargs: Any
    ) -> Any:
        """Call a function of planes and volumes; a stack as a volume, or slice by slice."""
        _check(func, image, (2, 3))
        if slice_by_slice and image.ndim == 3:
            return self._each_slice(func, image, args, kwargs)
        return func(image, *args, **kwargs)

    def _execute_volumetric_to_slice(
        self, func: Callable[..., Any], image: Any, *args: Any, slice_by_slice: bool = False, **kwargs: Any
    ) -> Any:
        """Call a function that makes a plane of a stack, and check that it did."""
        _check_not_sliced(func, slice_by_slice)
        _check(func, image, (3,))
        result = func(image, *args, **kwargs)
        plane = result[0] if isinstance(result, tuple) and result else result
        if getattr(plane, "ndim", None) != 2:
            raise DataError(
                f"{_name(func)} should make a plane (y, x) of a stack, but returned {_describe(plane)}.", "output"
            )
        return result

    def _each_slice(
        self, func: Callable[..., Any], image: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        count = image.shape[0]
        if count == 0:
            raise DataError(f"{_name(func)} was given a stack of no slices.")
        return self._join(
            func,
            [
                func(
                    image[index],
                    *(_slice(value, image, index) for value in args),
                    **{name: _slice(value, image, index) for name, value in kwargs.items()},
                )
                for index in range(count)
            ],
        )

    def _join(self, func: Callable[..., Any], results: list[Any]) -> Any:
        first = results[0]
        if any(type(result) is not type(first) for result in results):
            kinds = ", ".join(sorted({type(result).__name__ for result in results}))
            raise DataError(f"{_name(func)} returned different things for slices of one stack: {kinds}.", "output")
        if isinstance(first, tuple):
            if len({len(result) for result in results}) > 1:
                raise DataError(f"{_name(func)} returned tuples of different length for slices of one stack.", "output")
            return tuple(self._join(func, list(members)) for members in zip(*results, strict=True))
        if isinstance(first, Mapping):
            return self._join_mappings(func, results)
        if getattr(first, "ndim", 0):
            shapes = {tuple(result.shape) for result in results}
            if len(shapes) > 1:
                found = ", ".join(map(str, sorted(shapes)))
                raise DataError(
                    f"{_name(func)} returned arrays of different shapes for slices of one stack ({found}); "
                    "they cannot be stacked. Call it on single planes.",
                    "output",
                )
            return self.stack(results)
        if isinstance(first, (bool, int, float)) or getattr(first, "shape", None) == ():
            import numpy as np

            return np.asarray(
                [result if isinstance(result, (bool, int, float)) else result.item() for result in results]
            )
        return results

    def _join_mappings(self, func: Callable[..., Any], results: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        names = list(results[0])
        if any(list(result) != names for result in results):
            raise DataError(f"{_name(func)} returned different columns for slices of one stack.", "output")
        if not names or not all(_is_table(result) for result in results):
            return {name: self._join(func, [result[name] for result in results]) for name in names}
        import numpy as np

        index = [np.full(len(result[names[0]]), number) for number, result in enumerate(results)]
        columns = {name: np.concatenate([np.asarray(result[name]) for result in results]) for name in names}
        return {"slice": np.concatenate(index), **columns}


def _is_table(value: Mapping[str, Any]) -> bool:
    columns = list(value.values())
    return all(isinstance(column, list) or getattr(column, "ndim", None) == 1 for column in columns) and (
        len({len(column) for column in columns}) == 1
    )


def _slice(value: Any, image: Any, index: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _slice(member, image, index) for name, member in value.items()}
    if getattr(value, "ndim", None) == image.ndim and value.shape[0] == image.shape[0]:
        return value[index]
    return value


def _check(func: Callable[..., Any], image: Any, accepted: tuple[int, ...]) -> None:
    found = getattr(image, "ndim", None)
    if found in accepted:
        return
    if found == 2:
        raise DataError(f"{_name(func)} takes a stack (n, y, x), but was given a plane. Stack an axis in the step.")
    wanted = "a plane (y, x) or a stack (n, y, x)" if 2 in accepted else "a stack (n, y, x)"
    raise DataError(f"{_name(func)} takes {wanted}, but was given {_describe(image)}.")


def _check_not_sliced(func: Callable[..., Any], slice_by_slice: bool) -> None:
    if slice_by_slice:
        raise UserError(f"{_name(func)} takes whole stacks; it cannot be called slice by slice.")


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {tuple(shape)}" if shape is not None else f"a value of type {type(value).__name__}"


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", repr(func))
