"""What a well leaves: staged in its work folder, digested, and swapped into place when all of it is there."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.plans import Passed, StepPlan, ZarrStore
from hcs_lib.contexts.receipts import Output, Receipt
from hcs_lib.core.canonical import digest_tree
from hcs_lib.core.domains import Coordinates, Site
from hcs_lib.core.errors import DataError, MachineError
from hcs_lib.execution.passing import passed_on
from hcs_lib.storage.colours import display_colours
from hcs_lib.storage.images import Pyramid, add_labels, label_names, write_image, write_labels
from hcs_lib.storage.metadata import version_of
from hcs_lib.storage.spec import ArraySpec
from hcs_lib.storage.work import value_path, work_path, write_store, write_value

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MERGED = "all"
"""Key of the group of a store where sites are merged."""


class Staging:
    """Outputs of one well in the making, below its work folder under the paths they will have."""

    def __init__(self, context: FrozenContext, folder: Path) -> None:
        self._context = context
        self._new = folder / "new"
        self._old = folder / "old"
        self._made: dict[str, tuple[str, str]] = {}

    def write_site(self, store: ZarrStore, site: Site | None, image: Pyramid) -> None:
        """Write the image or label image of one site (None: of all sites merged), as planned in its store."""
        field = MERGED if site is None else str(site)
        path = f"{store.path}/{store.groups[field]}"
        translation = self._translation(site, store.array)
        if store.label is None:
            context = self._context
            write_image(
                self._new / path,
                image,
                name=f"{context.plate} {context.axis_id} {field}",
                translation_um=translation,
                colours=self._colours(store.array.channels),
            )
            self._made[path] = ("image", "image")
        else:
            write_labels(self._new / path, store.label, image, translation_um=translation)
            self._made[f"{path}/labels/{store.label}"] = ("labels", store.label)

    def write_table(self, plan: StepPlan, rows: Iterable[tuple[Coordinates, dict[str, Any]]]) -> None:
        """Write the table of a step: what its calls gave, one after another, with where each row comes from."""
        from hcs_lib.storage.tables import write_table

        assert plan.table is not None
        write_table(self._new / plan.table.path, _concatenate(self._context, plan, list(rows)))
        self._made[plan.table.path] = ("table", plan.table.name)

    def pass_on(self, passed: Passed, number: int, value: Any) -> None:
        """Stage a value that later stages take, by its number in the domain of such values."""
        from hcs_lib.arrays.convert import all_to

        store = self._new / work_path(passed.stage, passed.axis_id)
        write_value(store / value_path(passed.step_name, passed.name, number), all_to(value, "numpy"))

    def finish_work(self, left_out: Mapping[Site, str]) -> None:
        """Complete the store of what later stages take: say which sites are left out."""
        path = work_path(self._context.stage, self._context.axis_id)
        write_store(self._new / path, left_out)
        self._made[path] = ("work", self._context.stage)

    def drop_site(self, site: Site) -> None:
        """Remove what was staged for a site that is left out after all."""
        for group in groups_of_site(self._context, site):
            shutil.rmtree(self._new / group, ignore_errors=True)
            self._made = {
                path: made for path, made in self._made.items() if path != group and not path.startswith(f"{group}/")
            }
        for passed, number, at in passed_on(self._context):
            if at.site == site:
                store = self._new / work_path(passed.stage, passed.axis_id)
                shutil.rmtree(store / value_path(passed.step_name, passed.name, number), ignore_errors=True)

    def describe(self) -> tuple[Output, ...]:
        """Digest everything that was staged."""
        described = []
        for path, (kind, name) in sorted(self._made.items()):
            found = digest_tree(self._new / path, "labels" if kind == "image" else "")
            described.append(Output.model_validate({"path": path, "kind": kind, "name": name, **found._asdict()}))
        return tuple(described)

    def swap(self, results: Path) -> None:
        """Put what was staged in place of what was there. The receipt must be gone by now.

        Label images that another stage put into the group of an image stay there.

        Raises
        ------
        MachineError
            Where the image that labels lie on is not there any more.
        """
        # The parts of a site's group move with it.
        tops = [path for path in self._made if not any(path.startswith(f"{other}/") for other in self._made)]
        others = self._labels_of_other_stages(results)
        for number, path in enumerate(tops):
            target, old = results / path, self._old / str(number)
            kind, name = self._made[path]
            if kind == "labels" and version_of(target.parents[1]) is None:
                raise MachineError(
                    f"{target.parents[1]}: the image that labels {name} lie on is not there. `hcs clean` the stage "
                    "that writes it, and run again."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                self._old.mkdir(exist_ok=True)
                target.rename(old)
            (self._new / path).replace(target)
            if kind == "labels":
                add_labels(target.parents[1], [name])
            elif kind == "image":
                _keep_labels(
                    old, target, [Path(label).name for label in others if Path(label).parents[1] == Path(path)]
                )

    def _labels_of_other_stages(self, results: Path) -> list[str]:
        """Return the paths of label images that receipts of other stages of the well name."""
        receipts = [
            Receipt.load(path)
            for path in sorted((results / "receipts").glob(f"*/{self._context.axis_id}.json"))
            if path.parent.name != self._context.stage
        ]
        return [output.path for receipt in receipts if receipt for output in receipt.outputs if output.kind == "labels"]

    def _colours(self, channels: Sequence[str]) -> list[str]:
        """Return in which colour viewers show each channel: of one that was made of others, nothing is known."""
        said = self._context.metadata
        facts = dict(zip(said.channel_names, zip(said.colours, said.wavelengths_nm, strict=True), strict=True))
        known = [facts.get(name, (None, None)) for name in channels]
        return display_colours(channels, [colour for colour, _ in known], [wavelength for _, wavelength in known])

    def _translation(self, site: Site | None, spec: ArraySpec) -> tuple[float, float] | None:
        """Return where the first pixel's centre lies, from the stage position, which is the centre of a plane.

        A mosaic of sites begins with the first of its tiles; another image of merged sites lies nowhere.
        """
        planes = self._context.plane_shape
        if site is None and spec.shape[-2:] == planes:
            return None
        rows, columns = ((size - 1) / 2 * scale for size, scale in zip(planes, spec.scale[-2:], strict=True))
        positions = [(y, x) for at, x, y in self._context.metadata.positions_um if site in (at, None)]
        return (min(y for y, _ in positions) - rows, min(x for _, x in positions) - columns) if positions else None


def planned(context: FrozenContext, left_out: Collection[Site] = ()) -> set[str]:
    """Return the path of every output that a finished well has, relative to the plate's results."""
    absent = {str(site) for site in left_out}
    images = {
        f"{store.path}/{group}" + (f"/labels/{store.label}" if store.label else "")
        for store in stores(context)
        for field, group in store.groups.items()
        if field not in absent
    }
    work = {work_path(context.stage, context.axis_id)} if context.passes else set()
    return images | work | {plan.table.path for plan in context.step_plans.values() if plan.table}


