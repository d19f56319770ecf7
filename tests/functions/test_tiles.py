"""Tiles go where the stage was, and what was one image comes out as it was."""

import csv

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from hcs_lib.functions.tiles import assemble, span_of_tiles, stage_tile_positions

TILES = np.zeros((6, 40, 50), np.uint16)


def positions(**where):
    return stage_tile_positions(TILES, **where)[1]


def agreement(mosaic, tiles, corners):
    """Return the correlation of each tile with the mosaic where it lies."""
    places = corners.astype(int)
    return np.array([np.corrcoef(part.ravel(), tile.ravel())[0, 1]
                     for part, tile in zip(cut(mosaic, places, tiles.shape[1:]), tiles, strict=True)])  # fmt: skip


def cut(world, corners, shape):
    return np.stack([world[y : y + shape[0], x : x + shape[1]] for y, x in corners])


def test_positions_of_the_stage_are_corners_in_pixels_from_the_upper_left():
    stage = [(1000 + 20 * y, -500 + 22.5 * x) for y in range(2) for x in range(3)]
    tiles, found = stage_tile_positions(TILES, stage, 0.5)
    assert tiles is TILES
    np.testing.assert_allclose(found, [(40 * y, 45 * x) for y in range(2) for x in range(3)])
    assert span_of_tiles(TILES.shape, stage_positions=stage, pixel_size_um=0.5) == (80, 140)


@pytest.mark.parametrize(
    ("order", "corners"),
    [
        ("rows", [(0, 0), (0, 40), (0, 80), (32, 0), (32, 40), (32, 80)]),
        ("snake", [(0, 0), (0, 40), (0, 80), (32, 80), (32, 40), (32, 0)]),
        ("columns", [(0, 0), (32, 0), (0, 40), (32, 40), (0, 80), (32, 80)]),
    ],
)
def test_positions_on_a_grid(order, corners):
    where = {"grid_dimensions": [2, 3], "overlap": 0.2, "order": order}
    np.testing.assert_allclose(positions(**where), corners)
    assert span_of_tiles(TILES.shape, **where) == (72, 130)


def test_the_stage_is_not_looked_at_where_an_overlap_is_given():
    where = {"grid_dimensions": [1, 6], "overlap": 0, "stage_positions": [(0, 0)] * 6, "pixel_size_um": 1.0}
    np.testing.assert_array_equal(positions(**where)[:, 1], np.arange(6) * 50)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, "the stage positions of the tiles is not known; with `overlap` they are laid out on their grid"),
        ({"stage_positions": [(0, 0)] * 6}, "the pixel size of the tiles is not known"),
        ({"stage_positions": [(0, 0)] * 5, "pixel_size_um": 1.0}, "of each of 6 tiles, found 5"),
        ({"overlap": 0.1}, "the grid of the tiles is not known"),
        ({"overlap": 0.1, "grid_dimensions": (2, 2)}, "a grid of 2 × 2 is not one of 6 tiles"),
        ({"overlap": 1.0, "grid_dimensions": (2, 3)}, "from 0 to below 1, found 1"),
    ],
)
def test_what_is_not_known_is_not_guessed(where, message):
    with pytest.raises(ValueError, match=message):
        positions(**where)


def test_a_mosaic_that_cannot_be_meant_is_refused():
    stage = [(0, 1000 * number) for number in range(6)]
    with pytest.raises(ValueError, match="40 × 50000050 pixels, over 100 times those of its 6 tiles"):
        span_of_tiles(TILES.shape, stage_positions=stage, pixel_size_um=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    world=numpy_st.arrays(st.sampled_from(["uint8", "uint16", "uint32", "float32"]), (61, 83),
                          elements={"min_value": 0, "max_value": 200}),
    offsets=st.lists(st.tuples(st.floats(0, 0.49), st.floats(0, 0.49)), min_size=4, max_size=4),
    step=st.tuples(st.integers(12, 21), st.integers(20, 30)),
)  # fmt: skip
def test_an_image_cut_into_tiles_comes_out_as_it_was(world, offsets, step):
    """Whatever the overlap, and where the stage is off by less than half a pixel."""
    corners = [(0, 0), (0, step[1]), (step[0], 0), (step[0], step[1])]
    tiles = cut(world, corners, (21, 30))
    where = np.asarray(corners) + np.asarray([(0.0, 0.0), *offsets[1:]])
    mosaic = assemble(tiles, where)
    assert mosaic.dtype == world.dtype
    np.testing.assert_array_equal(mosaic, world[: step[0] + 21, : step[1] + 30])


