"""What lies in memory while the calls of a well run, in the order in which they are executed.

Added up is what is read, and read ahead; what calls give, until the last call that takes it; images that are written,
until they are complete; and, in each call, its image, what its functions work with, and what they return.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from hcs_lib.compiler.working import working_bytes
from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.order import Task, tasks_of
from hcs_lib.contexts.plans import Chain, FunctionCall, StepPlan
from hcs_lib.contexts.values import StoredImage, Value, Wiring, raw_written, stored_images
from hcs_lib.core.declare import MemoryType
from hcs_lib.core.dtypes import itemsize

Place = Literal["host", "device"]

LEVELS = 4 / 3
"""Pixels of an image with its resolution levels, each a quarter of the one before."""

_UNKNOWN = "float64"
"""What is reckoned with where a dtype is not known."""

_IMAGES = ("image", "labels", "mask")

_DTYPES = {"labels": "int32", "mask": "bool"}
"""What is reckoned with where it is only known what a function returns."""

_COMPRESSED = {"float": 0.9, "label": 0.1}
"""Part of its size to which an image is compressed at worst."""

_INTEGERS = 0.6
"""The same for images of integers, whose lowest bits are noise and whose highest are not used."""

_HEAP = 1.1
"""What the heap takes for what is allocated: it has gaps."""


def peak_bytes(context: FrozenContext) -> dict[Place, float]:
    """Estimate the most bytes of arrays, on the host and on a GPU, while a context is executed."""
    return Replay(context).peak()


class _Memory:
    """Bytes on the host and on the device, now and at the peak."""

    def __init__(self) -> None:
        self.now: dict[Place, float] = {"host": 0.0, "device": 0.0}
        self.peak: dict[Place, float] = {"host": 0.0, "device": 0.0}

    def add(self, size: float, place: Place = "host") -> None:
        """Allocate, or free what is below 0."""
        self.now[place] += size
        self.peak[place] = max(self.peak[place], self.now[place])

    def touch(self, size: float, place: Place = "host") -> None:
        """Allocate, and free at once."""
        self.add(size, place)
        self.add(-size, place)


class _Array(NamedTuple):
    """An image in a call: pixels of each of its planes, and where and what they are."""

    planes: int
    pixels: int
    dtype: str
    memory: MemoryType
    place: Place

    @property
    def size(self) -> int:
        return self.planes * self.pixels * itemsize(self.dtype)


class _Block:
    """An array that is held until the last of the values is gone that lie in it."""

    def __init__(self, size: float, place: Place, values: Iterable[Value]) -> None:
        self.size = size
        self.place = place
        self.values = set(values)


class _Image:
    """An image in the making: planes that are missing, and what its compressed planes take."""

    def __init__(self, stored: StoredImage) -> None:
        array = stored.store.array
        kind = "label" if stored.store.label else array.dtype.rstrip("0123456789")
        bytes_ = math.prod(array.shape) * itemsize(array.dtype) * (LEVELS if array.levels > 1 else 1)
        self.size = bytes_ * _COMPRESSED.get(kind, _INTEGERS)
        self.plane = math.prod(array.shape[-2:]) * itemsize(array.dtype)
        self.missing = self.planes = len(stored.values)


class Replay:
    """Goes through the calls of a well, and keeps count of the bytes in memory.

    Attributes
    ----------
    tasks
        The calls, in order.
    memory
        Bytes of arrays.
    """

    def __init__(self, context: FrozenContext) -> None:
        self._plans = context.step_plans
        self._wiring = Wiring(self._plans, context.takes)
        self.tasks = tasks_of(context, self._wiring, raw_written(context, self._wiring))
        self._raw = _Array(1, math.prod(context.plane_shape), context.plane_dtype, "numpy", "host")
        self._taken = {
            (passed.step_index, passed.name): self._raw._replace(
                pixels=math.prod(passed.store.array.shape[-2:]) if passed.store else self._raw.pixels,
                dtype=passed.dtype or _UNKNOWN,
            )
            for passed in context.takes
            if passed.name is None or passed.dtype is not None
        }
        self._given: dict[int, _Array] = {}
        for index, plan in self._plans.items():
            self._given[index] = self._planes_of(plan)  # in order: a step takes the size of those before
        self._images: dict[Value, list[_Image]] = {}
        for stored in stored_images(context, self._wiring):
            image = _Image(stored)
            for value in stored.values:
                self._images.setdefault(value, []).append(image)
        self._blocks: dict[Value, _Block] = {}
        self.memory = _Memory()
        self._compressed = _Memory()

    @property
    def held(self) -> list[Value]:
        """Values that lie in memory, but for what is read ahead."""
        return list(self._blocks)

    def peak(self) -> dict[Place, float]:
        """Return the most bytes at any time."""
        groups = [task.reads for task in self.tasks if task.reads]
        # After the last group, the first one of the next well is read.
        following = iter([*groups[1:], *groups[:1]])
        ahead = self._size_read(groups[0]) if groups else 0
        self.memory.add(ahead)
        for task in self.tasks:
            if task.reads:
                self.memory.add(-ahead)
                for value in task.reads:
                    self._hold([value], self._size_read([value]), "host")
                ahead = self._size_read(next(following))
                self.memory.add(ahead)
                self._write(task.reads)
            if task.step is not None:
                self._do(self._plans[task.step], task)
            self._free(task.last)
        # What was compressed is in pieces, which the heap keeps when they are freed; so do those of the thread which
        # reads, and those of the threads which put chunks together.
        written = max((image.plane for images in self._images.values() for image in images), default=0)
        taken = max((array.size for array in self._taken.values()), default=0)
        apart = self._compressed.peak["host"] + 2 * (self._raw.size + written + taken)
        return {"host": _HEAP * (self.memory.peak["host"] + apart), "device": self.memory.peak["device"]}

    def _do(self, plan: StepPlan, task: Task) -> None:
        """Call a step, and hold what it gives."""
        by = plan.func.group_by
        calls = plan.func.chain_for(None if by is None else getattr(task.at, by))
        images = self._wiring.images(plan, task.at)
        linked = self._linked(plan, calls, task)
        uses = Counter([*images, *linked])
        free = {value for value in task.last if uses[value] == 1}
        image = self._array(plan.input, None)._replace(planes=len(images))
        self._take(images, image, free, stacked=plan.stack is not None)
        copies = sum(self._blocks[value].size for value in linked if value not in free and value in self._blocks)
        self.memory.add(copies)
        for number, call in enumerate(calls):
            image = self._call(plan, call, image, last=number + 1 == len(calls))
        self.memory.add(-copies)
        self.memory.add(-image.size, image.place)

        given = list(self._wiring.given(plan, task.at))
        self._hold([value for value in given if value.name is None], image.size, image.place)
        labels = plan.special_outputs.get("labels")
        if labels is not None:
            # They are counted, by a mask and, where labels change with each pixel, copies.
            self.memory.touch(8 * image.pixels)
        for value in given:
            if value.name is not None and value.name == labels:
                self._hold([value], 4 * self._given[plan.step_index].pixels, "host")
        self._write(given)
        self._free(value for value in given if value in task.last)

    def _take(self, values: Sequence[Value], image: _Array, free: Collection[Value], *, stacked: bool) -> None:
        """Put what a call works on in memory of its own; what nobody else needs is given away, or up for the stack."""
        for value in values:
            alone = value in free and self._blocks[value].values == {value}
            if alone and not stacked:
                self._free([value])
            self.memory.add(image.size / image.planes, image.place)
            self._free({value} & set(free))

    def _call(self, plan: StepPlan, call: FunctionCall, image: _Array, *, last: bool) -> _Array:
        """Call one function, whose result takes the place of its image."""
        place: Place = "device" if _is_on_device(plan, call.memory_type) else "host"
        result = image._replace(dtype=_DTYPES.get(call.returns, _UNKNOWN), memory=call.memory_type, place=place)
        if last:
            result = self._given[plan.step_index]._replace(planes=image.planes)
        if call.contract == "VOLUMETRIC_TO_SLICE" or call.returns not in _IMAGES:
            result = result._replace(planes=int(call.returns in _IMAGES))
        types = {image.memory, call.memory_type}
        moved = 0 if len(types) == 1 or (types == {"numpy", "torch"} and place == "host") else image.size
        seen = image.planes if _sees_all(call) else 1
        self.memory.add(moved, place)
        self.memory.add(result.size, place)
        self.memory.touch(
            working_bytes(call, volume=seen > 1, narrow=itemsize(image.dtype) <= 2) * seen * image.pixels, place
        )
        if seen < image.planes:
            # The results of slices are stacked.
            self.memory.touch(result.size, place)
        self.memory.add(-moved, place)
        self.memory.add(-image.size, image.place)
        return result

    def _write(self, values: Iterable[Value]) -> None:
        """Compress planes that are written; an image that is complete is put together, and gone."""
        for value in values:
            for image in self._images.get(value, ()):
                self._compressed.add(image.size / image.planes)
                image.missing -= 1
                if not image.missing:
                    self._compressed.touch(image.size)
                    self._compressed.add(-image.size)

    def _hold(self, values: Sequence[Value], size: float, place: Place) -> None:
        if values:
            block = _Block(size, place, values)
            self._blocks.update(dict.fromkeys(values, block))
            self.memory.add(size, place)

    def _free(self, values: Iterable[Value]) -> None:
        for value in values:
            block = self._blocks.pop(value, None)
            if block is not None:
                block.values.discard(value)
                if not block.values:
                    self.memory.add(-block.size, block.place)

    def _size_read(self, values: Iterable[Value]) -> float:
        return sum(self._array(value.step, value.name).size for value in values)

    def _array(self, step: int | None, name: str | None) -> _Array:
        """Return what a plane of a step is, a raw one, or one that an earlier stage passed on; else what takes none."""
        if step is None:
            return self._raw
        if (step, name) in self._taken:
            return self._taken[step, name]
        return self._given[step] if step in self._given else self._raw._replace(planes=0)

    def _planes_of(self, plan: StepPlan) -> _Array:
        """Return what a plane is that a step gives; a mosaic that is not stored has at most the pixels of its tiles."""
        before = self._array(plan.input, None)
        pixels = before.pixels
        if plan.zarr_store is not None:
            pixels = math.prod(plan.zarr_store.array.shape[-2:])
        elif plan.stack == "site" and plan.output_domain.site == (None,) and plan.special_inputs:
            pixels *= len(plan.domain.site)
        memory = plan.output_memory_type
        dtype = plan.dtype or _DTYPES.get(plan.returns, _UNKNOWN)
        return _Array(1, pixels, dtype, memory, "device" if _is_on_device(plan, memory) else "host")

    def _linked(self, plan: StepPlan, calls: Chain, task: Task) -> list[Value]:
        """Return the special inputs of a call."""
        names = {name for call in calls for given in call.special_inputs.values() for name in _names(given)}
        return [
            value
            for links in plan.special_inputs.values()
            for link in links
            if link.key in names
            for value in self._wiring.linked(plan, link, task.at)
        ]


def _names(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def _sees_all(call: FunctionCall) -> bool:
    """Tell whether a function gets a stack as one."""
    return call.contract != "PURE_2D" and not call.slice_by_slice


def _is_on_device(plan: StepPlan, memory: MemoryType) -> bool:
    """Tell whether arrays of a step lie on a GPU: those of CuPy do, of torch and pyclesperanto where it has one."""
    return memory == "cupy" or (memory != "numpy" and plan.gpu > 0)
