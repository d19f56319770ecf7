"""Entries of a library that cannot run here: read from its sources, its behaviour taken from its twins on the CPU.

Nothing here is measured. Only a function that has a twin of the same name with the same parameters is taken to behave
like it; each entry says that it is inferred. A probe on a GPU replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hcs_lib.core.errors import UserError
from hcs_lib.registry.base import PROBE_VERSION, LibraryRegistryBase, variants_of
from hcs_lib.registry.cuda import CudaRegistry
from hcs_lib.registry.discover import tags_of
from hcs_lib.registry.entry import FunctionEntry, Parameter
from hcs_lib.registry.libraries import get_library, library_names
from hcs_lib.registry.service import RegistryService
from hcs_lib.registry.twins import differences, twin_name
from hcs_lib.registry.wheels import Signature, Wheel

BEHAVIOUR = (
    "accepts", "coupling", "uncouple", "returns", "dtypes", "keeps_scale", "keep_scale", "resizes", "keep_size",
)  # fmt: skip
"""What is taken from the twin."""


class Inferred(NamedTuple):
    """What the file of a library holds: what it is valid for, and its entries."""

    library: str
    versions: dict[str, str]
    entries: list[FunctionEntry]


def infer_libraries(wheels: Sequence[Wheel], service: RegistryService) -> list[Inferred]:
    """Return what can be said of the libraries of CUDA that come in some wheels.

    Parameters
    ----------
    wheels
        Those of the libraries and of what they stand on: `cucim` stands on `cupy`.
    service
        Knows the twins.

    Raises
    ------
    UserError
        Where a wheel is missing, or one has no such library.
    """
    registries = [registry for registry in map(get_library, library_names()) if isinstance(registry, CudaRegistry)]
    names = {registry.DISTRIBUTION for registry in registries}
    by_name = {name: wheel for name in names for wheel in wheels if wheel.name in variants_of(name)}
    unknown = [wheel.path.name for wheel in wheels if wheel not in by_name.values()]
    if unknown or not wheels:
        raise UserError(f"{', '.join(unknown) or 'No wheel is given; it'} should be of {', '.join(sorted(names))}.")
    found = []
    for registry in registries:
        if registry.DISTRIBUTION not in by_name:
            continue
        missing = [name for name in registry.DEPENDENCIES if name not in by_name]
        if missing:
            raise UserError(f"{registry.library_name} stands on {', '.join(missing)}: give that wheel too.")
        wheel = by_name[registry.DISTRIBUTION]
        dependencies = {name: by_name[name].version for name in registry.DEPENDENCIES}
        versions = {registry.library_name: wheel.version, **dependencies, "probe": str(PROBE_VERSION)}
        found.append(Inferred(registry.library_name, versions, infer_library(registry, wheel, dependencies, service)))
    return found


def infer_library(
    registry: LibraryRegistryBase, wheel: Wheel, dependencies: Mapping[str, str], service: RegistryService
) -> list[FunctionEntry]:
    """Return the entries of a library from the wheel that it comes in; `dependencies` has versions by name."""
    entries = []
    for signature in wheel.signatures(registry):
        entry = FunctionEntry(
            id=signature.id,
            library=registry.library_name,
            version=wheel.version,
            memory_type=registry.MEMORY_TYPE,
            target=signature.target,
            parameters=signature.parameters,
            doc=signature.doc,
            tags=tags_of(signature.id, registry.library_name),
            origin="inferred",
            device=registry.DEVICE,
            dependencies=dict(dependencies),
        )
        name = twin_name(signature.id)
        twin = service.catalogue(name.library).entries.get(name.id) if name else None
        reason = _not_inferred(registry, signature, name.id if name else "twin", twin)
        entries.append(replace(entry, excluded=reason) if reason or twin is None else _like(entry, twin))
    return entries


def _not_inferred(
    registry: LibraryRegistryBase, signature: Signature, twin_id: str, twin: FunctionEntry | None
) -> str | None:
    """Return why nothing can be said of a function without calling it; None where its twin tells."""
    refusal = registry.refusal(signature.target.partition(":")[2])
    if refusal is not None:
        return refusal
    if signature.image not in registry.IMAGE_PARAMETERS:
        return f"its first argument is no image ({signature.image or 'it takes none'})"
    if twin is None:
        return f"not probed yet on a GPU, and it has no twin on the CPU ({twin_id})"
    if twin.excluded is not None:
        return f"not probed yet on a GPU, and its twin on the CPU cannot be used ({twin.excluded})"
    differing = differences(signature.parameters, twin.parameters)
    if differing:
        names = ", ".join(difference.name for difference in differing)
        return f"not probed yet on a GPU, and its parameters are not those of {twin_id} ({names})"
    return None


def _like(entry: FunctionEntry, twin: FunctionEntry) -> FunctionEntry:
    behaviour: dict[str, Any] = {name: getattr(twin, name) for name in BEHAVIOUR}
    annotations = {parameter.name: parameter.annotation for parameter in twin.parameters}
    return replace(
        entry,
        **behaviour,
        parameters=tuple(_annotated(parameter, annotations[parameter.name]) for parameter in entry.parameters),
        tags=tuple(sorted({*entry.tags, *({"nondeterministic"} & {*twin.tags})})),
    )


def _annotated(parameter: Parameter, annotation: str) -> Parameter:
    return parameter if parameter.annotation else replace(parameter, annotation=annotation)
