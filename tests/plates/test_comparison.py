import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hcs_lib.core.errors import UserError
from hcs_lib.plates.comparison import compare
from hcs_lib.plates.scene import Nucleus
from hcs_lib.plates.synthetic import load_truth


@pytest.fixture
def found(small_demo):
    """Perfect results: (well, site, x, y) of the visible part of every nucleus, by labelling the true ellipses."""
    folder, spec = small_demo
    rows = []
    ys, xs = np.mgrid[: spec.field, : spec.field].astype(float)
    for well, truth in load_truth(folder)["wells"].items():
        for site, (left, top) in enumerate(spec.origins, start=1):
            for entry in truth["nuclei"]:
                inside = Nucleus(**entry).distance(xs + left, ys + top) <= 0
                if inside.any():
                    rows.append([well, site, xs[inside].mean(), ys[inside].mean(), inside.sum()])
    return rows


@pytest.fixture
def results(small_demo, tmp_path):
    """Write tables as the workflow does and compare them."""
    folder, _ = small_demo
    tables = tmp_path / "results" / "tables"
    tables.mkdir(parents=True)

    def compared(rows, fractions=None):
        columns = list(zip(*rows, strict=True)) if rows else [[], [], [], [], []]
        names = ("Metadata_Well", "Metadata_Site", "Nuclei_Location_Center_X", "Nuclei_Location_Center_Y", "Area")
        types = (pa.string(), pa.int32(), pa.float64(), pa.float64(), pa.int64())
        table = pa.table({name: pa.array(column, t) for name, column, t in zip(names, columns, types, strict=True)})
        pq.write_table(table, tables / "objects.parquet")
        with (tables / "wells.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["plate", "well", *(["nuclear_fraction"] if fractions else [])])
            writer.writerows([["demo", *pair] for pair in (fractions or {"B02": None}).items()])
        return compare(folder, tmp_path / "results")

    return compared


def test_perfect_results(results, found):
    comparison = results(found)
    assert (comparison.sites, comparison.missed, comparison.extra) == (12, 0, 0)
    assert comparison.whole + comparison.cut == len(found)
    assert min(comparison.whole, comparison.cut) > 20
    assert len(comparison.distances) == comparison.whole
    assert max(comparison.distances) < 0.3
    assert comparison.holds


def test_nothing_found(results):
    comparison = results([])
    assert comparison.missed == comparison.whole
    assert comparison.count_error == 1
    assert not comparison.holds


def whole(rows):
    """Rows of nuclei in the middle of an image."""
    return [index for index, (_, _, x, y, _) in enumerate(rows) if 15 < x < 112 and 15 < y < 112]


def test_a_shift_is_measured(results, found):
    for index in whole(found):
        found[index][2] += 0.6
        found[index][3] -= 0.8
    comparison = results(found)
    assert np.median(comparison.distances) == pytest.approx(1, abs=0.2)
    assert comparison.holds
    found[whole(found)[0]][2] += 2.5
    comparison = results(found)
    assert max(comparison.distances) > 2
    assert comparison.count_error == 0
    assert not comparison.holds


def test_missed_and_excess_do_not_cancel(results, found):
    total = results(found).whole
    gone = {whole(found)[0], whole(found)[5], whole(found)[9]}
    rows = [row for index, row in enumerate(found) if index not in gone]
    one = found[whole(found)[20]]
    rows += [[*one[:2], one[2] + 3, one[3] + 3, 10]]
    comparison = results(rows)
    assert (comparison.missed, comparison.extra) == (3, 1)
    assert comparison.count_error == pytest.approx(4 / total)
    assert not comparison.holds


def test_an_object_far_away_is_no_match(results, found):
    index = whole(found)[0]
    found[index][2:4] = [-500.0, -500.0]
    comparison = results(found)
    assert (comparison.missed, comparison.extra) == (1, 1)


def test_nuclei_cut_by_the_border_may_be_left_out(results, found):
    """Of each cut nucleus the area in the image is less than the same nucleus has elsewhere, or it leaves its site."""
    inner = [row for row in found if 12.5 < row[2] < 114.5 and 12.5 < row[3] < 114.5]
    comparison = results(inner)
    assert comparison.extra == 0
    assert comparison.missed < comparison.cut / 2
    kept = results(found)
    assert (kept.missed, kept.extra, kept.cut) == (0, 0, comparison.cut)


def test_wells_are_not_mixed(results, found):
    names = {"B02": "B03", "B03": "B04", "B04": "B02"}
    assert not results([[names[well], *rest] for well, *rest in found]).holds


def test_the_nuclear_fraction(results, found):
    comparison = results(found, {"B02": 0.3, "B03": 0.32, "B04": 0.69})
    assert comparison.nuclear_fraction["B02"] == (0.25, 0.3)
    assert comparison.correlation == pytest.approx(
        np.corrcoef([0.25, 0.25 + 0.5 / 21, 0.25 + 0.5 * 1000 / 1020], [0.3, 0.32, 0.69])[0, 1]
    )
    assert results(found).correlation is None


def test_tables_that_are_not_there(small_demo, tmp_path):
    folder, _ = small_demo
    with pytest.raises(UserError, match=r"objects\.parquet: the object table cannot be read.*Run the workflow first"):
        compare(folder, tmp_path)
    with pytest.raises(UserError, match=r"truth\.json: Truth of the demo plate \(`hcs demo` writes it\) not found"):
        compare(tmp_path, tmp_path)


def test_a_table_of_other_columns(small_demo, tmp_path):
    folder, _ = small_demo
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "tables" / "objects.parquet")
    with pytest.raises(UserError, match="the object table cannot be read"):
        compare(folder, tmp_path)
