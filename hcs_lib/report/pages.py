"""Pages: a summary over plates, and one page per plate. One HTML file each, which loads nothing from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hcs_lib import __version__
from hcs_lib.contexts.gates import Waiting
from hcs_lib.core.addresses import geometry_of, parse_well
from hcs_lib.core.files import write_atomic
from hcs_lib.report.heatmaps import scale_of
from hcs_lib.report.style import COLOUR_MAP
from hcs_lib.report.tables import Plate, Table, headline, number

if TYPE_CHECKING:
    from markupsafe import Markup

_FEATURES = 200
"""Features that the map of a page holds. All of 10,000 would be 60 MB a plate."""
_ROWS = 2000
"""Rows of a table on a page."""
_BEST = 5
_NAMES = ("plate", "well", "compound", "dose", "unit", "feature", "reason")
"""Columns whose text is shown as it is written, also where it looks like a number."""


class Part(NamedTuple):
    """A table of a page; `rows` are lists of cells, which are markup. `empty` stands where there are none."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Markup]]
    empty: str


def write_plate_page(plate: Plate, path: Path) -> None:
    """Write the page of a plate: its numbers, a map of any feature, its tables."""
    features = list(
        dict.fromkeys((*headline(plate), *(row["feature"] for row in plate.quality.rows), *plate.wells.features))
    )
    features = [feature for feature in features if feature in set(plate.wells.features)][:_FEATURES]
    _write(
        path,
        "plate.html.jinja",
        title=f"Plate {plate.name}",
        cards=_cards([plate]),
        shown=len(features),
        features=len(plate.wells.features),
        data=_script_json(_map(plate, features)),
        tables=[
            _failures([plate]),
            _wells(plate),
            _part("Assay quality", plate.quality, "No assay quality: it needs negative and positive controls.",
                  of=len(plate.wells.features), name="features"),
            _part("Dose-response", plate.curves, "No dose-response: it needs doses above zero."),
            _hits([plate]),
        ],
    )  # fmt: skip


def write_summary(plates: Sequence[Plate], folder: Path, screen: Path | None, waiting: Sequence[Waiting] = ()) -> None:
    """Write `summary.html` over plates, and `landing.html`, the piece of it that Snakemake's report begins with.

    `screen` is where the statistics over replicate plates are, where there are any; `waiting` are plates that are
    held up.
    """
    rows = [_summary_row(plate) for plate in plates]
    total = f"{len(plates)} of {len(plates) + len(waiting)}" if waiting else str(len(plates))
    held = Part(
        f"Plates that are held up ({len(waiting)} of {len(plates) + len(waiting)})",
        ("plate", "why", "to go on"),
        [[_cell(text, "plate") for text in (one.plate, one.reason, one.command)] for one in waiting],
        "No plate is held up.",
    )
    columns = ("plate", "wells done", "failed", "skipped", "sites not done", "sites flagged", "objects",
               "best feature", "best Z′", "pos wells", "neg wells", "hits")  # fmt: skip
    best = [
        [_cell(plate.name, "plate"),
         *(_cell(row[column], column) for column in ("feature", "z_prime", "robust_z_prime", "ssmd")),
         _of(row["n_pos"], row["wells_pos"]), _of(row["n_neg"], row["wells_neg"])]
        for plate in plates for row in plate.quality.rows[:_BEST]
    ]  # fmt: skip
    tables = [
        *([held] if waiting else []),
        Part(f"Plates ({total})", columns, rows, "No plate has tables yet."),
        _failures(plates),
        Part(f"Assay quality, the best {_BEST} features of each plate",
             ("plate", "feature", "Z′", "robust Z′", "SSMD", "pos wells", "neg wells"), best,
             "No assay quality: it needs negative and positive controls."),
        _hits(plates),
    ]  # fmt: skip
    if screen is not None:
        tables += [
            _part(
                "Assay quality over plates", Table.read(screen / "assay_quality.csv"), "No assay quality over plates."
            ),
            _part("Hits over plates", _only_hits(Table.read(screen / "hits.csv")), "No hits over plates."),
        ]
    cards = _cards(plates)
    if waiting:
        cards.insert(0, ("plates held up", len(waiting), f"of {len(plates) + len(waiting)}", True))
    _write(folder / "summary.html", "summary.html.jinja", title="Summary", cards=cards, tables=tables)
    landing = (0, 1, 2, 4, 6, 8, 11)
    shown = [[row[index] for index in landing] for row in rows]
    text = _render("landing.html.jinja", columns=[columns[index] for index in landing], rows=shown, held=held)
    write_atomic(folder / "landing.html", text.encode())


