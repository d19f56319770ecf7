"""Mosaics: where the tiles of a well lie, and one image of all of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.annotations import Gt, Lt
from hcs_lib.core.declare import image_function
from hcs_lib.core.units import Fraction

_STRIP = 256
"""Rows of a mosaic that are blended at a time."""

_SPARSEST = 100
"""How many times the area of its tiles a mosaic may have, before the positions cannot be meant."""


@image_function(
    accepts=(3,), axis="site", special_inputs=("stage_positions", "pixel_size_um", "grid_dimensions"),
    special_outputs=("positions",), shape="hcs_lib.functions.tiles:span_of_tiles", tags=("stitching", "mosaic"),
)  # fmt: skip
def stage_tile_positions(
    tiles: NDArray[Any],
    stage_positions: Sequence[Sequence[float]] | None = None,
    pixel_size_um: Annotated[float, Gt(0)] | None = None,
    grid_dimensions: Sequence[int] | None = None,
    *,
    overlap: Annotated[Fraction, Lt(1)] | None = None,
    order: Literal["rows", "columns", "snake"] = "rows",
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Tell where tiles lie, from the microscope's stage or, where `overlap` is given, from their grid.

    Parameters
    ----------
    tiles
        Planes (n, y, x), any dtype: the sites of a well.
    stage_positions
        Centres (y, x) of the tiles in micrometres, y downwards, in their order.
    pixel_size_um
        Micrometres.
    grid_dimensions
        Rows and columns of the tiles.
    overlap
        Part of a tile's height and width that it shares with its neighbour, 0 to below 1. By default the stage's
        positions hold; with it they are not looked at, and the tiles lie on the grid.
    order
        How the tiles run through the grid: row by row, column by column, or row by row, each second row backwards.

    Returns
    -------
    ndarray
        The tiles, unchanged.
    ndarray
        `positions`, (n, 2) of float64: the first pixel of each tile, (y, x) in pixels from the upper left corner of
        the mosaic, not rounded.

    Raises
    ------
    ValueError
        Where what is needed is not known, or is not of these tiles.
    """
    return tiles, _positions(tiles.shape, stage_positions, pixel_size_um, grid_dimensions, overlap=overlap, order=order)


def span_of_tiles(shape: tuple[int, ...], **where: Any) -> tuple[int, int]:
    """Return rows and columns of the mosaic of a stack (n, y, x), from the arguments of `stage_tile_positions`.

    Raises
    ------
    ValueError
        As `stage_tile_positions` does; and where the mosaic would be far larger than its tiles.
    """
    span = _span(_corners(_positions(shape, **where)), shape)
    if span[0] * span[1] > _SPARSEST * shape[0] * shape[1] * shape[2]:
        raise ValueError(
            f"the mosaic would have {span[0]} × {span[1]} pixels, over {_SPARSEST} times those of its {shape[0]} "
            "tiles: the positions or the size of a pixel are wrong"
        )
    return span


