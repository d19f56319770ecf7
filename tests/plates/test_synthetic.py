import json
import math
import shutil

import numpy as np
import pytest
from scipy import ndimage

from hcs_lib.core.errors import UserError
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.platemap import read_platemap
from hcs_lib.plates.reading import read_plane
from hcs_lib.plates.scene import DemoSpec, Nucleus, plan_wells, render_well, response
from hcs_lib.plates.synthetic import load_truth, write_demo


def state(folder):
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
            for path in folder.rglob("*") if path.is_file()}  # fmt: skip


def test_our_own_reader_reads_it(small_demo):
    folder, spec = small_demo
    found = index_plate(folder, plate="demo")
    assert (found.format, found.problems) == ("imagexpress", ())
    assert len(found.planes) == 3 * 4 * 2 * 3
    assert (found.wells, found.sites, found.z, found.t) == (spec.wells, (1, 2, 3, 4), (1, 2, 3), (1,))
    assert [(c.id, c.name, c.wavelength_nm) for c in found.channels] == [("1", "DNA", 452), ("2", "GFP", 520)]
    assert (found.pixel_size_um, found.z_spacing_um, found.grid) == (0.65, 2.0, (2, 2))
    assert (found.shape, found.dtype) == ((128, 128), "uint16")
    first, second, third, _ = (position for position in found.positions if position.well == "B03")
    step = (spec.field - spec.overlap) * spec.pixel_size_um
    assert (second.x_um - first.x_um, second.y_um - first.y_um) == pytest.approx((step, 0), abs=0.02)
    assert (third.x_um - first.x_um, third.y_um - first.y_um) == pytest.approx((0, step), abs=0.02)


def test_it_is_named_as_imagexpress_names_it(small_demo):
    folder, _ = small_demo
    assert sorted(path.name for path in folder.iterdir()) == ["plate", "platemap.csv", "truth.json"]
    assert (folder / "plate/TimePoint_1/ZStep_3/demo_B02_s4_w2.tif").is_file()


def test_the_same_spec_gives_the_same_bytes(small_demo, tmp_path):
    folder, spec = small_demo
    write_demo(tmp_path / "again", spec)
    first, again = state(folder), state(tmp_path / "again")
    assert {name: data for name, (_, data) in first.items()} == {name: data for name, (_, data) in again.items()}


def test_a_well_does_not_depend_on_the_others(spec_of):
    alone, among = spec_of(rows=("B",)), spec_of(rows=("A", "B"))
    one, other = (render_well(spec, "B02", plan_wells(spec)["B02"]) for spec in (alone, among))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, render_well(spec_of(seed=1), "B02", plan_wells(alone)["B02"]))


def test_a_second_call_touches_nothing(small_demo):
    folder, spec = small_demo
    before = state(folder)
    assert write_demo(folder, spec) == folder / "plate"
    assert state(folder) == before


def test_what_was_interrupted_is_completed(small_demo, tmp_path):
    folder, spec = small_demo
    mine = tmp_path / "demo"
    (mine / ".plate.partial" / "TimePoint_1").mkdir(parents=True)
    shutil.copyfile(folder / "truth.json", mine / "truth.json")
    write_demo(mine, spec)
    assert {name: data for name, (_, data) in state(mine).items()} == {
        name: data for name, (_, data) in state(folder).items()
    }


class TestRefuses:
    def test_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("years")
        with pytest.raises(UserError, match="not empty and holds no demo plate"):
            write_demo(tmp_path, DemoSpec())
        assert state(tmp_path).keys() == {"thesis.txt"}

    def test_a_truth_of_something_else(self, tmp_path):
        (tmp_path / "truth.json").write_text('{"answer": 42}')
        with pytest.raises(UserError, match="this is no truth of a demo plate"):
            write_demo(tmp_path)
        assert state(tmp_path).keys() == {"truth.json"}

    def test_a_demo_of_another_spec(self, small_demo, spec_of):
        folder, _ = small_demo
        before = state(folder)
        with pytest.raises(UserError, match="a demo plate of another version"):
            write_demo(folder, spec_of(seed=2))
        assert state(folder) == before

    def test_a_file(self, tmp_path):
        (tmp_path / "demo").touch()
        with pytest.raises(UserError, match="this is a file"):
            write_demo(tmp_path / "demo")


class TestScene:
    def test_every_nucleus_is_whole_in_a_site_and_apart_from_others(self):
        spec = DemoSpec()
        for truth in plan_wells(spec).values():
            assert 80 <= len(truth.nuclei) <= 110
            for nucleus in truth.nuclei:
                wide, high = nucleus.extent
                assert any(
                    wide <= nucleus.x - x <= spec.field - 1 - wide and high <= nucleus.y - y <= spec.field - 1 - high
                    for x, y in spec.origins
                )
            gaps = [
                math.dist((one.x, one.y), (other.x, other.y)) - one.a - other.a
                for index, one in enumerate(truth.nuclei)
                for other in truth.nuclei[:index]
            ]
            assert min(gaps) >= 4

    def test_sites_overlap_by_a_tenth(self):
        spec = DemoSpec()
        assert spec.origins == ((0, 0), (230, 0), (0, 230), (230, 230))
        assert spec.overlap / spec.field == pytest.approx(0.1, abs=0.002)

    def test_the_extent_is_that_of_the_ellipse(self):
        nucleus = Nucleus(20, 30, 11, 6, 0.7, 0, 1, 1, 0.5)
        y, x = np.mgrid[:60, :40].astype(float)
        inside = np.argwhere(nucleus.distance(x, y) <= 0)
        half = (inside.max(axis=0) - inside.min(axis=0) + 1) / 2
        assert nucleus.extent == pytest.approx(half[::-1], abs=0.6)
        assert len(inside) == pytest.approx(math.pi * 11 * 6, rel=0.02)

    def test_the_dose_response(self):
        assert response(0) == 0.25
        assert response(20) == pytest.approx(0.5)
        assert response(1e9) == pytest.approx(0.75)

    def test_controls_and_doses(self):
        wells = plan_wells(DemoSpec())
        assert len(wells) == 12
        assert {name for name, truth in wells.items() if truth.control == "neg"} == {"B02", "C02", "D02"}
        assert {name for name, truth in wells.items() if truth.control == "pos"} == {"B05", "C05", "D05"}
        doses = sorted(truth.dose_nm for truth in wells.values() if not truth.control)
        assert doses == [1, 3, 10, 30, 100, 300]


