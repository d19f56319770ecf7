import json
import re

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from hcs_lib.cli.index import index
from hcs_lib.plates.index import PlateIndex

IMAGE = np.zeros((4, 5), np.uint16)


@pytest.fixture
def plate(tmp_path):
    folder = tmp_path / "plate 1"
    folder.mkdir()
    for well in ("A1", "C4"):
        for channel in (1, 2):
            tifffile.imwrite(folder / f"{well}-{channel}.tif", IMAGE)
    return folder


def run(*arguments):
    return CliRunner().invoke(index, [str(argument) for argument in arguments])


def test_json_is_one_object_with_the_promised_keys(plate):
    (plate / "A1-2.tif").write_bytes(b"")
    done = run(plate, "--pattern", "{well}-{channel}.tif", "--json")
    assert done.exit_code == 0
    value = json.loads(done.stdout)
    assert {"format", "planes", "channels", "pixel_size_um", "grid", "problems"} <= value.keys()
    assert value["plate"] == "plate 1"
    assert len(value["planes"]) == 3
    assert {"well", "site", "channel", "z", "t", "file"} <= value["planes"][0].keys()
    assert [channel["id"] for channel in value["channels"]] == ["1", "2"]
    (problem,) = value["problems"]
    assert {key: problem[key] for key in ("kind", "well", "site", "file")} == {
        "kind": "empty", "well": "A01", "site": 1, "file": "A1-2.tif",
    }  # fmt: skip


def test_the_plate_is_drawn_and_its_problems_listed(plate):
    (plate / "A1-2.tif").unlink()
    done = run(plate, "--pattern", "{well}-{channel}.tif", "--pixel-size-um", "0.5")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "plate 1 (pattern)",
        "2 wells x 1 sites x 2 channels x 1 z x 1 t",
        "channels: 1, 2",
        "planes: 3 of 4 x 5 uint16, 0.5 um a pixel",
    ]
    assert lines[5:9] == ["     1  2  3  4", "  A  !  ·  ·  ·", "  B  ·  ·  ·  ·", "  C  ·  ·  ·  ●"]
    assert "1 problem: 1 missing" in done.stdout
    assert re.search(r"missing\s+A01\s+1\s+site 1, channel 2: no file for site 1, channel 2", done.stdout)


def test_many_problems_are_counted_by_kind_and_well(plate):
    for column in range(2, 32):
        (plate / f"A{column}-1.tif").write_bytes(b"")
    done = run(plate, "--pattern", "{well}-{channel}.tif")
    assert "60 problems: 30 empty, 30 missing" in done.stdout
    assert re.search(r"empty\s+A02\s+1\s+site 1, channel 1: A2-1.tif: the file has no bytes", done.stdout)
    assert "… and 40 more lines; all problems are in the index (--output, --json)." in done.stdout


def test_copies_are_told_and_lose_nothing(shared_data):
    done = run(shared_data / "imagexpress-exported")
    assert "  B  ·  ●  ●" in done.stdout.splitlines()
    assert "24 problems: 24 repeated" in done.stdout
    assert re.search(r"repeated\s+B02\s+12\s", done.stdout)


def test_a_damaged_index_file_is_one_line(plate):
    (plate / "MeasurementData.mlf").write_text("<bts:MeasurementData")
    done = run(plate)
    assert done.exception.exit_code == 2
    assert str(done.exception).startswith("MeasurementData.mlf: it is no sound XML: ")
    assert len(str(done.exception).splitlines()) == 1


def test_the_index_is_written(plate, tmp_path):
    output = tmp_path / "results" / "p" / "index.json"
    arguments = [
        plate,
        "--pattern",
        "{well}-{channel}.tif",
        "--plate",
        "p",
        "--fingerprint",
        "content",
        "--output",
        output,
    ]
    assert run(*arguments).exit_code == 0
    found = PlateIndex.load(output)
    assert (found.plate, found.fingerprint, len(found.planes)) == ("p", "content", 4)
    first = output.read_bytes()
    run(*arguments)
    assert output.read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pattern", "img_{well}.tif"], "matches none of its 4 files"),
        (["--format", "opera"], "unknown format 'opera'"),
        (["--pattern", "{wall}.tif"], "unknown field {wall}"),
        (
            ["--pattern", "{well}-{channel}.tif", "--output", "{plate}/index.json"],
            "nothing is written into a plate's folder",
        ),
    ],
)
def test_what_cannot_be_is_a_user_error(plate, arguments, message):
    before = sorted(plate.iterdir())
    done = run(plate, *(argument.replace("{plate}", str(plate)) for argument in arguments))
    assert done.exit_code
    assert done.exception.exit_code == 2
    assert message in str(done.exception)
    assert sorted(plate.iterdir()) == before
