"""The tables of objects and sites: which columns they will have, and whether derived features use only those."""

from __future__ import annotations

from collections.abc import Iterable

from hcs_lib.compiler.draft import DraftContext
from hcs_lib.compiler.draft_step import DraftCall, DraftStep
from hcs_lib.compiler.functions import import_hook
from hcs_lib.contexts.columns import COUNT, METADATA, SITES, WELL_COLUMNS, check_features, is_feature, is_reserved
from hcs_lib.contexts.manifests import ObjectTable, SiteTable
from hcs_lib.core.errors import Problem, nearest
from hcs_lib.core.expressions import column_names
from hcs_lib.pipeline.loading import LoadedPipeline


def object_table(context: DraftContext) -> ObjectTable | None:
    """Return the table of objects of a draft without problems; None where no step yields one, or it is refused.

    `columns` is empty where the function that makes the table does not tell.
    """
    for plan in context.step_plans.values():
        if plan.output == "table" and not plan.measures_sites:
            try:
                return _table(plan)
            except ValueError as error:
                context.problem(plan.source, ("func",), f"{error}.")
    return None


def site_table(context: DraftContext) -> SiteTable | None:
    """Return the table of sites of a draft without problems; None where no step yields one."""
    for plan in context.step_plans.values():
        if plan.measures_sites:
            columns = dict.fromkeys(
                column for chain in plan.pattern.values() for column in _columns(plan, chain[-1], ())
            )
            return SiteTable(name=plan.source.model.outputs["table"], columns=tuple(columns))
    return None


def _table(plan: DraftStep) -> ObjectTable:
    objects: dict[str, None] = {}
    columns: dict[str, None] = {}
    for chain in plan.pattern.values():
        last = chain[-1]
        labels = last.special_inputs.get("labels", ())
        mine = (labels,) if isinstance(labels, str) else labels
        objects |= dict.fromkeys(mine)
        columns |= dict.fromkeys(_columns(plan, last, mine))
    name = plan.source.model.outputs["table"]
    return ObjectTable(name=name, primary=next(iter(objects), name), objects=tuple(objects), columns=tuple(columns))


def _columns(plan: DraftStep, call: DraftCall, objects: tuple[str, ...]) -> Iterable[str]:
    assert call.entry is not None
    if call.entry.columns is None:
        return ()
    options = {name: value for name, value in call.args.items() if name not in call.entry.special_inputs}
    names = call.args.get("channel_names", [name for name in plan.domain.channel if name is not None])
    return tuple(import_hook(call.entry, call.entry.columns)(list(objects), list(names), **options))


def check_derived(pipeline: LoadedPipeline, tables: Iterable[ObjectTable | None]) -> list[Problem]:
    """Check the columns that derived features use against those that the object table will have."""
    found = [table for table in tables if table is not None]
    columns = {column for table in found for column in table.columns}
    problems = []
    for name, expression in pipeline.model.derived.items():
        where = pipeline.where("derived", name)
        if not found:
            problems.append(
                Problem(where, f"Derived feature '{name}': no step yields a table.", "Measure objects first.")
            )
            continue
        if name in columns:
            problems.append(Problem(where, f"Derived feature '{name}' is a column of the table already."))
        if is_reserved(name):
            problems.append(
                Problem(where, f"Derived feature '{name}' has the name of a column that the tables have anyhow.",
                        f"Take one that does not begin with {METADATA}, {COUNT} or {SITES} and is none of "
                        f"{', '.join(WELL_COLUMNS)}.")
            )  # fmt: skip
        silent = next((table.name for table in found if not table.columns), None)
        if silent is not None:
            problems.append(
                Problem(where, f"Derived feature '{name}': the columns of table '{silent}' are not known before it is "
                        "made.", "Measure with a function that declares its columns, such as hcs.measure_objects.")
            )  # fmt: skip
            continue
        problems += [
            Problem(
                where,
                f"Derived feature '{name}': the table has no column '{column}'.",
                nearest(column, columns) or f"It has {', '.join(sorted(columns)[:5])}, …: {len(columns)} in all.",
            )
            for column in column_names(expression)
            if column not in columns
        ]
    return problems


def check_screen(
    wanted: Iterable[tuple[str, str]],
    plate: str,
    drafts: Iterable[DraftContext],
    tables: Iterable[ObjectTable | None],
    derived: Iterable[str],
) -> list[Problem]:
    """Check the features that the key `screen` names against those that the wells of a plate will have.

    Nothing can be said where a table does not tell its columns before it is made.
    """
    found = [table for table in tables if table is not None]
    if not all(table.columns for table in found):
        return []
    plans = [plan for draft in drafts for plan in draft.step_plans.values() if plan.output == "labels"]
    features = [
        *(f"{COUNT}{plan.source.model.outputs['labels']}" for plan in plans),
        *(column for table in found for column in table.columns if is_feature(column)),
        *(derived if found else ()),
    ]
    return check_features(wanted, tuple(dict.fromkeys(features)), f"the wells of plate {plate}")
