"""The page of faults has no rows that no test stands for; each test compares its own row with it."""

from pathlib import Path


def test_each_fault_of_the_page_is_tested(rows):
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert len(rows) > 40
    assert [row for row in rows if f'"{row}"' not in tests] == []