def _keep_labels(old: Path, new: Path, names: Iterable[str]) -> None:
    kept = [name for name in names if (old / "labels" / name).is_dir() and name not in label_names(new)]
    for name in kept:
        (new / "labels").mkdir(exist_ok=True)
        (old / "labels" / name).rename(new / "labels" / name)
    if kept:
        add_labels(new, kept)


def stores(context: FrozenContext) -> list[ZarrStore]:
    """Return the stores that the context writes to: of raw planes, images and label images."""
    own = [plan.zarr_store for plan in context.step_plans.values() if plan.zarr_store]
    return [context.raw_store, *own] if context.raw_store else own


def groups_of_site(context: FrozenContext, site: Site) -> set[str]:
    """Return the groups of one site, relative to the plate's results."""
    return {f"{store.path}/{store.groups[str(site)]}" for store in stores(context) if str(site) in store.groups}


def remove(results: Path, paths: Iterable[str]) -> None:
    """Remove outputs that no receipt stands for any more."""
    for path in paths:
        target = results / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


def _concatenate(
    context: FrozenContext, plan: StepPlan, rows: list[tuple[Coordinates, dict[str, Any]]]
) -> dict[str, Any]:
    """Join the tables of calls; say first where each row comes from."""
    import numpy as np

    names = list(rows[0][1])
    for at, table in rows:
        if list(table) != names:
            raise DataError(
                f"the tables of step {plan.step_name} have other columns at {at} than before.",
                kind="output",
                step=plan.step_name,
            )
    lengths = [len(table[names[0]]) for _, table in rows]
    calls = plan.domain.without(plan.stack)
    columns: dict[str, Any] = {
        "Metadata_Plate": np.full(sum(lengths), context.plate),
        "Metadata_Well": np.full(sum(lengths), context.axis_id),
    }
    for axis, title in (("site", "Site"), ("channel", "Channel"), ("z", "Z"), ("t", "T")):
        values = [getattr(at, axis) for at, _ in rows]
        if None not in values and (axis == "site" or len(calls.values(axis)) > 1):
            columns[f"Metadata_{title}"] = np.repeat(
                np.asarray(values, None if axis == "channel" else np.int64), lengths
            )
    own = {name: _join([np.asarray(table[name]) for _, table in rows]) for name in names}
    taken = sorted(set(own) & set(columns))
    if taken:
        raise DataError(
            f"the table has columns of its own named {', '.join(taken)}.", kind="output", step=plan.step_name
        )
    return columns | own


def _join(parts: list[Array]) -> Array:
    """Concatenate; a call without objects says nothing about the dtype."""
    import numpy as np

    return np.concatenate([part for part in parts if part.size] or parts[:1])