@pytest.fixture(scope="module")
def planes(small_demo):
    folder, _ = small_demo
    found = index_plate(folder, plate="demo")
    return {plane.address: read_plane(folder, plane.file, plane.page).astype(float) for plane in found.planes}


class TestPixels:
    """Against numbers that are measured here, plainly."""

    def test_the_brightest_part_is_where_the_truth_says(self, small_demo, planes):
        folder, spec = small_demo
        for well, truth in load_truth(folder)["wells"].items():
            for site, (left, top) in enumerate(spec.origins, start=1):
                plane = np.max([planes[well, site, "1", z, 1] for z in (1, 2, 3)], axis=0) - 220
                for nucleus in truth["nuclei"]:
                    x, y = nucleus["x"] - left, nucleus["y"] - top
                    if 14 < x < spec.field - 15 and 14 < y < spec.field - 15:
                        box = (slice(round(y) - 9, round(y) + 10), slice(round(x) - 9, round(x) + 10))
                        labels, _ = ndimage.label(plane[box] > 300)
                        centre = ndimage.center_of_mass(labels == labels[9, 9])
                        found = (centre[1] + round(x) - 9, centre[0] + round(y) - 9)
                        assert found == pytest.approx((x, y), abs=1)

    def test_overlaps_show_the_same_nuclei(self, small_demo, planes):
        _, spec = small_demo
        for well in spec.wells:
            right = ndimage.gaussian_filter(planes[well, 1, "1", 2, 1], 1)[:, -spec.overlap :]
            left = ndimage.gaussian_filter(planes[well, 2, "1", 2, 1], 1)[:, : spec.overlap]
            assert np.corrcoef(right.ravel(), left.ravel())[0, 1] > 0.98

    def test_the_light_is_uneven(self, spec_of):
        spec = spec_of(nuclei=(0, 0))
        planes = render_well(spec, "B02", plan_wells(spec)["B02"])
        background = planes[:, 0, 1].mean(axis=0) - 100
        middle, corner = background[60:81, 47:68].mean(), background[-8:, -8:].mean()
        at = 123.5 / 128
        assert corner / middle == pytest.approx(1 - 0.6 * ((at - 0.45) ** 2 + (at - 0.55) ** 2), abs=0.02)

    def test_the_noise_is_that_of_photons_and_of_the_camera(self, spec_of):
        spec = spec_of(nuclei=(0, 0))
        planes = render_well(spec, "B02", plan_wells(spec)["B02"])[:, 0].reshape(-1, 128, 128).astype(float)
        signal = planes.mean(axis=0) - 100
        assert planes.var(axis=0, ddof=1).mean() == pytest.approx(signal.mean() + 5**2, rel=0.03)

    def test_planes_out_of_focus_are_dimmer(self, planes):
        best = [np.percentile(planes["B03", site, "1", 2, 1], 99.5) for site in (1, 2, 3, 4)]
        for z in (1, 3):
            out = [np.percentile(planes["B03", site, "1", z, 1], 99.5) for site in (1, 2, 3, 4)]
            assert np.mean(out) < 0.98 * np.mean(best)

    def test_the_marker_moves_with_the_dose(self, small_demo, planes):
        folder, spec = small_demo
        truth = load_truth(folder)["wells"]
        for well in spec.wells:
            ratios = []
            for entry in truth[well]["nuclei"]:
                nucleus = Nucleus(**entry)
                x, y = np.rint(nucleus.x), np.rint(nucleus.y)
                if max(x, y) >= spec.field - 24 or min(x, y) < 24:
                    continue
                plane = planes[well, 1, "2", 2, 1] - 180
                ys, xs = np.mgrid[: spec.field, : spec.field].astype(float)
                distance = nucleus.distance(xs, ys)
                ring = (distance > 4) & (distance < 6)
                for other in truth[well]["nuclei"]:
                    if other != entry:
                        ring &= Nucleus(**other).distance(xs, ys) > 16
                if ring.sum() > 20:
                    n, c = plane[distance < -2].mean(), plane[ring].mean()
                    ratios.append(n / (n + c))
            assert np.median(ratios) == pytest.approx(truth[well]["nuclear_fraction"], abs=0.04)


def test_the_platemap(small_demo):
    folder, _ = small_demo
    assert read_platemap(folder / "platemap.csv").wells == {
        "B02": {"compound": "translocator", "dose": "0", "unit": "nM", "control": "neg"},
        "B03": {"compound": "translocator", "dose": "1", "unit": "nM", "control": ""},
        "B04": {"compound": "translocator", "dose": "1000", "unit": "nM", "control": "pos"},
    }


def test_the_truth_names_its_spec(small_demo):
    folder, spec = small_demo
    truth = json.loads((folder / "truth.json").read_text())
    assert truth["spec"]["seed"] == spec.seed
    assert truth["origins_px"] == [[0, 0], [102, 0], [0, 102], [102, 102]]
    assert truth["response"] == {"bottom": 0.25, "top": 0.75, "ec50_nm": 20, "hill": 1}
