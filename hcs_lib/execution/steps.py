"""One call of a step: from planes to checked results."""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib.contexts.plans import Chain, FunctionCall, LinkedInput, StepPlan
from hcs_lib.contexts.values import Value, Wiring, keeps_stack, name_of_images, planes_given
from hcs_lib.core.declare import ProcessingContract
from hcs_lib.core.domains import Coordinates, Site
from hcs_lib.core.errors import MACHINE_FAULTS, DataError, MachineError
from hcs_lib.execution.arguments import plain_arguments
from hcs_lib.execution.inputs import Inputs
from hcs_lib.execution.patterns import prepare_patterns_and_functions
from hcs_lib.registry.entry import refused_dtype

if TYPE_CHECKING:
    import numpy as np

    from hcs_lib.registry.service import BoundFunction

    Array = np.ndarray[Any, Any]


class CallResult(NamedTuple):
    """What one call gave: values, objects counted by label name and site (None: merged), and warnings."""

    values: dict[Value, Any]
    counts: dict[tuple[str, Site | None], int]
    warnings: tuple[str, ...]


class Steps:
    """Runs the calls of steps of one well."""

    def __init__(self, wiring: Wiring, functions: Mapping[str, BoundFunction], results: Path) -> None:
        self._wiring = wiring
        self._functions = functions
        self._results = results

    def run(
        self, plan: StepPlan, at: Coordinates, held: MutableMapping[Value, Any], last: Collection[Value] = ()
    ) -> CallResult:
        """Run a step for one of its calls.

        Parameters
        ----------
        plan, at
            The step and where it is called.
        held
            Values that it takes some of. Those of `last` may be gone afterwards.
        last
            What nobody needs any more: functions get it as it is, and copies of the rest, which they may write into.

        Raises
        ------
        DataError
            Where a function raises, or gives what the plan does not expect.
        MachineError, MemoryError
            Where the machine fails.
        """
        (group,) = prepare_patterns_and_functions(plan, [at])
        chain = group.chain
        images = self._wiring.images(plan, at)
        uses = Counter(images)
        for call in chain:
            for parameter in call.special_inputs:
                for link in _links(plan, call, parameter).values():
                    uses.update(self._wiring.linked(plan, link, at))
        inputs = Inputs(held, frozenset(value for value in last if uses[value] == 1))
        result = CallResult({}, {}, ())
        try:
            with _hearing() as heard:
                # Not in a variable of its own: what goes in is free once the first function gave something else.
                image, specials, shape = self._chain(plan, chain, self._input(plan, chain, images, inputs), at, inputs)
            self._keep(plan, at, image, specials, shape, result)
        except DataError as error:
            raise DataError(
                f"step {plan.step_name}{_at(at)}: {error}", kind=error.kind, site=at.site, step=plan.step_name
            ) from None
        return result._replace(warnings=tuple(f"step {plan.step_name}: {text}" for text in heard))

    def _input(self, plan: StepPlan, chain: Chain, images: list[Value], inputs: Inputs) -> Any:
        if plan.stack is None:
            return inputs.take(images[0])
        first = chain[0]
        if first.memory_type != "numpy" and inputs.memory_types(images) == {first.memory_type}:
            # Planes that lie on the device already are stacked there.
            return self._functions[first.call].registry.stack([inputs.take(value) for value in images])
        return inputs.stacked(images)

    def _chain(
        self, plan: StepPlan, chain: Chain, image: Any, at: Coordinates, inputs: Inputs
    ) -> tuple[Any, dict[str, Any], tuple[int, ...]]:
        """Return the result, special outputs, and the sides (y, x) of what the last function was given."""
        specials: dict[str, Any] = {}
        for call in chain:
            given = {parameter: self._special(plan, call, parameter, at, inputs) for parameter in call.special_inputs}
            shape = image.shape[-2:]
            image = self._call(plan, call, image, {**plain_arguments(call.args, self._results), **given})
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

    def _call(self, plan: StepPlan, call: FunctionCall, image: Any, arguments: dict[str, Any]) -> Any:
        from hcs_lib.arrays.convert import all_to, to
        from hcs_lib.arrays.exhaustion import retry_when_exhausted
        from hcs_lib.arrays.memory import dtype_name, is_array

        if is_array(image) and (refused := refused_dtype(call.call, call.dtypes, dtype_name(image))):
            raise DataError(" ".join(refused))
        bound = self._functions[call.call]
        contract = ProcessingContract[call.contract]
        # These two compute where their arrays lie, and the plan says where that is.
        placed = call.memory_type in ("torch", "pyclesperanto")
        device = ("cuda" if plan.gpu else "cpu") if placed else None
        try:
            return retry_when_exhausted(
                call.call,
                image,
                lambda: contract.execute(
                    bound.registry,
                    bound.func,
                    to(image, call.memory_type, device),
                    slice_by_slice=call.slice_by_slice,
                    **all_to(arguments, call.memory_type, device),
                ),
            )
        except (MemoryError, MachineError):
            raise
        except DataError as error:
            raise DataError(f"{call.call}: {error}", kind=error.kind) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in MACHINE_FAULTS:
                raise
            # Whatever a function raises on these pixels is a result: it is recorded, and the other wells go on.
            raise DataError(f"{call.call} raised {type(error).__name__}: {error}") from error

    def _special(self, plan: StepPlan, call: FunctionCall, parameter: str, at: Coordinates, inputs: Inputs) -> Any:
        found = {}
        for name, link in _links(plan, call, parameter).items():
            values = self._wiring.linked(plan, link, at)
            stacked = self._wiring.is_stacked(plan, link)
            found[name] = inputs.joined(values) if stacked else inputs.take(values[0])
        return next(iter(found.values())) if isinstance(call.special_inputs[parameter], str) else found

    def _keep(
        self,
        plan: StepPlan,
        at: Coordinates,
        result: Any,
        specials: Mapping[str, Any],
        shape: tuple[int, ...],
        kept: CallResult,
    ) -> None:
        for slot, name in plan.special_outputs.items():
            if slot in specials:
                value = specials[slot]
                if slot == "labels":
                    value = _as_labels(value, shape)
                    _count(kept.counts, name, at, value)
                value = _as_table(value) if slot == "table" else _apart(value, result)
                kept.values[self._wiring.named(plan.step_index, name, at)] = value
            elif slot == "table":
                kept.values[self._wiring.named(plan.step_index, name, at)] = _as_table(result)
        if plan.returns not in ("image", "labels", "mask"):
            return
        images = name_of_images(plan)
        for where, plane in _planes_of(plan, at, result):
            if plan.returns == "labels":
                plane = _as_labels(plane, shape)
                if images is not None:
                    _count(kept.counts, images, where, plane)
            kept.values[self._wiring.image(plan.step_index, where)] = plane


