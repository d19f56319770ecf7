"""Calls of functions, as compiled: arguments with where each value comes from, and what the function is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import FunctionCall, FunctionRef, StepPlan
from hcs_lib.core.canonical import digest
from hcs_lib.core.errors import HcsError
from hcs_lib.core.units import parse_quantity
from hcs_lib.provenance import values
from hcs_lib.provenance.citations import LIBRARIES, software
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.service import RegistryService, resolve

Origin = Literal["pipeline", "default", "plate", "step", "compiler"]
"""Where a value comes from: the pipeline, the function's default, the plate's metadata, an earlier step, or the
compiler, which keeps slices apart and the scale of values."""

METADATA = ("channel_names", "grid_dimensions", "pixel_size_um", "stage_positions", "z_spacing_um")
"""Arguments that the compiler fills from the plate's metadata, where the pipeline does not give them."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; `power` is 1 for a length in pixels, 2 for an area, 0 for anything else."""

    name: str
    value: Any
    origin: Origin
    power: int = 0

    def text(self, pixel_size_um: float | None) -> str:
        """Write the value, with its unit."""
        if self.power:
            return (values.length if self.power == 1 else values.area)(self.value, pixel_size_um)
        return values.plain(self.value)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call of one step. `route` is the value of the routing axis for which it was called, or None."""

    step: str
    route: str | None
    call: FunctionCall
    reference: FunctionRef
    entry: FunctionEntry | None
    arguments: tuple[Argument, ...]

    @property
    def software(self) -> str:
        """Write the library and its version; of our own functions, the digest of their source."""
        library, version = self.reference.library, self.reference.version
        if library == "hcs":
            return f"hcs-workflow, source {version}"
        distribution = LIBRARIES.get(library, library)
        return f"{software(distribution).name} {version}"


class Functions:
    """Looks up what the registry knows of functions, where it is of the very version that was compiled for."""

    def __init__(self, registry: Path) -> None:
        self._service = RegistryService(registry)

    def entry(self, reference: FunctionRef) -> FunctionEntry | None:
        """Return the entry of a function; None where the registry has another one now."""
        try:
            entry = self._service.entry(reference.id)
        except HcsError:
            return None
        return entry if digest(entry.to_json()) == reference.entry_digest else None

    def references(self, reference: FunctionRef) -> tuple[str, ...]:
        """Return the references that the documentation of a library's function gives.

        They are read from the function itself, imported through the registry; none where another version is
        installed.
        """
        try:
            bound = resolve(
                reference.id, reference.library, reference.version, reference.target, reference.source_digest
            )
        except HcsError:
            return ()
        return parse_references(inspect.getdoc(bound.func) or "")


def parse_references(doc: str) -> tuple[str, ...]:
    """Return the entries of the section References of a docstring in NumPy's style, each on one line."""
    match = re.search(r"^References\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", doc, re.DOTALL | re.MULTILINE)
    if match is None:
        return ()
    entries = re.split(r"^\.\. \[\w+\]", match[1], flags=re.MULTILINE)[1:]
    return tuple(" ".join(re.sub(r":DOI:`([^`]*)`", r"doi:\1", entry).split()) for entry in entries if entry.strip())


def calls_of(context: FrozenContext, plan: StepPlan, functions: Functions) -> Iterator[CallRecord]:
    """Yield the calls of a step, in their order."""
    references = {reference.id: reference for reference in context.functions}
    state = context.step_state_map.get(plan.step_index, {})
    routes = {None: plan.func.chain} if plan.func.group_by is None else dict(plan.func.routes)
    for route, chain in routes.items():
        written = state.get("func", ())
        written = written.get(route, ()) if isinstance(written, Mapping) else written
        for number, call in enumerate(chain):
            given = written[number]["args"] if number < len(written) else {}
            reference = references[call.call]
            entry = functions.entry(reference)
            arguments = tuple(_arguments(call, given, entry))
            yield CallRecord(plan.step_name, route, call, reference, entry, arguments)


def _arguments(call: FunctionCall, given: Mapping[str, Any], entry: FunctionEntry | None) -> Iterator[Argument]:
    """Yield every argument: those of the call, those of earlier steps, and the defaults of all others."""
    names = [parameter.name for parameter in entry.parameters] if entry else []
    for name in dict.fromkeys((*names, *call.args, *call.special_inputs)):
        if name in call.args:
            quantity = parse_quantity(given[name]) if isinstance(given.get(name), str) else None
            power = quantity.power if quantity is not None and isinstance(call.args[name], (int, float)) else 0
            origin: Origin = "pipeline" if name in given else "plate" if name in METADATA else "compiler"
            yield Argument(name, call.args[name], origin, power)
        elif name in call.special_inputs:
            yield Argument(name, call.special_inputs[name], "step")
        elif entry is not None:
            parameter = next(parameter for parameter in entry.parameters if parameter.name == name)
            if parameter.kind == "keyword" and not parameter.required:
                yield Argument(name, parameter.shown or parameter.default, "default")
