"""Values as functions get them: alone, stacked, and in a copy where somebody else needs them too."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from hcs_lib.arrays.memory import copy_of, is_array, memory_type_of
from hcs_lib.contexts.values import Value
from hcs_lib.core.errors import DataError
from hcs_lib.execution.memory import give_back_for

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Inputs:
    """What one call takes. Functions may write into what they are given.

    What is `free`, nobody else takes: it is given away, and gone from `held`. Of the rest there are copies.
    """

    def __init__(self, held: MutableMapping[Value, Any], free: frozenset[Value]) -> None:
        self._held = held
        self._free = free

    def memory_types(self, values: list[Value]) -> set[str]:
        """Return where planes lie."""
        return {memory_type_of(self._held[value]) for value in values}

    def take(self, value: Value) -> Any:
        """Return one value."""
        found = self._held[value]
        if value not in self._free or not getattr(getattr(found, "flags", None), "writeable", True):
            return copy_of(found) if is_array(found) else found
        del self._held[value]
        return found

    def stacked(self, values: list[Value]) -> Array:
        """Stack planes, each of which is given up once its pixels are in the stack."""
        import numpy as np

        from hcs_lib.arrays.convert import to

        shapes = {tuple(self._held[value].shape) for value in values}
        if len(shapes) > 1:
            raise DataError(f"the planes that are stacked are of different shapes: {sorted(shapes)}.", kind="output")
        (shape,) = shapes
        stack = None
        if self.memory_types(values) == {"numpy"}:
            dtype = np.result_type(*(self._held[value].dtype for value in values))
            stack = np.empty((len(values), *shape), dtype)
        planes = []
        for number, value in enumerate(values):
            plane = to(self._held[value], "numpy")
            if value in self._free:
                del self._held[value]
            if stack is None:
                planes.append(plane)
            else:
                stack[number] = plane
                del plane
                give_back_for(stack.nbytes)
        return np.stack(planes) if stack is None else stack

    def joined(self, values: list[Value]) -> Any:
        """Return named values along a stacked axis: planes as a stack, anything else as a list."""
        import numpy as np

        if all(isinstance(self._held[value], np.ndarray) for value in values):
            return self.stacked(values)
        return [self.take(value) for value in values]
