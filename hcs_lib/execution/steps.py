"""One step of one well: its calls, from stacked planes to checked results."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.contexts.plans import Chain, FunctionCall, StepPlan
from hcs_lib.core.declare import ProcessingContract
from hcs_lib.core.domains import Coordinates, Site
from hcs_lib.core.errors import DataError, MachineError
from hcs_lib.execution.arguments import plain_arguments
from hcs_lib.execution.patterns import prepare_patterns_and_functions
from hcs_lib.execution.planes import Planes
from hcs_lib.execution.values import Values, name_of_images
from hcs_lib.registry.entry import refused_dtype

if TYPE_CHECKING:
    import numpy as np

    from hcs_lib.registry.service import BoundFunction

    Array = np.ndarray[Any, Any]

_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE}
"""Errors of the system that say nothing about the data."""


class StepResult(NamedTuple):
    """What a step left beside its values: objects counted by label name and site (None: merged), and warnings."""

    counts: dict[tuple[str, Site | None], int]
    warnings: tuple[str, ...]


class Steps:
    """Runs steps of one well on its planes and values."""

    def __init__(self, planes: Planes, values: Values, functions: Mapping[str, BoundFunction], results: Path) -> None:
        self._planes = planes
        self._values = values
        self._functions = functions
        self._results = results

    def run(self, plan: StepPlan, calls: Sequence[Coordinates]) -> StepResult:
        """Run a step for some of its calls, and keep what it gives.

        Raises
        ------
        DataError
            Where a plane is bad, a function raises, or gives what the plan does not expect.
        MachineError, MemoryError
            Where the machine fails.
        """
        counts: dict[tuple[str, Site | None], int] = {}
        heard: dict[str, None] = {}
        for group in prepare_patterns_and_functions(plan, calls):
            for at in group.calls:
                image = self._input(plan, at)
                try:
                    with warnings.catch_warnings(record=True) as caught:
                        warnings.simplefilter("always")
                        result, specials, shape = self._chain(plan, group.chain, image, at)
                    heard |= {f"step {plan.step_name}: {warning.message}": None for warning in caught}
                    self._keep(plan, at, result, specials, shape, counts)
                except DataError as error:
                    raise DataError(
                        f"step {plan.step_name}{_at(at)}: {error}", kind=error.kind, site=at.site, step=plan.step_name
                    ) from None
        return StepResult(counts, tuple(heard))

    def _input(self, plan: StepPlan, at: Coordinates) -> Any:
        if plan.stack is None:
            return _own(self._plane(plan, at))
        import numpy as np

        from hcs_lib.arrays.convert import to

        along = [at._replace(**{plan.stack: value}) for value in plan.domain.values(plan.stack)]
        return np.stack([to(self._plane(plan, where), "numpy") for where in along])

    def _plane(self, plan: StepPlan, at: Coordinates) -> Any:
        return self._planes.read(at) if plan.input is None else self._values.image(plan.input, at)

    def _chain(
        self, plan: StepPlan, chain: Chain, image: Any, at: Coordinates
    ) -> tuple[Any, dict[str, Any], tuple[int, ...]]:
        """Return the result, special outputs, and the sides (y, x) of what the last function was given."""
        specials: dict[str, Any] = {}
        for call in chain:
            given = {parameter: self._special(plan, call, parameter, at) for parameter in call.special_inputs}
            shape = image.shape[-2:]
            image = self._call(call, image, {**plain_arguments(call.args, self._results), **given})
            if call.special_outputs:
                if not isinstance(image, tuple) or len(image) != 1 + len(call.special_outputs):
                    raise DataError(
                        f"{call.call} returned {_describe(image)}, expected a tuple of its result and "
                        f"{', '.join(call.special_outputs)}.",
                        kind="output",
                    )
                image, *rest = image
                specials |= dict(zip(call.special_outputs, rest, strict=True))
        return image, specials, shape

    def _call(self, call: FunctionCall, image: Any, arguments: dict[str, Any]) -> Any:
        from hcs_lib.arrays.convert import all_to, to
        from hcs_lib.arrays.exhaustion import retry_when_exhausted
        from hcs_lib.arrays.memory import dtype_name, is_array

        if is_array(image) and (refused := refused_dtype(call.call, call.dtypes, dtype_name(image))):
            raise DataError(" ".join(refused))
        bound = self._functions[call.call]
        contract = ProcessingContract[call.contract]
        try:
            return retry_when_exhausted(
                call.call,
                image,
                lambda: contract.execute(
                    bound.registry,
                    bound.func,
                    to(image, call.memory_type),
                    slice_by_slice=call.slice_by_slice,
                    **all_to(arguments, call.memory_type),
                ),
            )
        except (MemoryError, MachineError):
            raise
        except DataError as error:
            raise DataError(f"{call.call}: {error}", kind=error.kind) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _MACHINE:
                raise
            # Whatever a function raises on these pixels is a result: it is recorded, and the other wells go on.
            raise DataError(f"{call.call} raised {type(error).__name__}: {error}") from error

    def _special(self, plan: StepPlan, call: FunctionCall, parameter: str, at: Coordinates) -> Any:
        links = {link.name: link for link in plan.special_inputs[parameter]}
        names = call.special_inputs[parameter]
        if isinstance(names, str):
            return _own(self._values.linked(links[names], plan, at))
        return {name: _own(self._values.linked(links[name], plan, at)) for name in names}

    def _keep(
        self,
        plan: StepPlan,
        at: Coordinates,
        result: Any,
        specials: Mapping[str, Any],
        shape: tuple[int, ...],
        counts: dict[tuple[str, Site | None], int],
    ) -> None:
        for slot, name in plan.special_outputs.items():
            if slot in specials:
                value = specials[slot]
                if slot == "labels":
                    value = _as_labels(value, shape)
                    _count(counts, name, at, value)
                self._values.add_named(plan.step_index, name, at, _as_table(value) if slot == "table" else value)
            elif slot == "table":
                self._values.add_named(plan.step_index, name, at, _as_table(result))
        if plan.returns not in ("image", "labels", "mask"):
            return
        images = name_of_images(plan)
        for where, plane in _planes_of(plan, at, result):
            if plan.returns == "labels":
                plane = _as_labels(plane, shape)
            self._values.add_image(plan.step_index, where, plane)
            if images is not None:
                self._values.add_named(plan.step_index, images, where, plane)
                if plan.returns == "labels":
                    _count(counts, images, where, plane)


def _planes_of(plan: StepPlan, at: Coordinates, result: Any) -> list[tuple[Coordinates, Any]]:
    """Cut what a call gave into planes: one, or one for each value of the axis that it stacked and kept."""
    values = () if plan.stack is None else plan.output_domain.values(plan.stack)
    volume = values not in ((), (None,))
    shape = getattr(result, "shape", None)
    if shape is None or len(shape) != 2 + volume or (volume and shape[0] != len(values)):
        expected = f"a stack of {len(values)} planes" if volume else "a plane (y, x)"
        raise DataError(f"the functions returned {_describe(result)}, expected {expected}.", kind="output")
    if not volume:
        return [(at, result)]
    assert plan.stack is not None
    return [(at._replace(**{plan.stack: value}), result[number]) for number, value in enumerate(values)]


def _as_labels(labels: Any, shape: tuple[int, ...]) -> Array:
    """Return a label image of the shape of the step's input as int32: 0 background, 1…n objects."""
    import numpy as np

    from hcs_lib.arrays.convert import to

    array: Array = to(labels, "numpy")
    if array.shape != shape or array.dtype.kind not in "iu":
        raise DataError(
            f"the labels are {_describe(array)}, expected a plane of {shape[0]} × {shape[1]} integers.", kind="output"
        )
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int32).max):
        raise DataError(f"the labels reach from {array.min()} to {array.max()}, expected 0 … 2³¹ - 1.", kind="output")
    return array.astype(np.int32, copy=False)


