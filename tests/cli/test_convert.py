"""`hcs convert`: the same pixels and facts as OME-Zarr; interrupted, it goes on; what is lost is told."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from hcs_lib.cli.convert import convert
from hcs_lib.core.errors import UserError
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.reading import read_plane


@pytest.fixture(scope="module")
def layouts():
    path = Path(__file__).parents[1] / "plates" / "layouts.py"
    spec = importlib.util.spec_from_file_location("layouts", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(tmp_path):
    def run(plate, *options, out="p.zarr"):
        return CliRunner().invoke(convert, [str(plate), str(tmp_path / "out" / out), "--workers", "1", *options])

    return run


def index(folder):
    return index_plate(folder, plate="p")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["harmony", "nd2", "ome_zarr"])
def test_pixels_and_facts_are_those_of_the_plate(layouts, program, tmp_path, kind):
    getattr(layouts, kind)(tmp_path / "plate")
    before = tree(tmp_path / "plate")
    result = program(tmp_path / "plate")
    assert (result.exit_code, result.exception) == (0, None)
    assert result.stdout.splitlines()[-1].endswith("p.zarr: 2 wells")
    assert tree(tmp_path / "plate") == before
    assert names(tmp_path / "out") == ["p.zarr"]
    raw, ours = index(tmp_path / "plate"), index(tmp_path / "out" / "p.zarr")
    assert ours.problems == ()
    for fact in ("wells", "sites", "z", "t", "shape", "dtype", "pixel_size_um", "z_spacing_um", "grid", "positions"):
        assert getattr(ours, fact) == getattr(raw, fact), fact
    assert [channel.name for channel in ours.channels] == [channel.name for channel in raw.channels]
    for one, other in zip(raw.planes, ours.planes, strict=True):
        assert one.address == other.address
        np.testing.assert_array_equal(
            read_plane(tmp_path / "plate", one.file, one.page),
            read_plane(tmp_path / "out" / "p.zarr", other.file, other.page),
        )


@pytest.fixture
def large(tmp_path):
    """Nine wells: three batches."""
    (tmp_path / "plate").mkdir()
    for n in range(1, 10):
        image = np.random.default_rng(n).integers(0, 65536, (64, 64), np.uint16)
        tifffile.imwrite(tmp_path / "plate" / f"p_A{n:02d}_s1_w1.tif", image)
    return tmp_path / "plate"


def test_a_killed_conversion_goes_on_and_ends_the_same(large, program, tmp_path):
    command = [sys.executable, "-m", "hcs_lib.cli.main", "convert", str(large), str(tmp_path / "out/p.zarr"),
               "--workers", "1"]  # fmt: skip
    with subprocess.Popen([*command], stdout=subprocess.PIPE, text=True, start_new_session=True,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:  # fmt: skip
        assert process.stdout.readline() == "A01: done\n"
        os.killpg(process.pid, signal.SIGKILL)
    assert names(tmp_path / "out") == [".p.zarr.work"]
    result = program(large)
    assert result.exit_code == 0
    assert {f"A{n:02d}: done (kept)" for n in range(1, 5)} <= set(result.stdout.splitlines())
    assert program(large, out="../whole/p.zarr").exit_code == 0
    assert tree(tmp_path / "out/p.zarr") == tree(tmp_path / "whole/p.zarr")
    assert names(tmp_path / "out") == names(tmp_path / "whole") == ["p.zarr"]


def test_what_is_lost_is_left_out_and_told(layouts, program, tmp_path):
    layouts.harmony(tmp_path / "plate")
    images = tmp_path / "plate" / "Images"
    (images / "r02c02f01p01-ch1sk1fk1fl1.tiff").unlink()
    result = program(tmp_path / "plate")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith("p.zarr: 2 wells, 1 sites left out")
    assert "B02 site 1: left out: " in result.stdout
    assert index(tmp_path / "out" / "p.zarr").extents["B02"].sites == (2,)
    for file in images.glob("r02c02f02*"):
        file.write_bytes(b"")
    result = program(tmp_path / "plate", out="q.zarr")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].endswith("q.zarr: 1 wells, 1 wells left out")
    assert index(tmp_path / "out" / "q.zarr").wells == ("C03",)


def test_channels_of_other_z_planes_are_named(program, tmp_path):
    for channel, depth in ((1, 2), (2, 1)):
        for z in range(1, depth + 1):
            path = tmp_path / f"plate/ZStep_{z}/p_A01_s1_w{channel}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, np.full((16, 16), z, np.uint16))
    result = program(tmp_path / "plate")
    assert isinstance(result.exception, UserError)
    assert "not taken at the same z-planes and time points" in str(result.exception)
    assert program(tmp_path / "plate", "--channel", "1").exit_code == 0
    assert len(index(tmp_path / "out" / "p.zarr").planes) == 2


@pytest.mark.parametrize(("out", "message"), [
    ("p", "the name of an OME-Zarr plate ends with .zarr"), ("there.zarr", "it is there already"),
    ("../plate/p.zarr", "nothing is written into a plate's folder"), ("a b.zarr", "plate"),
])  # fmt: skip
def test_places_that_cannot_be(large, program, tmp_path, out, message):
    (tmp_path / "out" / "there.zarr").mkdir(parents=True)
    result = program(large, out=out)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
    assert names(tmp_path / "out") == ["there.zarr"]
