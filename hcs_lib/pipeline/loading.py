"""Loading a pipeline: the file as a model, with the line of everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from hcs_lib.core.addresses import parse_area
from hcs_lib.core.errors import Problem, UserError, nearest
from hcs_lib.core.expressions import column_names
from hcs_lib.pipeline.files import file_of, named_files, wrong_with_file
from hcs_lib.pipeline.located import Document, parse_yaml, read_yaml
from hcs_lib.pipeline.models import FunctionCall, Override, Pipeline, Step
from hcs_lib.pipeline.validation import validate

_PARTS: dict[str, type[BaseModel]] = {"steps": Step, "overrides": Override, "<call>": FunctionCall}


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline, where its parts stand, and the folder that its files are named from."""

    model: Pipeline
    document: Document
    folder: Path = Path()

    def where(self, *location: str | int) -> str:
        """Return `pipeline.yaml:LINE` of a part, given by its location in the model."""
        return self.document.where(*location)


def load_pipeline(path: Path) -> LoadedPipeline:
    """Read and check a pipeline, as far as that can be done without a plate.

    Raises
    ------
    UserError
        With everything that is wrong, each with its line.
    """
    return _load(read_yaml(path), path.absolute().parent)


def parse_pipeline(text: str, source: str, folder: Path = Path()) -> LoadedPipeline:
    """Read and check a pipeline from a text; `source` names it in errors, files are named from `folder`.

    Errors as in `load_pipeline`.
    """
    return _load(parse_yaml(text, source), folder)


def pipeline_from_model(model: Pipeline) -> LoadedPipeline:
    """Check a pipeline that was built in Python. Errors as in `load_pipeline`, without lines."""
    return _checked(LoadedPipeline(model, Document(f"pipeline {model.name}", None, {})))


def _load(document: Document, folder: Path) -> LoadedPipeline:
    return _checked(LoadedPipeline(validate(Pipeline, document, _PARTS), document, folder))


def _checked(pipeline: LoadedPipeline) -> LoadedPipeline:
    problems = [
        *_step_problems(pipeline),
        *_override_problems(pipeline),
        *_derived_problems(pipeline),
        *_file_problems(pipeline),
    ]
    if problems:
        raise UserError(problems)
    return pipeline


def _step_problems(pipeline: LoadedPipeline) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, step in enumerate(pipeline.model.steps):
        here = ("steps", index)
        if step.name in seen or step.name == "raw":
            what = "is the name of the raw planes" if step.name == "raw" else "is the name of an earlier step"
            yield Problem(pipeline.where(*here, "name"), f"Step '{step.name}': {what}.", "Choose another.")
        seen.add(step.name)
        yield from _area_problems(pipeline, here, step.wells)
        yield from _scope_problems(pipeline, here, step)
        table = isinstance(step.func, dict)
        if table and step.group_by is None:
            yield Problem(
                pipeline.where(*here, "func"),
                f"Step '{step.name}': a routing table needs the key `group_by`.",
                "For a function with arguments, name the function with the key `call`.",
            )
        if step.group_by is not None and not table:
            yield Problem(
                pipeline.where(*here, "group_by"),
                f"Step '{step.name}': group_by needs a routing table under `func`, one chain for each {step.group_by}.",
            )
        if step.group_by is not None and step.group_by == step.stack:
            yield Problem(
                pipeline.where(*here, "group_by"), f"Step '{step.name}': {step.stack} is stacked, and cannot route too."
            )


def _area_problems(pipeline: LoadedPipeline, here: tuple[str | int, ...], wells: list[str] | None) -> Iterator[Problem]:
    for item, text in enumerate(wells or ()):
        try:
            parse_area(text)
        except ValueError as error:
            yield Problem(pipeline.where(*here, "wells", item), f"{error}.")


def _scope_problems(pipeline: LoadedPipeline, here: tuple[str | int, ...], step: Step) -> Iterator[Problem]:
    if step.scope == "well":
        if step.sample is not None:
            yield Problem(
                pipeline.where(*here, "sample"),
                f"Step '{step.name}': sites are sampled in the plate's scope only.",
                "Say `scope: plate`, or leave it out.",
            )
        return
    for slot in ("labels", "table"):
        if slot in step.outputs:
            yield Problem(
                pipeline.where(*here, "outputs", slot),
                f"Step '{step.name}': {slot} belong to wells, and the step to the plate.",
                "Name its `image`, or a special output of its function.",
            )
    if step.keep:
        yield Problem(
            pipeline.where(*here, "keep"),
            f"Step '{step.name}': what is kept belongs to wells, and the step to the plate.",
            "Name its `image` under `outputs`: it stays in the results, below work.",
        )


def _override_problems(pipeline: LoadedPipeline) -> Iterator[Problem]:
    steps = {step.name: step for step in pipeline.model.steps}
    for index, override in enumerate(pipeline.model.overrides):
        here = ("overrides", index)
        if override.plates is None and override.wells is None:
            yield Problem(pipeline.where(*here), "An override needs `plates`, `wells` or both.")
        yield from _area_problems(pipeline, here, override.wells)
        if not override.args and override.enabled is None:
            yield Problem(pipeline.where(*here), "An override needs `args` or `enabled`.")
        step = steps.get(override.step)
        if step is None:
            hint = nearest(override.step, steps) or f"Steps are {', '.join(steps)}."
            yield Problem(pipeline.where(*here, "step"), f"There is no step '{override.step}'.", hint)
            continue
        if step.scope == "plate" and override.wells is not None:
            yield Problem(
                pipeline.where(*here, "wells"), f"Step '{step.name}' is run once for the plate, not for wells.",
                "Leave `wells` out, or name wells in the step.",
            )  # fmt: skip
        functions = {call.call for chain in step.routes().values() for call in chain}
        for function in override.args:
            if function not in functions:
                hint = nearest(function, functions) or f"It calls {', '.join(sorted(functions))}."
                yield Problem(
                    pipeline.where(*here, "args", function), f"Step '{step.name}' does not call '{function}'.", hint
                )


def _file_problems(pipeline: LoadedPipeline) -> Iterator[Problem]:
    for location, value in named_files(pipeline.model):
        try:
            wrong = wrong_with_file(file_of(value) or "", pipeline.folder)
        except ValueError as error:
            wrong = str(error)
        if wrong:
            yield Problem(pipeline.where(*location), f"'{location[-1]}': {wrong}.")


def _derived_problems(pipeline: LoadedPipeline) -> Iterator[Problem]:
    for name, expression in pipeline.model.derived.items():
        try:
            column_names(expression)
        except ValueError as error:
            message = f"Derived feature '{name}': {error}"
            yield Problem(pipeline.where("derived", name), message if message.endswith((".", "?")) else f"{message}.")
