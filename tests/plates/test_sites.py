import pytest
import tifffile

from hcs_lib.plates.index import StagePosition
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import write_metaseries
from hcs_lib.plates.sites import site_grid


def positions(*wells):
    return [
        StagePosition(well=f"A{well:02d}", site=site, x_um=x, y_um=y)
        for well, sites in enumerate(wells, start=1)
        for site, (x, y) in enumerate(sites, start=1)
    ]


GRID_2X3 = [(100.3, 0.2), (0, 0), (200, 0.1), (0.4, 90), (100, 90.2), (200, 89.9)]


def test_rows_and_columns_in_any_order_of_sites():
    assert site_grid(positions(GRID_2X3, GRID_2X3[::-1]), 6, (100, 110), 1.0) == (2, 3)


def test_a_well_that_lacks_a_site_does_not_decide():
    assert site_grid(positions(GRID_2X3, GRID_2X3[:4]), 6, (100, 110), 1.0) == (2, 3)


@pytest.mark.parametrize(
    ("wells", "sites", "pixel_size"),
    [
        ([GRID_2X3], 6, None),
        ([[(0, 0), (100, 100)]], 2, 1.0),
        ([[(0, 0), (100, 0)], [(0, 0), (0, 100)]], 2, 1.0),
        ([], 2, 1.0),
    ],
)
def test_no_grid_where_positions_do_not_make_one(wells, sites, pixel_size):
    assert site_grid(positions(*wells), sites, (100, 110), pixel_size) is None


def test_one_site_is_a_grid():
    assert site_grid([], 1, (100, 110), None) == (1, 1)


def test_files_that_disagree_are_told(tmp_path):
    import numpy as np

    for site, (size, name) in enumerate([(0.5, "DNA"), (0.5, "DNA"), (1.0, "GFP")], start=1):
        text = write_metaseries(PlaneMetadata(size, 0, 100 * site, 0, name, None), (6, 8), "")
        tifffile.imwrite(
            tmp_path / f"p_A01_s{site}_w1.tif", np.zeros((6, 8), np.uint16), description=text, metadata=None
        )
    found = index_plate(tmp_path, plate="p")
    assert (found.pixel_size_um, found.channels[0].name) == (0.5, "DNA")
    assert [(problem.kind, problem.file) for problem in found.problems] == [("inconsistent", "p_A01_s3_w1.tif")] * 2
    assert {problem.message for problem in found.problems} == {
        "the pixel size is 1.0 here (1 file(s) differ) and 0.5 in most: 0.5 is used.",
        "the name of channel 1 is GFP here (1 file(s) differ) and DNA in most: DNA is used.",
    }


def test_channels_of_one_name_are_told_apart(tmp_path):
    import numpy as np

    for channel, name in ((1, "GFP"), (2, "GFP"), (3, "DNA")):
        text = write_metaseries(PlaneMetadata(1, 0, 0, 0, name, None), (6, 8), "")
        tifffile.imwrite(
            tmp_path / f"p_A01_w{channel}.tif", np.zeros((6, 8), np.uint16), description=text, metadata=None
        )
    assert [channel.name for channel in index_plate(tmp_path, plate="p").channels] == ["GFP-1", "GFP-2", "DNA"]
