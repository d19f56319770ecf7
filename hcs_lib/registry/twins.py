"""Twins: functions of a library on the GPU that mirror those of one on the CPU, by name.

Which they are follows from `LibraryRegistryBase.TWIN`; how far they agree, from the entries of both.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from hcs_lib.core.errors import HcsError
from hcs_lib.registry.entry import FunctionEntry, Parameter
from hcs_lib.registry.libraries import get_library, library_names


class TwinName(NamedTuple):
    """The id that a twin would have, and the library it would be of."""

    library: str
    id: str


class Difference(NamedTuple):
    """A parameter that two functions do not share, or by another default; None for the one that lacks it."""

    name: str
    here: Parameter | None
    there: Parameter | None

    def __str__(self) -> str:
        return f"{self.name}: {_say(self.here)} here, {_say(self.there)} there"


def twin_name(function_id: str) -> TwinName | None:
    """Return what the twin of a function would be called, whichever side it is on; None where none is declared."""
    for name in library_names():
        prefixes = None
        with suppress(HcsError):  # a third party's, that cannot be loaded; whoever looks it up is told
            prefixes = get_library(name).TWIN
        if prefixes is None:
            continue
        own, other = prefixes
        if function_id.startswith(own):
            twin = other + function_id.removeprefix(own)
            library = max((known for known in library_names() if twin.startswith(f"{known}.")), key=len, default=None)
            return TwinName(library, twin) if library else None
        if function_id.startswith(other):
            return TwinName(name, own + function_id.removeprefix(other))
    return None


def differences(here: tuple[Parameter, ...], there: tuple[Parameter, ...]) -> list[Difference]:
    """Return the parameters in which two functions differ: by name, by default, or by being required."""
    mine, theirs = ({parameter.name: parameter for parameter in side} for side in (here, there))
    return [
        Difference(name, mine.get(name), theirs.get(name))
        for name in sorted(mine.keys() | theirs.keys())
        if _call_of(mine.get(name)) != _call_of(theirs.get(name))
    ]


def behave_alike(here: FunctionEntry, there: FunctionEntry, dtype: str | None) -> bool:
    """Tell whether two functions do the same to an image, as far as their entries tell; `dtype` None: of any dtype."""
    alike = all(
        getattr(here, name) == getattr(there, name)
        for name in (
            "accepts", "coupling", "uncouple", "returns", "keeps_scale", "keep_scale", "resizes", "keep_size", "axis",
            "special_inputs", "special_outputs",
        )
    )  # fmt: skip
    if dtype is None:
        return alike and here.dtypes == there.dtypes
    return alike and here.dtypes.get(dtype) == there.dtypes.get(dtype)


def _call_of(parameter: Parameter | None) -> object:
    return parameter and (parameter.kind, parameter.required, parameter.default)


def _say(parameter: Parameter | None) -> str:
    if parameter is None:
        return "none"
    return "required" if parameter.required else f"{parameter.default!r}"
