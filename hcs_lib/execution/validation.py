"""A context may come from anybody: what it says is checked before anything is done."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hcs_lib.contexts.context import PLATE, FrozenContext
from hcs_lib.contexts.lazy import LazyFile
from hcs_lib.contexts.plans import Chain, RawStore, StepPlan, ZarrStore
from hcs_lib.contexts.values import named_domain
from hcs_lib.core.addresses import canonical_well
from hcs_lib.core.domains import AXES, Coordinates, Domain
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.execution.folders import WellFolders
from hcs_lib.execution.outputs import MERGED, stores
from hcs_lib.storage.colours import is_colour
from hcs_lib.storage.metadata import well_path
from hcs_lib.storage.planning import is_planned

_STAGE = re.compile(r"s\d{2}-(cpu|gpu)")
_PLANES = 10**7
"""More than the sites of any plate have."""

_THREADS = 1024
"""More than the cores of any machine that a job runs on."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def check_context(context: FrozenContext, path: Path, folders: WellFolders) -> None:
    """Refuse a context that contradicts itself, or reads or writes where it has no business.

    Parameters
    ----------
    context, path
        The context, and its file, for messages.
    folders
        Where it is going to be executed.

    Raises
    ------
    UserError
        With all problems.
    """
    found = [*_identity(context, folders), *_sizes(context)]
    found = found or [*_paths(context), *_plans(context)]
    if found:
        raise UserError([Problem(str(path), message, "Run `hcs compile` again.") for message in found])


def _identity(context: FrozenContext, folders: WellFolders) -> Iterator[str]:
    expected = (folders.results.name, folders.stage, folders.well)
    if (context.plate, context.stage, context.axis_id) != expected:
        yield (
            f"the context is of plate {context.plate}, stage {context.stage}, well {context.axis_id}, "
            f"but stands where that of plate {expected[0]}, stage {expected[1]}, well {expected[2]} belongs."
        )
    if (
        not _is_axis(context.scope, context.axis_id)
        or not _STAGE.fullmatch(context.stage)
        or not _NAME.fullmatch(context.plate)
    ):
        yield "plate, stage or well is no proper name."


def _sizes(context: FrozenContext) -> Iterator[str]:
    """Refuse what could not even be looked at."""
    plans = context.step_plans.values()
    domains = [domain for plan in plans for domain in (plan.domain, plan.output_domain)]
    domains += [passed.domain for passed in (*context.takes, *context.passes)]
    if any(domain.size > _PLANES for domain in domains):
        yield f"a step has more than {_PLANES} planes."
    said = context.metadata
    if not len(said.channel_names) == len(said.wavelengths_nm) == len(said.colours):
        yield "its channels have not one wavelength and colour each."
    if not all(is_colour(colour) for colour in said.colours if colour is not None):
        yield "a channel's colour is none."
    if not 1 <= context.threads <= _THREADS:
        yield f"it asks for {context.threads} threads, expected 1 to {_THREADS}."
    if min(context.plane_shape) < 1:
        yield f"planes of {context.plane_shape} have no pixels."


def _paths(context: FrozenContext) -> Iterator[str]:
    for file in sorted({plane.file for plane in context.planes}):
        if not _is_inside(file):
            yield f"the plane {file!r} does not lie within the raw plate."
    for store in stores(context):
        yield from _store(context, store)
    if context.raw_store is not None:
        yield from _raw_planes(context, context.raw_store)
    for passed in (*context.takes, *context.passes):
        scope = "plate" if passed.axis_id == PLATE else "well"
        names = (passed.step_name, passed.name or "images")
        proper = _STAGE.fullmatch(passed.stage) and _is_axis(scope, passed.axis_id) and all(map(_NAME.fullmatch, names))
        if not proper or passed.axis_id not in (context.axis_id, PLATE):
            yield f"what step {passed.step_name!r} of stage {passed.stage!r} passes on has no proper name."
        elif passed.store is not None:
            yield from _store(context, passed.store)
    if {passed.stage for passed in context.takes} != set(context.before):
        yield "the stages before are not those that it takes anything from."
    if context.scope == "plate" and (stores(context) or any(plan.table for plan in context.step_plans.values())):
        yield "it writes images, labels or tables, which belong to wells."
    for plan in context.step_plans.values():
        table = plan.table
        if table is not None and table.path != f"tables/wells/{context.axis_id}/{table.name}.parquet":
            yield f"the table {table.path!r} of step {plan.step_name} is not where tables of this well belong."
        if table is not None and not _NAME.fullmatch(table.name):
            yield f"{table.name!r} is no name of a table."


