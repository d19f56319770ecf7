"""What the registry knows of one function, as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from hcs_lib.core.declare import Axis, Coupling, MemoryType, ProcessingContract, Returns, Rows
from hcs_lib.core.dtypes import bits

Origin = Literal["probed", "inferred", "declared"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function, after the image.

    `kind` is `keyword`, or `any` for a function that takes arbitrary keywords (`**kwargs`).
    `default` is None where there is none or where it is no JSON; `required` tells which, and `shown` how a default
    that is no JSON is written. `annotation` is that of the signature; where it has none and the probe called with a
    guessed number, that of numbers.
    """

    name: str
    kind: Literal["keyword", "any"] = "keyword"
    required: bool = False
    default: Any = None
    shown: str = ""
    annotation: str = ""


@dataclass(frozen=True, slots=True)
class FunctionEntry:
    """What a function is called, takes, does to slices, and returns; how that was found; or why it is excluded.

    Attributes
    ----------
    id
        How a pipeline names it, `skimage.filters.gaussian`.
    target
        `module:name`, resolved at first use and only through the registry.
    accepts, coupling, returns, uncouple, keeps_scale, axis, special_inputs, special_outputs, columns, rows, shape,
    generic
        As in `hcs_lib.core.declare.image_function`. `keeps_scale` is None where it could not be measured.
    resizes
        Whether its image has other sides (y, x) than the one it was given.
    keep_size
        Arguments that make a resizing function keep the size, `{"reshape": false}`.
    keep_scale
        Arguments that make a rescaling function keep the scale of values, `{"preserve_range": true}`.
    dtypes
        Output dtype by input dtype, as measured or declared.
    origin, device
        How that was found, and on which device.
    source_digest, dependencies
        What a context's digest covers for this function: its source (our own functions) and the versions
        of the distributions it stands on.
    excluded
        Why the function cannot be used; None where it can.
    """

    id: str
    library: str
    version: str
    memory_type: MemoryType
    target: str
    parameters: tuple[Parameter, ...] = ()
    doc: str = ""
    tags: tuple[str, ...] = ()
    accepts: tuple[int, ...] = ()
    coupling: Coupling = "none"
    uncouple: Mapping[str, Any] = field(default_factory=dict)
    returns: Returns = "other"
    dtypes: Mapping[str, str] = field(default_factory=dict)
    keeps_scale: bool | None = None
    keep_scale: Mapping[str, Any] = field(default_factory=dict)
    resizes: bool = False
    keep_size: Mapping[str, Any] = field(default_factory=dict)
    axis: Axis | None = None
    special_inputs: tuple[str, ...] = ()
    special_outputs: tuple[str, ...] = ()
    columns: str | None = None
    rows: Rows = "objects"
    shape: str | None = None
    generic: bool = False
    origin: Origin = "probed"
    device: str = "cpu"
    source_digest: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    excluded: str | None = None

    @property
    def contract(self) -> ProcessingContract:
        """The contract that follows from what the function accepts and how it couples slices."""
        if self.accepts == (2,) or self.coupling == "channel_last":
            return ProcessingContract.PURE_2D
        if self.coupling == "reduces":
            return ProcessingContract.VOLUMETRIC_TO_SLICE
        return ProcessingContract.PURE_3D if self.accepts == (3,) else ProcessingContract.FLEXIBLE

    @property
    def squeezed(self) -> frozenset[str]:
        """Dtypes which a probed function turns into integers too narrow for their values: it rescales them.

        Whether the scale is kept was measured on integers of 8 and 16 bits; of wider ones, and of floats, nothing that
        is kept fits into as little.
        """
        if self.origin == "declared" or self.returns != "image":
            return frozenset()
        return frozenset(
            given for given, result in self.dtypes.items() if result in _NARROW and bits(given) > bits(result)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON values, without what is at its default: a catalogue is read at every start."""
        value = _without_defaults(self)
        if self.parameters:
            value["parameters"] = [_without_defaults(parameter) for parameter in self.parameters]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FunctionEntry:
        """Read what `to_json` wrote. Raises TypeError for unknown or missing fields."""
        changed: dict[str, Any] = {name: tuple(value[name]) for name in _TUPLES & value.keys()}
        if "parameters" in value:
            changed["parameters"] = tuple([Parameter(**parameter) for parameter in value["parameters"]])
        return cls(**{**value, **changed})


def refused_dtype(function_id: str, known: Collection[str], dtype: str) -> tuple[str, str] | None:
    """Return what is wrong with giving a function an image of `dtype`, and what to do; None where nothing is.

    `known` are the dtypes which it was found to take; none where that could not be measured.
    """
    if not known or dtype in known:
        return None
    labels = set(known) <= {"int32", "int64"}
    hint = "It takes labels: name their step by `input`." if labels else f"It takes {', '.join(sorted(known))}."
    return f"{function_id} does not take {dtype}.", hint


_NARROW = frozenset({"int8", "int16", "uint8", "uint16"})


_TUPLES = frozenset({"tags", "accepts", "special_inputs", "special_outputs"})


def _without_defaults(value: FunctionEntry | Parameter) -> dict[str, Any]:
    found = {}
    for each in fields(value):
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if (content := getattr(value, each.name)) != default:
            found[each.name] = content
    return found