def _as_table(table: Any) -> dict[str, Any]:
    """Return a table: columns of equal length by name."""
    import numpy as np

    lengths = {name: np.shape(column) for name, column in table.items()} if isinstance(table, Mapping) else {}
    if not lengths or len(set(lengths.values())) != 1 or any(len(shape) != 1 for shape in lengths.values()):
        rows = sorted({" × ".join(map(str, shape)) for shape in lengths.values()})
        found = f"columns of {', '.join(rows)} rows" if lengths else _describe(table)
        raise DataError(f"the table is {found}, expected columns of equal length by name.", kind="output")
    return dict(table)


def _count(counts: dict[tuple[str, Site | None], int], name: str, at: Coordinates, labels: Array) -> None:
    import numpy as np

    top = int(labels.max(initial=0))
    # Sorting is slower than counting, which needs memory for every value up to the highest.
    objects = np.unique(labels[labels > 0]) if top > labels.size else np.flatnonzero(np.bincount(labels.ravel())[1:])
    counts[name, at.site] = counts.get((name, at.site), 0) + len(objects)


def _own(value: Any) -> Any:
    """Return a copy of an array: a function may write into what it is given, and others still need it."""
    from hcs_lib.arrays.memory import copy_of, is_array

    return copy_of(value) if is_array(value) else value


def _at(at: Coordinates) -> str:
    parts = [f"{axis} {value}" for axis, value in zip(at._fields, at, strict=True) if value is not None]
    return f" ({', '.join(parts)})" if parts else ""


def _describe(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of {' × '.join(map(str, value.shape)) or 'no'} {value.dtype}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