def _summary_row(plate: Plate) -> list[Markup]:
    wells, sites = len(plate.wells.values), plate.sites
    best = plate.quality.rows[0] if plate.quality.rows else {}
    failed, left_out = plate.statuses["failed"], sum(site["status"] != "done" for site in sites)
    return [
        _cell(plate.name, "plate"),
        _of(plate.statuses["done"], wells),
        _of(failed, wells, bad=failed > 0),
        _of(plate.statuses["skipped"], wells),
        _of(left_out, len(sites), bad=left_out > 0),
        _of(*plate.flagged) if plate.site_flags() else _cell(""),
        _cell(str(_objects(plate)) if plate.count_column else ""),
        _cell(best.get("feature", ""), "feature"),
        _cell(best.get("z_prime", "")),
        _of(best["n_pos"], best["wells_pos"]) if best else _cell(""),
        _of(best["n_neg"], best["wells_neg"]) if best else _cell(""),
        _of(len(_only_hits(plate.hits).rows), _judged([plate])) if plate.hits.rows else _cell(""),
    ]


def _cards(plates: Sequence[Plate]) -> list[tuple[str, int, str, bool]]:
    """Return (name, number, its denominator, whether it is bad news)."""
    wells = sum(len(plate.wells.values) for plate in plates)
    counts = {status: sum(plate.statuses[status] for plate in plates) for status in ("done", "failed", "skipped")}
    sites = [site for plate in plates for site in plate.sites]
    left_out = sum(site["status"] != "done" for site in sites)
    flagged, measured = (sum(plate.flagged[place] for plate in plates) for place in (0, 1))
    cards = [
        ("wells done", counts["done"], f"of {wells}", counts["done"] < wells),
        ("wells failed", counts["failed"], f"of {wells}", counts["failed"] > 0),
        ("wells skipped", counts["skipped"], f"of {wells}", counts["skipped"] > 0),
        ("sites not done", left_out, f"of {len(sites)}", left_out > 0),
    ]
    if measured:
        cards.append(("sites flagged", flagged, f"of {measured} measured", flagged > 0))
    if any(plate.count_column for plate in plates):
        cards.append(("objects", sum(map(_objects, plates)), f"in {counts['done']} wells", False))
    return [("plates", len(plates), "", False), *cards] if len(plates) != 1 else cards


def _objects(plate: Plate) -> int:
    import numpy as np

    return int(np.nansum(plate.wells.feature(plate.count_column))) if plate.count_column else 0


def _failures(plates: Sequence[Plate]) -> Part:
    columns = ("plate", "well", "site", "stage", "step", "kind", "counts", "reason")
    rows = [row for plate in plates for row in plate.failures.rows]
    return Part(
        f"Failures and what was left out ({_shown(rows)})",
        columns,
        [[_cell(row.get(column, ""), column) for column in columns] for row in rows[:_ROWS]],
        "No well failed, no site was left out.",
    )


def _hits(plates: Sequence[Plate]) -> Part:
    found = [row for plate in plates for row in _only_hits(plate.hits).rows]
    columns = next((plate.hits.columns for plate in plates if plate.hits.rows), ())
    judged = _judged(plates)
    empty = f"None of {judged} wells is a hit." if judged else "No hits were called: there is no rule for any well."
    caption = f"Hits ({len(found)} of {judged} wells)" if judged else "Hits"
    return Part(caption, columns, [[_cell(row[name], name) for name in columns] for row in found[:_ROWS]], empty)


def _only_hits(table: Table) -> Table:
    return Table(table.columns, tuple(row for row in table.rows if row["hit"] == "yes"))