@image_function(
    accepts=(3,), coupling="reduces", axis="site", special_inputs=("positions",), shape="positions",
    dtypes={name: name for name in ("uint8", "uint16", "uint32", "float32", "float64")}, tags=("stitching", "mosaic"),
)  # fmt: skip
def assemble(tiles: NDArray[Any], positions: NDArray[np.float64]) -> NDArray[Any]:
    """Assemble tiles into one image; where they overlap, each counts the more the farther its edge is.

    Weights fall linearly to the edges of a tile, in y and in x, and are multiplied (linear blending of Preibisch
    et al., Bioinformatics 25, 1463 (2009), doi:10.1093/bioinformatics/btp184). Tiles are put at whole pixels, the
    nearest to their positions: interpolating between pixels would smooth them and change their noise. Pixels of one
    tile alone stay as they are, and so do pixels on which all tiles agree.

    Parameters
    ----------
    tiles
        Planes (n, y, x), integer or float, any unit.
    positions
        (n, 2): the first pixel of each tile, (y, x) in pixels, from `stage_tile_positions`.

    Returns
    -------
    ndarray
        Plane (y, x) of the dtype and unit of the tiles that holds all of them; blended integers are rounded half to
        even. Pixels on which no tile lies are 0, of which a warning tells.

    Raises
    ------
    ValueError
        For positions that are not those of the tiles.
    """
    if tiles.ndim != 3 or positions.shape != (len(tiles), 2):
        raise ValueError(
            f"assemble expects tiles (n, y, x) and positions (n, 2), not {tiles.shape} and {positions.shape}"
        )
    corners = _corners(positions)
    height, width = tiles.shape[1:]
    weights = np.outer(_ramp(height), _ramp(width))
    mosaic: NDArray[Any] = np.zeros(_span(corners, tiles.shape), tiles.dtype)
    empty = 0
    for top in range(0, len(mosaic), _STRIP):
        strip = mosaic[top : top + _STRIP]
        total, weight = np.zeros((2, *strip.shape))
        alone = np.zeros(strip.shape, np.uint8)
        for tile, (row, column) in zip(tiles, corners, strict=True):
            first, last = max(row, top), min(row + height, top + len(strip))
            if first >= last:
                continue
            inside = np.s_[first - top : last - top, column : column + width]
            part = np.s_[first - row : last - row]
            total[inside] += weights[part] * tile[part]
            weight[inside] += weights[part]
            alone[inside] += alone[inside] < 2
            strip[inside] = tile[part]
        blended = total[alone == 2] / weight[alone == 2]
        strip[alone == 2] = np.rint(blended) if np.issubdtype(tiles.dtype, np.integer) else blended
        empty += int((alone == 0).sum())
    if empty:
        warnings.warn(
            f"{empty} of {mosaic.size} pixels of the mosaic lie on no tile, and are 0", RuntimeWarning, stacklevel=2
        )
    return mosaic


def _positions(
    shape: tuple[int, ...],
    stage_positions: Sequence[Sequence[float]] | None = None,
    pixel_size_um: float | None = None,
    grid_dimensions: Sequence[int] | None = None,
    *,
    overlap: float | None = None,
    order: str = "rows",
) -> NDArray[np.float64]:
    if overlap is not None:
        return _on_grid(shape, grid_dimensions, overlap, order)
    if stage_positions is None or pixel_size_um is None:
        unknown = "stage positions" if stage_positions is None else "pixel size"
        raise ValueError(f"the {unknown} of the tiles is not known; with `overlap` they are laid out on their grid")
    centres = np.asarray(stage_positions, np.float64)
    if centres.shape != (shape[0], 2):
        raise ValueError(f"expected a position (y, x) of each of {shape[0]} tiles, found {len(stage_positions)}")
    positions: NDArray[np.float64] = (centres - centres.min(axis=0)) / pixel_size_um
    return positions


def _on_grid(shape: tuple[int, ...], grid: Sequence[int] | None, overlap: float, order: str) -> NDArray[np.float64]:
    if grid is None:
        raise ValueError("the grid of the tiles is not known; give `grid_dimensions`, rows and columns")
    rows, columns = grid
    if rows * columns != shape[0]:
        raise ValueError(f"a grid of {rows} × {columns} is not one of {shape[0]} tiles")
    number = np.arange(shape[0])
    row, column = (number % rows, number // rows) if order == "columns" else divmod(number, columns)
    if order == "snake":
        column = np.where(row % 2, columns - 1 - column, column)
    return np.stack([row, column], axis=1) * ((1 - overlap) * np.asarray(shape[1:], np.float64))


def _corners(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the nearest whole pixels, half up, the first at 0."""
    corners: NDArray[np.int64] = np.floor(positions - positions.min(axis=0) + 0.5).astype(np.int64)
    return corners


def _span(corners: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = (corners.max(axis=0) + shape[1:]).tolist()
    return rows, columns


def _ramp(size: int) -> NDArray[np.float64]:
    """Return the distance of pixels to the nearer edge: whole numbers, so that what tiles agree on comes out exact."""
    number = np.arange(size)
    return np.minimum(number + 1, size - number).astype(np.float64)
