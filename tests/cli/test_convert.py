"""`hcs convert`: the same pixels and facts as OME-Zarr; interrupted, it goes on; what is lost is told."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from hcs_lib.cli.convert import convert
from hcs_lib.core.errors import UserError
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.reading import read_plane
from hcs_lib.storage.metadata import read_group


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


@pytest.fixture
def uneven(tmp_path):
    """Write planes of channels, by the (z, t) of each; pixels are well, site, channel, z and t, in decimal."""

    def write(frames, wells=("A01", "C03")):
        for n, well in enumerate(wells, start=1):
            for site, (channel, at) in product((1, 2), frames.items()):
                for z, t in at:
                    path = tmp_path / f"plate/TimePoint_{t}/ZStep_{z}/p_{well}_s{site}_w{channel}.tif"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    value = ((n * 10 + site) * 10 + channel) * 100 + z * 10 + t
                    tifffile.imwrite(path, np.full((16, 16), value, np.uint16))
        return tmp_path / "plate"

    return write


STACK, PLANE = [(1, 1), (2, 1), (3, 1)], [(1, 1)]


def values(folder):
    return {plane.address: read_plane(folder, plane.file, plane.page)[0, 0] for plane in index(folder).planes}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_channels_of_other_z_planes_are_acquisitions(uneven, program, tmp_path, version):
    plate = uneven({1: STACK, 2: PLANE, 3: STACK})
    result = program(plate, "--ome-zarr", version)
    assert (result.exit_code, result.exception) == (0, None)
    assert sorted(result.stdout.splitlines()[:-1]) == ["A01 (1, 3): done", "A01 (2): done", "C03 (1, 3): done",
                                                       "C03 (2): done"]  # fmt: skip
    assert result.stdout.splitlines()[-1].endswith("p.zarr: 2 wells")
    out = tmp_path / "out" / "p.zarr"
    assert (out / "zarr.json").exists() == (version == "0.5")
    # The channels of an acquisition come one after another.
    ours = {address._replace(channel={"1": "1", "2": "3", "3": "2"}[address.channel]): value
            for address, value in values(out).items()}  # fmt: skip
    assert ours == values(plate)
    assert index(out).problems == ()
    plate_of, well_of = read_group(out)["plate"], read_group(out / "C/03")["well"]
    assert plate_of["acquisitions"] == [{"id": 1, "name": "1, 3", "maximumfieldcount": 2},
                                        {"id": 2, "name": "2", "maximumfieldcount": 2}]  # fmt: skip
    assert well_of["images"] == [{"path": path, "acquisition": int(path[-1])} for path in ("1a1", "2a1", "1a2", "2a2")]
    assert not (out / "B").exists()


def test_ngio_reads_acquisitions(uneven, program, tmp_path):
    from ngio import open_ome_zarr_plate

    program(uneven({1: STACK, 2: PLANE}))
    out = tmp_path / "out" / "p.zarr"
    opened = open_ome_zarr_plate(out, mode="r")
    assert opened.acquisition_ids == [1, 2]
    assert opened.get_well(row="C", column="03").paths(acquisition=2) == ["1a2", "2a2"]
    image = opened.get_image(row="C", column="03", image_path="2a1").get_image()
    assert (image.shape, image.channel_labels) == ((1, 3, 16, 16), ["1"])
    assert image.get_as_numpy()[0, :, 0, 0].tolist() == [22111, 22121, 22131]


def test_a_site_that_one_acquisition_lacks_is_left_out_of_all(uneven, program, tmp_path):
    plate = uneven({1: STACK, 2: PLANE})
    (plate / "TimePoint_1/ZStep_1/p_A01_s1_w2.tif").write_bytes(b"")
    for site in (1, 2):
        (plate / f"TimePoint_1/ZStep_2/p_C03_s{site}_w1.tif").unlink()
    result = program(plate)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].endswith("p.zarr: 1 wells, 1 sites left out, 1 wells left out")
    told = [line.split(":")[0] for line in result.stdout.splitlines() if "left out: " in line]
    assert told == ["C03", "A01 site 1"]
    out = tmp_path / "out" / "p.zarr"
    assert {value // 100: address[2:] for address, value in values(out).items() if address.z == 1} == {
        121: ("1", 1, 1), 122: ("2", 1, 1),
    }  # fmt: skip
    assert names(out / "A/01") == ["2a1", "2a2", "zarr.json"]
    assert not (out / "C").exists()


def test_some_channels(uneven, program, tmp_path):
    plate = uneven({1: STACK, 2: PLANE, 3: PLANE})
    assert program(plate, "--channel", "3", "--channel", "2").exit_code == 0
    out = tmp_path / "out" / "p.zarr"
    assert [channel.name for channel in index(out).channels] == ["2", "3"]
    assert "acquisitions" not in read_group(out)["plate"]
    assert names(out / "A/01") == ["1", "2", "zarr.json"]


@pytest.mark.parametrize(("frames", "options", "message"), [
    ({1: [(1, 1), (1, 2)], 2: [(1, 1)]}, [], r"not taken at the same time points: 1 at 1, 2; 2 at 1\. Convert those"),
    ({1: [(1, 1), (2, 1), (1, 2)]}, [], "1: other z-planes were taken at one time point than at another"),
    ({1: PLANE}, ["--channel", "4"], "the plate has no channel '4'. It has 1"),
])  # fmt: skip
def test_channels_that_cannot_be_converted(uneven, program, tmp_path, frames, options, message):
    result = program(uneven(frames), *options)
    assert isinstance(result.exception, UserError)
    assert re.search(message, str(result.exception))
    assert len(str(result.exception).splitlines()) == 1
    assert names(tmp_path / "out") == []


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
