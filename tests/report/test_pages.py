"""Pages: what they say, that names are text, and that nothing is loaded from anywhere."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hcs_lib.report.figures import draw_plate, summarise
from hcs_lib.report.pages import _cell

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(2)> & "quotes"'


class Page(HTMLParser):
    """Elements and attributes of a page, and the text of each table's rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell &= tag != "td"

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


@pytest.fixture
def evil(write: Callable[..., Path]) -> Path:
    return write(
        [
            {"well": "A01", "compound": EVIL, "x": 1.0},
            {"well": "A02", "status": "failed", "reason": EVIL},
            {"well": "A03", "control": "neg", "x": -0.5},
        ],
        quality=[{"feature": "x", "z_prime": 0.5, "n_pos": 0, "n_neg": 1, "wells_pos": 0, "wells_neg": 1}],
        hits=[
            {"plate": "p", "well": "A01", "compound": EVIL, "hit": "yes"},
            {"plate": "p", "well": "A03", "hit": "no"},
        ],
    )


def pages(folder: Path) -> list[Path]:
    draw_plate(folder)
    summarise([folder], folder / "summary")
    return [folder / "figures/plate.html", folder / "summary/summary.html", folder / "summary/landing.html"]


def test_names_that_are_html_are_text(evil: Path) -> None:
    for path in pages(evil):
        page = Page(path.read_text())
        assert "alert(1)</script>" not in path.read_text()
        assert not [tag for tag, _ in page.elements if tag == "img"]
        assert not [attributes for _, attributes in page.elements if "onerror" in attributes]
    assert EVIL in {cell for row in Page((evil / "figures/plate.html").read_text()).rows for cell in row}


def test_nothing_is_loaded(evil: Path) -> None:
    for path in pages(evil):
        page = Page(path.read_text())
        assert not [attributes for _, attributes in page.elements if {"src", "href", "srcset"} & attributes.keys()]
        assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", path.read_text())


def test_numbers_stand_with_their_denominators(evil: Path) -> None:
    summary = Page(pages(evil)[1].read_text())
    row = next(row for row in summary.rows if row and row[0] == "p")
    assert row[:5] == ["p", "2 of 3", "1 of 3", "0 of 3", "1 of 3"]
    assert row[-3:] == ["0 of 0", "1 of 1", "1 of 2"], "controls with values, and hits of the wells that were judged"
    assert [row[-1] for row in summary.rows if "function" in row] == [EVIL], "failures stand with their reason"


def test_map_holds_every_well_with_its_value(evil: Path) -> None:
    text = pages(evil)[0].read_text()
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert [(well["name"], well["row"], well["column"]) for well in data["wells"]] == [
        ("A01", 0, 0), ("A02", 0, 1), ("A03", 0, 2),
    ]  # fmt: skip
    assert data["features"][0]["values"] == [1.0, None, -0.5]
    assert EVIL in data["wells"][0]["note"]


def test_landing_has_no_empty_line(evil: Path) -> None:
    """It stands in a directive of reStructuredText."""
    assert all(line.strip() for line in pages(evil)[2].read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "column", "shown"),
    [
        ("20240101.1", "plate", "20240101.1"),
        ("12345.10", "compound", "12345.10"),
        ("infinity", "z_prime", "infinity"),
        ("0.89441234", "z_prime", "0.8944"),
        ("-12.3456", "z_prime", "−12.35"),
        ("312", "count_nuclei", "312"),
    ],
)
def test_names_are_shown_as_written_and_numbers_short(text: str, column: str, shown: str) -> None:
    assert str(_cell(text, column)).split(">")[1].split("<")[0] == shown