def _is_axis(scope: str, axis_id: str) -> bool:
    if scope == "plate":
        return axis_id == PLATE
    try:
        return canonical_well(axis_id) == axis_id
    except ValueError:
        return False


def _store(context: FrozenContext, store: ZarrStore) -> Iterator[str]:
    if not (_NAME.fullmatch(store.path) and store.path.endswith(".zarr")):
        yield f"the store {store.path!r} is not one in the plate's results."
    if not is_planned(store.array):
        yield f"the array of {store.path!r} is none that images are written as."
    if store.label is not None and not _NAME.fullmatch(store.label):
        yield f"{store.label!r} is no name of a label image."
    for field, group in store.groups.items():
        try:
            inside = PurePosixPath(group).parent.as_posix() == well_path(context.axis_id)
        except ValueError:
            return  # The well's name is a problem of its own.
        if not inside or not _NAME.fullmatch(PurePosixPath(group).name):
            yield f"the group {group!r} of site {field} is not one of this well."


def _raw_planes(context: FrozenContext, store: RawStore) -> Iterator[str]:
    """The raw image of a site is made of planes of it that are named; other steps may read more."""
    domain, spec = store.domain, store.array
    sizes = [len(domain.values(axis)) for axis in ("channel", "z", "t")]
    if domain.channel != spec.channels or math.prod(sizes) != math.prod(spec.shape[:-2]):
        yield "the raw planes that are written are not those of the image that is planned."
        return
    named = {Coordinates(plane.site, plane.channel, plane.z, plane.t) for plane in context.planes}
    # A site with a problem fails or is left out as a whole.
    problems = {problem.site for problem in context.problems}
    for site in {plane.site for plane in context.planes}:
        if str(site) not in store.groups:
            yield f"there is no group for the raw planes of site {site}."
        elif not {site, None} & problems and not all(at in named for at in domain.replace(site=(site,))):
            yield f"the raw planes of site {site} are not those of the image that is written."


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path


def _plans(context: FrozenContext) -> Iterator[str]:
    functions = {function.id for function in context.functions}
    for index, plan in sorted(context.step_plans.items()):
        where = f"step {plan.step_name}"
        if plan.step_index != index or plan.axis_id != context.axis_id:
            yield f"{where} stands under the wrong index or is of another well."
        if plan.output_domain not in (plan.domain, plan.domain.without(plan.stack)):
            yield f"{where} gives planes that are not made of those that it takes."
        chains = [plan.func.chain] if plan.func.group_by is None else list(plan.func.routes.values())
        for chain in chains:
            yield from (f"{where}: {message}" for message in _chain(plan, chain, functions))
        if plan.group_by != plan.func.group_by or (plan.group_by and plan.group_by == plan.stack):
            yield f"{where} routes by {plan.func.group_by} and stacks {plan.stack}; its plan says {plan.group_by}."
        elif plan.group_by and {str(value) for value in plan.domain.values(plan.group_by)} - set(plan.func.routes):
            yield f"{where} has no function for some {plan.group_by}."
        yield from (f"{where}: {message}" for message in _input(context, plan))
        yield from (f"{where}: {message}" for message in _links(context, plan))
        yield from (f"{where}: {message}" for message in _outputs(plan))