@contextmanager
def _hearing() -> Iterator[dict[str, None]]:
    """Collect what functions warn of, in this thread; another one reads planes meanwhile."""
    heard: dict[str, None] = {}
    own = threading.get_ident()

    def hear(message: Warning | str, *_: Any, **__: Any) -> None:
        if threading.get_ident() == own:
            heard[str(message)] = None

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = hear
        yield heard


def _links(plan: StepPlan, call: FunctionCall, parameter: str) -> dict[str, LinkedInput]:
    """Return what is linked to a parameter of a function, by name, in the order in which it gets it."""
    links = {link.key: link for link in plan.special_inputs[parameter]}
    names = call.special_inputs[parameter]
    return {name: links[name] for name in ([names] if isinstance(names, str) else names)}


def _planes_of(plan: StepPlan, at: Coordinates, result: Any) -> list[tuple[Coordinates, Any]]:
    """Cut what a call gave into planes: one, or one for each value of the axis that it stacked and kept."""
    where = planes_given(plan, at)
    volume = keeps_stack(plan)
    shape = getattr(result, "shape", None)
    if shape is None or len(shape) != 2 + volume or (volume and shape[0] != len(where)):
        expected = f"a stack of {len(where)} planes" if volume else "a plane (y, x)"
        raise DataError(f"the functions returned {_describe(result)}, expected {expected}.", kind="output")
    return [(one, result[number]) for number, one in enumerate(where)] if volume else [(at, result)]


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

    flat = labels.ravel()
    # The last pixel of each run: far fewer than all, and every label has one.
    last = np.ones(flat.shape, bool)
    np.not_equal(flat[1:], flat[:-1], out=last[:-1])
    ends = flat[last]
    counts[name, at.site] = counts.get((name, at.site), 0) + int(np.count_nonzero(np.unique(ends)))


def _apart(value: Any, result: Any) -> Any:
    """Return a special output in memory of its own: what becomes of the result must not change it."""
    from hcs_lib.arrays.memory import copy_of, is_array, shares_memory

    return copy_of(value) if is_array(value) and is_array(result) and shares_memory(value, result) else value


def _at(at: Coordinates) -> str:
    parts = [f"{axis} {value}" for axis, value in zip(at._fields, at, strict=True) if value is not None]
    return f" ({', '.join(parts)})" if parts else ""


def _describe(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of {' × '.join(map(str, value.shape)) or 'no'} {value.dtype}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
