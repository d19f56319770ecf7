"""The pictures of a plate: all are there whatever is missing, with the same bytes each time."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hcs_lib.contexts.gates import FlaggedSite, GateFound
from hcs_lib.contexts.manifests import Gate, PlatePlan
from hcs_lib.core.errors import UserError
from hcs_lib.report.curves import dose_response_curves
from hcs_lib.report.figures import draw_features, draw_plate, summarise
from hcs_lib.report.montage import well_montage
from hcs_lib.report.overview import quality_overview
from hcs_lib.report.style import drawing
from hcs_lib.report.tables import headline, load_plate

PICTURES = {"heatmaps.png", "controls.svg", "dose_response.svg", "quality.svg", "montage.png", "fields.png"}

SCREEN = [
    {
        "well": f"A{column:02d}",
        "compound": "c",
        "dose": dose,
        "unit": "nM",
        "control": control,
        "count_nuclei": 9,
        "x": x,
    }
    for column, (dose, control, x) in enumerate(
        [(0, "neg", 0.0), (1, "", 0.1), (10, "", 0.5), (100, "", 0.9), (1000, "pos", 1.0)], start=1
    )
]
CURVE = {"compound": "c", "feature": "x", "ec50": 10, "ec50_low": 8, "ec50_high": 12, "unit": "nM", "hill": 1,
         "bottom": 0, "top": 1, "r2": 0.99, "n_wells": 5}  # fmt: skip


def field(value: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of one brightness, with one square object."""
    labels = np.zeros((64, 64), np.int32)
    labels[20:40, 20:40] = 1
    return np.full((1, 64, 64), value, np.uint16), labels


@pytest.mark.parametrize(
    "wells",
    [
        pytest.param(SCREEN, id="screen"),
        pytest.param([{"well": "A01", "x": 1.0}], id="one well, no controls"),
        pytest.param([{"well": "A01", "status": "failed", "reason": "r", "x": None}], id="all failed"),
        pytest.param(
            [{"well": "A01", "control": "neg", "x": None}, {"well": "A02", "control": "pos", "x": None}], id="NaN"
        ),
        pytest.param([{"well": "A01", "x": "inf"}, {"well": "A02", "x": 3.0}], id="infinity"),
        pytest.param([{"well": "A01"}, {"well": "A02"}], id="no features"),
        pytest.param(
            [{"well": "A01", "control": "neg", "compound": "$\\frac{<script>&", "dose": 1, "x": 1.0}], id="names"
        ),
    ],
)
def test_every_picture_is_there_whatever_is_missing(write: Callable[..., Path], wells: list[dict[str, Any]]) -> None:
    folder = write(wells)
    draw_plate(folder)
    assert {path.name for path in (folder / "figures").iterdir()} == PICTURES | {"plate.html"}
    summarise([folder], folder / "summary")
    assert {path.name for path in (folder / "summary").iterdir()} == {"summary.html", "landing.html", "plates.png"}


def test_same_tables_give_the_same_bytes(write: Callable[..., Path]) -> None:
    folder = write(SCREEN, curves=[CURVE], pixels={"A01": field(100)})

    def digests() -> dict[str, str]:
        paths = [*draw_plate(folder), *summarise([folder], folder / "summary")[0]]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    assert digests() == digests()


def test_curve_passes_through_its_ec50_and_every_well_is_drawn(write: Callable[..., Path]) -> None:
    plate = load_plate(write(SCREEN, curves=[CURVE]))
    with drawing():
        axes = dose_response_curves(plate, "x").axes[0]
    points = axes.collections[0].get_offsets()
    assert sorted(points[:, 1]) == [0.0, 0.1, 0.5, 0.9, 1.0]
    assert sorted(points[1:, 0]) == [1, 10, 100, 1000]
    assert points[0, 0] < 1, "vehicle stands left of the lowest dose"
    fit = max(axes.lines, key=lambda line: len(line.get_xdata()))
    assert np.interp(10, fit.get_xdata(), fit.get_ydata()) == pytest.approx(0.5, abs=0.01)
    assert "EC50 10 nM (95 %: 8 to 12)" in axes.get_title("left")


def test_curve_shows_the_vehicle_it_borrowed(write: Callable[..., Path]) -> None:
    vehicle = [{"well": f"B0{column}", "compound": "DMSO", "dose": 0, "control": "neg", "x": x}
               for column, x in ((1, -0.2), (2, 0.2))]  # fmt: skip
    other = {"well": "B03", "compound": "other", "dose": 0, "control": "", "x": 7.0}
    plate = load_plate(write([*SCREEN[1:], *vehicle, other], curves=[CURVE]))
    with drawing():
        axes = dose_response_curves(plate, "x").axes[0]
    points = axes.collections[0].get_offsets()
    assert sorted(points[:, 1]) == [-0.2, 0.1, 0.2, 0.5, 0.9, 1.0]
    assert sorted(points[points[:, 0] < 1, 1]) == [-0.2, 0.2], "left of the lowest dose"


def test_flagged_curve_says_why(write: Callable[..., Path]) -> None:
    plate = load_plate(write(SCREEN, curves=[CURVE | {"flag": "EC50 outside the doses"}]))
    with drawing():
        axes = dose_response_curves(plate, "x").axes[0]
    assert "EC50 outside the doses" in [text.get_text() for text in axes.texts]
    assert max(axes.lines, key=lambda line: len(line.get_xdata())).get_linestyle() == "--"