def _judged(plates: Sequence[Plate]) -> int:
    """Return how many wells the rule for hits could be applied to."""
    return sum(bool(row["hit"]) for plate in plates for row in plate.hits.rows)


def _wells(plate: Plate) -> Part:
    """Return what is known of each well, with the headline features only: a page is no place for hundreds."""
    text, features = plate.wells.text, headline(plate)
    names = [name for name in text if name != "plate"]
    cells = [
        [*(_cell(text[name][index], "plate") for name in names),
         *(_cell("" if math.isnan(value) else repr(value)) for value in
           (float(plate.wells.feature(feature)[index]) for feature in features))]
        for index in range(len(plate.wells.values))
    ]  # fmt: skip
    caption = f"Wells ({len(cells)}), {len(features)} of {len(plate.wells.features)} features"
    return Part(caption, [*names, *features], cells, "The plate has no wells.")


def _part(caption: str, table: Table, empty: str, *, of: int = 0, name: str = "rows") -> Part:
    counted = f"{caption} ({_shown(table.rows)}{f' of {of} {name}' if of else ''})" if table.rows else caption
    rows = [[_cell(row[column], column) for column in table.columns] for row in table.rows[:_ROWS]]
    return Part(counted, table.columns, rows, empty)


def _shown(rows: Sequence[object]) -> str:
    return f"{_ROWS} of {len(rows)}" if len(rows) > _ROWS else str(len(rows))


def _cell(text: str, column: str = "") -> Markup:
    """Return a table cell: text escaped; a number short, whole in what it is sorted by; a name as it is written."""
    from markupsafe import Markup

    value = number(text)
    if not math.isfinite(value):
        return Markup("<td>{}</td>").format(text)
    whole = column in _NAMES or (value.is_integer() and len(text) < 16)
    short = text if whole else f"{value:.4g}".replace("-", "−")
    return Markup('<td class="number" data-value="{}">{}</td>').format(text, short)


def _of(count: object, total: object, *, bad: bool = False) -> Markup:
    """Return a number with its denominator, which sorts by the number."""
    from markupsafe import Markup

    look = "number bad" if bad else "number"
    return Markup('<td class="{}" data-value="{}">{} of {}</td>').format(look, count, count, total)


def _map(plate: Plate, features: Iterable[str]) -> dict[str, Any]:
    """Return what the map of a page needs."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    rows, columns = geometry_of(plate.plan.imaged)
    wells = []
    for index, name in enumerate(plate.wells.column("well")):
        place = parse_well(name)
        note = ", ".join(
            f"{key} {plate.wells.text[key][index]}" for key in plate.mapped if plate.wells.text[key][index]
        )
        reason = plate.wells.column("reason")[index]
        wells.append(
            {"name": name, "row": place.row, "column": place.column, "status": plate.wells.column("status")[index],
             "control": plate.wells.column("control")[index], "note": "\n".join(filter(None, (note, reason)))}
        )  # fmt: skip
    shown = []
    for feature in features:
        values = plate.wells.feature(feature)
        scale = scale_of(values)
        extend = scale.extend if scale else "neither"
        shown.append(
            {"name": feature, "low": scale.low if scale else None, "high": scale.high if scale else None,
             "extend": {"min": extend in ("min", "both"), "max": extend in ("max", "both")},
             "values": [None if math.isnan(value) else float(f"{value:.6g}") for value in values.tolist()]}
        )  # fmt: skip
    colours = [to_hex(colormaps[COLOUR_MAP](place / 63)) for place in range(64)]
    return {"rows": rows, "columns": columns, "wells": wells, "features": shown, "colours": colours}


def _script_json(value: Any) -> Markup:
    """Return JSON that nothing in it can end the element it stands in."""
    from markupsafe import Markup

    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _write(path: Path, template: str, **values: Any) -> None:
    from markupsafe import Markup

    assets = files("hcs_lib.report") / "templates"
    style, script = (Markup((assets / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    write_atomic(path, _render(template, style=style, script=script, version=__version__, **values).encode())


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hcs_lib.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
