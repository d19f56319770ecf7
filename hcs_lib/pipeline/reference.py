"""The reference of the language and its JSON schemas, generated from the models.

`python -m hcs_lib.pipeline.reference` rewrites `workflow/schemas/*.json` and the generated parts of
`config/README.md` in a source tree; a test fails where they differ from the models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hcs_lib.core.files import update_atomic
from hcs_lib.pipeline.models import FunctionCall, Override, Pipeline, Step
from hcs_lib.pipeline.screen import Hits, Normalise, Screen
from hcs_lib.pipeline.settings import Config, PlateRow, QcFlags, QcGate, RegistrySettings

SCHEMAS: Mapping[str, type[BaseModel]] = {"config": Config, "pipeline": Pipeline, "plates": PlateRow}
"""File of each schema and its model; that of the table of plates is for one row."""

MODELS: Mapping[str, type[BaseModel]] = {
    "config": Config,
    "plates": PlateRow,
    "pipeline": Pipeline,
    "step": Step,
    "call": FunctionCall,
    "override": Override,
    "qc_flags": QcFlags,
    "qc_gate": QcGate,
    "registry": RegistrySettings,
    "screen": Screen,
    "normalise": Normalise,
    "hits": Hits,
}
"""Part of the reference → the model whose keys it lists."""

_BEGIN, _END = "<!-- generated: {} -->", "<!-- end of generated -->"


def schema_text(model: type[BaseModel]) -> str:
    """Return the JSON schema of a model, as a file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def table_of(model: type[BaseModel]) -> str:
    """Return a Markdown table of the keys of a model."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        default = "required" if name in required else _default(model, name)
        description = " ".join(field.get("description", "").split()).replace("|", r"\|")
        rows.append(f"| `{name}` | {_type(field)} | {default} | {description} |")
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """Return a Markdown text with its generated parts made anew."""
    for name, model in MODELS.items():
        begin = _BEGIN.format(name)
        if text.count(begin) != 1:
            raise ValueError(f"the reference should have {begin} once, it has it {text.count(begin)} times")
        before, _, rest = text.partition(f"{begin}\n")
        _, _, after = rest.partition(_END)
        text = f"{before}{begin}\n{table_of(model)}\n{_END}{after}"
    return text


def generated_files(root: Path) -> dict[Path, str]:
    """Return every generated file of a source tree, as it should be."""
    files = {
        root / "workflow" / "schemas" / f"{name}.schema.json": schema_text(model) for name, model in SCHEMAS.items()
    }
    readme = root / "config" / "README.md"
    return files | {readme: with_tables(readme.read_text(encoding="utf-8"))}


def _default(model: type[BaseModel], name: str) -> str:
    value = model.model_fields[name].get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ({}, [], ()):
        return ""
    return f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def _type(field: Mapping[str, Any]) -> str:
    """Say what a value may be."""
    match field:
        case {"$ref": reference}:
            return _TITLES.get(reference.rpartition("/")[2], "any")
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"oneOf": _}:
            return "one of [four forms](#steps)"
        case {"anyOf": options}:
            return " or ".join(dict.fromkeys(said for option in options if (said := _type(option))))
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "patternProperties": values}:
            return f"name → {' or '.join(_type(value) for value in values.values())}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"name → {_type(values)}"
        case {"type": "null"}:
            return ""
        case {"type": "string"}:
            return "name" if "pattern" in field else "text"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": str(simple)}:
            return simple
    return "any"


_TITLES = {
    "Step": "[step](#steps)",
    "FunctionCall": "[call](#functions-with-arguments)",
    "Override": "[override](#overrides)",
    "QcFlags": "[keys](#flags-and-the-gate)",
    "QcGate": "[keys](#flags-and-the-gate)",
    "RegistrySettings": "[keys](#functions-of-your-own)",
    "Screen": "[keys](#what-is-computed-from-wells)",
    "Normalise": "[keys](#normalised-features)",
    "Hits": "[keys](#hits)",
}


def main() -> None:
    """Rewrite the generated files of the source tree that this module lies in."""
    for path, text in generated_files(Path(__file__).parents[2]).items():
        print(f"{'written' if update_atomic(path, text.encode()) else 'unchanged'}  {path}")


if __name__ == "__main__":
    main()