def _chain(plan: StepPlan, chain: Chain, functions: set[str]) -> Iterator[str]:
    if not chain:
        yield "there is no function."
    for call in chain:
        if call.call not in functions:
            yield f"the function {call.call!r} is not among the functions of the context."
        for value in call.args.values():
            try:
                LazyFile.of(value)
            except ValueError as error:
                yield f"{error}."
        for parameter, names in call.special_inputs.items():
            linked = {link.key for link in plan.special_inputs.get(parameter, ())}
            if not ({names} if isinstance(names, str) else set(names)) <= linked:
                yield f"the input {parameter} of {call.call} is linked to nothing."


def _input(context: FrozenContext, plan: StepPlan) -> Iterator[str]:
    if plan.input is None:
        there = {Coordinates(plane.site, plane.channel, plane.z, plane.t) for plane in context.planes}
        # A site with a problem fails or is left out as a whole before any of its planes is asked for.
        problems = {problem.site for problem in context.problems}
        missing = [at for at in plan.domain if at not in there and not {at.site, None} & problems]
        if missing:
            yield f"it reads {len(missing)} planes that the context does not name, the first at {missing[0]}."
        return
    taken = _taken(context, plan.input, None)
    producer = context.step_plans.get(plan.input)
    if taken is not None:
        if not set(plan.domain) <= set(taken):
            yield f"it reads planes which step {plan.input} of an earlier stage does not give."
    elif producer is None or plan.input >= plan.step_index:
        yield f"its input is step {plan.input}, which is not before it."
    elif producer.returns not in ("image", "labels", "mask"):
        yield f"its input is step {producer.step_name}, which gives no image."
    elif not set(plan.domain) <= set(producer.output_domain):
        yield f"it reads planes which step {producer.step_name} does not give."


def _links(context: FrozenContext, plan: StepPlan) -> Iterator[str]:
    for parameter, links in plan.special_inputs.items():
        for link in links:
            domain = _taken(context, link.producer, link.name)
            producer = context.step_plans.get(link.producer)
            if domain is None:
                if producer is None or link.producer >= plan.step_index:
                    yield f"its input {parameter} comes from step {link.producer}, which is not before it."
                    continue
                if link.name not in producer.special_outputs.values():
                    yield f"its input {parameter} is {link.name!r}, which step {producer.step_name} does not give."
                    continue
                domain = named_domain(producer, link.name)
            for axis in AXES:
                values = domain.values(axis)
                here = {link.value} if link.axis == axis else set(plan.domain.values(axis))
                if len(values) > 1 and not here <= set(values):
                    yield f"its input {link.name!r} is not there for every {axis} that it needs."


def _taken(context: FrozenContext, step: int, name: str | None) -> Domain | None:
    """Return where the values stand that the context takes from a step of an earlier stage; None: it takes none."""
    found = (passed.domain for passed in context.takes if (passed.step_index, passed.name) == (step, name))
    return next(found, None)


def _outputs(plan: StepPlan) -> Iterator[str]:
    names = set(plan.special_outputs.values())
    declared = {
        name
        for chain in (plan.func.chain, *plan.func.routes.values())
        for call in chain
        for name in call.special_outputs
    }
    for slot, name in plan.special_outputs.items():
        if slot not in declared and slot != ("image" if plan.returns == "mask" else plan.returns):
            yield f"nothing gives its output {name!r} ({slot})."
    store = plan.zarr_store
    if store is not None:
        fields = {MERGED if site is None else str(site) for site in plan.output_domain.site}
        if not fields <= set(store.groups):
            yield f"there is no group for its sites {', '.join(sorted(fields - set(store.groups)))}."
        if store.label is not None and store.label not in names:
            yield f"nothing gives the label image {store.label!r}."
        if store.label is None and plan.returns not in ("image", "mask"):
            yield "it keeps an image and gives none."
    if plan.table is not None and plan.table.name not in names:
        yield f"nothing gives the table {plan.table.name!r}."