def test_overview_counts_with_denominators(write: Callable[..., Path]) -> None:
    wells = [
        {"well": "A01", "count_nuclei": 0},
        {"well": "A02", "count_nuclei": 5},
        {"well": "A03", "status": "failed"},
    ]
    with drawing():
        shares = quality_overview(load_plate(write(wells))).axes[0]
    names = [label.get_text() for label in shares.get_yticklabels()]
    counted = dict(zip(names, (text.get_text() for text in shares.texts), strict=True))
    assert counted == {
        "wells done": "2 of 3", "wells failed": "1 of 3", "wells skipped": "0 of 3",
        "done wells without objects": "1 of 2", "sites not done": "1 of 3",
    }  # fmt: skip


def test_montage_shows_wells_where_they_are_in_one_brightness(write: Callable[..., Path]) -> None:
    wells = [{"well": "A01"}, {"well": "B03"}, {"well": "A02", "status": "failed"}]
    plate = load_plate(write(wells, pixels={"A01": field(100), "B03": field(50)}))
    with drawing():
        axes = well_montage(plate).axes[0]
    canvas = np.asarray(axes.images[0].get_array())
    side = canvas.shape[1] // 3
    middle = canvas[side // 4 :: side, side // 4 :: side, 0].astype(int)
    bright, dim = canvas[5, 5, 0], canvas[side + 5, 2 * side + 5, 0]
    assert bright > dim, "no well is stretched by itself"
    assert (middle[0, 1], middle[1, 0]) == (245, 245), "the failed well, and one without images, stay empty"
    outlined = canvas[:62, :62, 0]
    assert outlined[20, 30] == 255, "the outline of the object is white"
    texts = [text.get_text() for text in axes.texts]
    assert texts[:-1] == ["×\nfailed", "1", "2", "3", "A", "B"]
    assert texts[-1].startswith("2 of 3 wells")


def test_montage_without_some_files_says_which_wells(write: Callable[..., Path]) -> None:
    folder = write([{"well": "A01"}, {"well": "A02"}], pixels={"A01": field(100), "A02": field(50)})
    for file in (folder / "p.zarr/A/02/1/0/c").rglob("*"):
        if file.is_file():
            file.unlink()
    with drawing():
        axes = well_montage(load_plate(folder)).axes[0]
    assert [text.get_text() for text in axes.texts if "×" in text.get_text()] == ["×\nunreadable"]


def test_any_feature_by_name(write: Callable[..., Path]) -> None:
    folder = write(SCREEN)
    (path,) = draw_features(folder, ["x"])
    assert path == folder / "figures/heatmap_x.png"
    with Image.open(path) as picture:
        assert picture.width > 500
    with pytest.raises(UserError, match="count_nuclei"):
        draw_features(folder, ["count_nucleus"])


def test_headline_has_the_best_features_and_the_count(write: Callable[..., Path]) -> None:
    wells = [{"well": "A01", "count_nuclei": 1, "a": 1, "b": 2, "c": 3, "d": 4}]
    quality = [{"feature": name, "z_prime": 0.5} for name in "cab"] + [{"feature": "d", "z_prime": 0.1}]
    assert headline(load_plate(write(wells, quality=quality))) == ("c", "a", "b", "count_nuclei")


def test_ten_thousand_features(write: Callable[..., Path]) -> None:
    folder = write([{"well": "A01"} | {f"feature_{index}": index for index in range(10_000)}])
    draw_plate(folder)
    page = (folder / "figures/plate.html").read_text()
    assert "200 of 10000 features" in page
    assert len(page) < 200_000


def test_plates_that_were_not_collected_are_named_and_left_out(write: Callable[..., Path], tmp_path: Path) -> None:
    folder = write(SCREEN)
    _, problems = summarise([folder, tmp_path / "gone"], tmp_path / "out")
    assert [str(tmp_path / "gone" / "plan.json") == problem.where for problem in problems] == [True]
    with pytest.raises(UserError, match="gone"):
        summarise([tmp_path / "gone"], tmp_path / "out")


def test_plates_that_wait_at_their_gate_are_named_with_what_lets_them_go_on(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    goes_on, waits = write(SCREEN, "one"), write(SCREEN, "two")
    plan = PlatePlan.load(waits / "plan.json")
    gate = Gate(stage="s01-cpu", max_flagged=0.1, flags=("blurred",))
    plan.model_copy(update={"gate": gate}).save(waits / "plan.json")
    flagged = (FlaggedSite(well="A01", site=1, flags="blurred <DNA>"),)
    GateFound(plate="two", sites=5, flagged=flagged, max_flagged=0.1, passed=False).save(waits)

    _, (problem,) = summarise([goes_on, waits], tmp_path / "out")
    assert problem.where == "plate two"
    assert problem.hint == f'`hcs gate {waits} --approve "REASON"` lets it go on.'
    for name in ("summary.html", "landing.html"):
        page = (tmp_path / "out" / name).read_text()
        assert "Plates that are held up (1 of 2)" in page
        assert "1 of 5 sites flagged (20%), 10% allowed (A01 site 1: blurred &lt;DNA&gt;)" in page
    assert "Plates (1 of 2)" in (tmp_path / "out/summary.html").read_text(), "its tables are of an earlier run"

    summarise([waits], tmp_path / "none")
    assert "No plate has tables yet." in (tmp_path / "none/summary.html").read_text()
    assert "\n\n" not in (tmp_path / "none/landing.html").read_text().strip(), "it stands in reStructuredText"
