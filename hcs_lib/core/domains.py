"""What a step runs over: the values of each axis, and the calls that follow from them.

Compiler and executor share this, so that what was checked is what runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

AXES = ("site", "channel", "z", "t")

Site = int | str
"""A site of a well by its number; in the plate's scope, which has those of all wells, as `B02/1`."""


class Coordinates(NamedTuple):
    """Where a plane, a call or a named value stands in its well. `None`: the axis is stacked, reduced or single."""

    site: Site | None
    channel: str | None
    z: int | None
    t: int | None


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of each axis, in order. An axis that was reduced has the one value `None`."""

    site: tuple[Site | None, ...]
    channel: tuple[str | None, ...]
    z: tuple[int | None, ...]
    t: tuple[int | None, ...]

    def values(self, axis: str) -> tuple[Any, ...]:
        """Return the values of one axis."""
        values: tuple[Any, ...] = getattr(self, axis)
        return values

    def replace(self, **axes: tuple[Any, ...]) -> Domain:
        """Return the domain with other values on some axes."""
        return Domain(**{axis: axes.get(axis, self.values(axis)) for axis in AXES})

    def without(self, axis: str | None) -> Domain:
        """Return the domain with one axis reduced to `None`; unchanged where `axis` is None."""
        return self if axis is None else self.replace(**{axis: (None,)})

    def __iter__(self) -> Iterator[Coordinates]:
        for t, site, channel, z in product(self.t, self.site, self.channel, self.z):
            yield Coordinates(site, channel, z, t)

    @property
    def size(self) -> int:
        """Return how many coordinates it has."""
        return len(self.site) * len(self.channel) * len(self.z) * len(self.t)

    def to_json(self) -> dict[str, list[Any]]:
        """Return the domain as lists."""
        return {axis: list(self.values(axis)) for axis in AXES}

    @classmethod
    def from_json(cls, value: dict[str, list[Any]]) -> Domain:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            For axes that are no lists of names and numbers.
        """
        kinds = {"site": (int, str), "channel": (str,), "z": (int,), "t": (int,)}
        for axis, types in kinds.items():
            values = value[axis]
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"{axis} is no list of values")
            if not all(single is None or (isinstance(single, types) and single is not True) for single in values):
                raise ValueError(f"{axis} has values that are none")
            if len(set(values)) != len(values) or (None in values and len(values) > 1):
                raise ValueError(f"{axis} has a value twice, or is reduced and is not")
        return cls(**{axis: tuple(value[axis]) for axis in AXES})


def key_of(producer: Domain, coordinates: Coordinates) -> Coordinates:
    """Return the key of a named value (labels, table) made by a call at `coordinates`.

    Axes on which the producer has a single value do not count: labels made from the one channel DNA
    serve every channel. `producer` is the producer's call domain (stacked axes are None).
    """
    single = {axis: None for axis in AXES if len(producer.values(axis)) <= 1}
    return coordinates._replace(**single)
