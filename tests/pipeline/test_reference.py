import json
from pathlib import Path

import pytest

from hcs_lib.pipeline.models import Pipeline
from hcs_lib.pipeline.reference import generated_files, with_tables


def test_generated_files_are_up_to_date(repository: Path) -> None:
    for path, text in generated_files(repository).items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python -m hcs_lib.pipeline.reference"


def test_every_key_is_documented(repository: Path) -> None:
    schema = json.loads((repository / "workflow" / "schemas" / "pipeline.schema.json").read_text(encoding="utf-8"))
    for model in (schema, *schema["$defs"].values()):
        for name, field in model.get("properties", {}).items():
            assert field.get("description"), name
    assert schema["required"] == ["name", "steps"]
    assert list(schema["properties"]) == list(Pipeline.model_fields)


def test_a_part_that_was_lost_is_noticed() -> None:
    with pytest.raises(ValueError, match="should have <!-- generated: config --> once, it has it 0 times"):
        with_tables("# Configuration")