def test_tiles_are_blended_linearly_where_they_differ():
    tiles = np.stack([np.full((5, 8), 100, np.uint16), np.full((5, 8), 200, np.uint16)])
    mosaic = assemble(tiles, np.array([[0.0, 0.0], [0.0, 4.0]]))
    # Weights of the columns that both have: 4 3 2 1 of the one, 1 2 3 4 of the other.
    np.testing.assert_array_equal(mosaic, [[100] * 4 + [120, 140, 160, 180] + [200] * 4] * 5)


def test_a_long_mosaic_is_blended_as_a_short_one():
    """Strips of rows do not show."""
    rng = np.random.default_rng(3)
    tiles = rng.integers(0, 60000, (3, 300, 20)).astype(np.uint16)
    corners = np.array([[0, 0], [270, 3], [500, 0]])
    total, weight = np.zeros((2, 800, 23))
    near = [np.minimum(np.arange(size) + 1, size - np.arange(size)) for size in (300, 20)]
    for tile, (y, x) in zip(tiles, corners, strict=True):
        total[y : y + 300, x : x + 20] += np.outer(*near) * tile
        weight[y : y + 300, x : x + 20] += np.outer(*near)
    with pytest.warns(RuntimeWarning, match=f"{(weight == 0).sum()} of 18400 pixels of the mosaic lie on no tile"):
        mosaic = assemble(tiles, corners.astype(float))
    np.testing.assert_array_equal(mosaic, np.rint(np.divide(total, weight, where=weight > 0, out=total * 0)))


def test_values_are_not_rescaled():
    tiles = np.full((2, 4, 4), 65535, np.uint16)
    assert (assemble(tiles, np.array([[0.0, 0.0], [0.0, 2.0]])) == 65535).all()
    small = np.full((2, 4, 4), 1e-30)
    np.testing.assert_allclose(assemble(small, np.array([[0.0, 0.0], [0.0, 2.0]])), 1e-30)


def test_positions_of_other_tiles_are_refused():
    with pytest.raises(ValueError, match=r"tiles \(n, y, x\) and positions \(n, 2\), not \(6, 40, 50\) and \(5, 2\)"):
        assemble(TILES, np.zeros((5, 2)))


def test_a_row_of_real_tiles(shared_data):
    """Registered positions of ImageJ: the mosaic has their extent, and pixels of one tile alone are its own."""
    folder = shared_data / "stitch-row"
    with (folder / "truth/positions.csv").open() as file:
        rows = list(csv.DictReader(file))
    tiles = np.stack([tifffile.imread(folder / "tiles" / row["tile"]) for row in rows])
    corners = np.array([(int(row["imagej_y_px"]), int(row["imagej_x_px"])) for row in rows])
    centres = [(y + 929 / 2, x + 594 / 2) for y, x in corners]
    _, found = stage_tile_positions(tiles, centres, 1.0)
    np.testing.assert_array_equal(found, corners - corners.min(axis=0))
    with pytest.warns(RuntimeWarning, match="lie on no tile"):
        mosaic = assemble(tiles, found)
    assert mosaic.shape == (929 + 10, 1414 + 594) == span_of_tiles(tiles.shape, stage_positions=centres,
                                                                   pixel_size_um=1.0)  # fmt: skip
    np.testing.assert_array_equal(mosaic[10:939, :298], tiles[0][:, :298])
    np.testing.assert_array_equal(mosaic[:929, -242:], tiles[5][:, -242:])
    # Registered tiles agree with the mosaic; less so where the stage was to be.
    nominal = np.array([(0.0, float(row["nominal_x_px"])) for row in rows])
    registered, planned = agreement(mosaic, tiles, found), agreement(assemble(tiles, nominal), tiles, nominal)
    assert (registered > planned).all()
    assert registered[1:5].min() > 0.86 > planned[1:5].max()
