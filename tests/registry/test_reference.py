"""The page of counts is what ships; and it counts what is there."""

from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.reference import generated_files, tables


def test_the_page_is_up_to_date(repository):
    for path, text in generated_files(repository).items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python -m hcs_lib.registry.reference"


def test_counts():
    def entry(name, **fields):
        return FunctionEntry(id=f"toy.{name}", library="toy", version="2", memory_type="numpy", target="t:f", **fields)

    found = tables({"toy": [
        entry("a", accepts=(2, 3), coupling="mixes", returns="image"),
        entry("b", accepts=(2,), returns="labels", device="opencl"),
        entry("c", excluded="needs argument footprint"),
        entry("d", excluded="needs argument weights"),
        entry("e", excluded="it failed on every probe image: ValueError: no"),
    ]})  # fmt: skip
    assert "| toy | 2 | 2 | 5 | probed | cpu, opencl |" in found["libraries"]
    assert "| toy | 1 |  | 1 |  |" in found["contracts"]
    assert "| toy | 1 | 1 |  |  |" in found["slices"]
    assert "| needs an argument that cannot be guessed | 2 |" in found["excluded"]
    assert "| it failed on every probe image | 1 |" in found["excluded"]
