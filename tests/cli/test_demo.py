import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from hcs_lib.cli.demo import demo
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import load_truth, write_demo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, DemoSpec(rows=("B",), columns=(2, 3, 4), grid=(1, 1), nuclei=(10, 20)))
    return folder


@pytest.fixture
def results(folder, tmp_path):
    """Write results that are the truth, moved by so many pixels."""

    def write(shift):
        rows = [
            (well, 1, nucleus["x"] + shift, nucleus["y"])
            for well, truth in load_truth(folder)["wells"].items()
            for nucleus in truth["nuclei"]
        ]
        names = ("Metadata_Well", "Metadata_Site", "Nuclei_Location_Center_X", "Nuclei_Location_Center_Y")
        (tmp_path / "demo" / "tables").mkdir(parents=True)
        pq.write_table(
            pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), tmp_path / "demo/tables/objects.parquet"
        )
        (tmp_path / "demo/tables/wells.csv").write_text("well,nuclear_fraction\nB02,0.2\nB03,0.3\nB04,0.7\n")
        return tmp_path / "demo"

    return write


def test_the_whole_plate_is_written(tmp_path):
    done = CliRunner().invoke(demo, [str(tmp_path / "new")])
    assert done.exit_code == 0
    assert str(tmp_path / "new" / "plate") in done.stdout
    assert len(list((tmp_path / "new" / "plate").rglob("*.tif"))) == 12 * 4 * 2 * 3


def test_as_promised(folder, results):
    done = CliRunner().invoke(demo, [str(folder), "--compare", str(results(1.5))])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) <= 12
    assert "count error       0.00% (at most 2%)" in done.stdout
    assert "median 1.50 px, largest 1.50 px (at most 2; 0 beyond)" in done.stdout
    truth = [well["nuclear_fraction"] for well in load_truth(folder)["wells"].values()]
    correlation = np.corrcoef(truth, [0.2, 0.3, 0.7])[0, 1]
    assert f"correlation with the truth {correlation:.4f} over 3 wells" in done.stdout
    assert "demo/tables/objects.parquet" in done.stdout
    assert lines[-1].split(maxsplit=1) == ["verdict", "as promised"]


def test_not_as_promised(folder, results):
    done = CliRunner().invoke(demo, [str(folder), "--compare", str(results(2.5))])
    assert done.exit_code == 1
    assert "NOT as promised" in done.stdout


def test_a_folder_of_something_else_is_a_user_error(tmp_path):
    (tmp_path / "mine.txt").touch()
    done = subprocess.run(
        [sys.executable, "-m", "hcs_lib.cli.main", "demo", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == f"hcs: {tmp_path}: the folder is not empty and holds no demo plate. Name a new folder.\n"
    assert done.stdout == ""
