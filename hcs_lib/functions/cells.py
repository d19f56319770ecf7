"""Cells and cytoplasm, grown from nuclei: every object keeps the label of its nucleus."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.annotations import Above, Gt
from hcs_lib.core.declare import image_function
from hcs_lib.core.units import Pixels
from hcs_lib.functions.background import estimate_background
from hcs_lib.functions.checks import require_labels, require_plane
from hcs_lib.functions.declumping import fill_label_holes


@image_function(
    returns="labels", dtypes={"int32": "int32", "int64": "int32"}, tags=("segmentation", "cytoplasm", "ring")
)
def expand_ring(labels: NDArray[Any], *, inner: Pixels, outer: Annotated[Pixels, Above("inner")]) -> NDArray[np.int32]:
    """Grow a ring around every object: a stand-in for the cytoplasm where no cell stain is.

    A pixel belongs to the nearest object (Euclidean distance between pixel centres), as in CellProfiler's
    IdentifySecondaryObjects, method "Distance - N", less the object itself.

    Parameters
    ----------
    labels
        Labels (y, x), 0 background.
    inner, outer
        The ring holds the pixels farther than `inner` and at most `outer` pixels from the object. No object
        is part of any ring, and no ring takes what is nearer to a neighbour.

    Returns
    -------
    ndarray of int32
        Rings with the labels of their objects. An object that is walled in has none.

    Raises
    ------
    ValueError
        For an array that is no labels, or unless 0 ≤ inner < outer.
    """
    from scipy import ndimage

    require_labels("expand_ring", labels)
    if not labels.any():
        return np.zeros(labels.shape, np.int32)
    distance, (y, x) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    ring = (distance > inner) & (distance <= outer)
    rings = np.zeros(labels.shape, np.int32)
    rings[ring] = labels[y[ring], x[ring]]
    return rings


@image_function(
    returns="labels", dtypes="int32", special_inputs=("nuclei",), tags=("segmentation", "cells", "watershed")
)
def propagate_cells(
    image: NDArray[Any],
    *,
    nuclei: NDArray[Any],
    smoothing: Pixels = 1.0,
    threshold: Literal["li", "otsu"] | float = "li",
    background_radius: Annotated[Pixels, Gt(0)] | None = None,
    regularisation: Annotated[float, Gt(0)] = 0.1,
    max_distance: Annotated[Pixels, Gt(0)] | None = None,
) -> NDArray[np.int32]:
    """Grow nuclei into cells over the foreground of a cell stain.

    Every foreground pixel goes to the nucleus from which the path is shortest, where a step costs
    √((Δ/s)² + λ²d²): Δ the change of brightness, s its standard deviation over the foreground, d the length
    of the step, 1 or √2 pixels (Jones, Carpenter & Golland 2005, "Voronoi-based segmentation of cells on image
    manifolds"; CellProfiler's IdentifySecondaryObjects, method "Propagation").

    Parameters
    ----------
    image
        Plane (y, x) of the cell stain, integer or float, any unit. Its values are not rescaled.
    nuclei
        Labels (y, x) of the nuclei.
    smoothing
        Standard deviation of the Gaussian, in pixels; 0 for none.
    threshold
        `li` (minimum cross-entropy, Li & Lee 1993), `otsu` (Otsu 1979), or a number: brightness (above the
        background, where `background_radius` is given) in the unit of the image.
    background_radius
        Half the window of the background, in pixels: see `subtract_background`. Default: no background is
        taken off, because cells often leave none.
    regularisation
        λ: near 0, borders between cells follow the edges of the stain; from 1 on, they lie half way between
        the nuclei. No unit: brightness is measured by its own spread, so that the bit depth does not matter.
    max_distance
        Largest distance of a cell's pixel from the nearest nucleus, in pixels. Default: no limit.

    Returns
    -------
    ndarray of int32
        Cells with the labels of their nuclei. Every nucleus has a cell, which contains it; foreground that is
        not connected to a nucleus is left out, and holes within one cell are filled.

    Raises
    ------
    ValueError
        For arrays that are no plane, not finite or of different shapes, and for arguments out of range.
    """
    from scipy import ndimage
    from skimage.filters import threshold_li, threshold_otsu

    require_plane("propagate_cells", image)
    require_labels("propagate_cells", nuclei, image.shape)
    height = ndimage.gaussian_filter(image.astype(np.float32), smoothing)
    if background_radius is not None:
        height -= estimate_background(height, background_radius)
    if isinstance(threshold, str):
        threshold = float((threshold_li if threshold == "li" else threshold_otsu)(height))
    foreground = (height > threshold) | (nuclei > 0)
    if max_distance is not None:
        foreground &= ndimage.distance_transform_edt(nuclei == 0) <= max_distance
    return fill_label_holes(_propagate(height, nuclei, foreground, regularisation))


def _propagate(
    height: NDArray[Any], nuclei: NDArray[Any], foreground: NDArray[np.bool_], regularisation: float
) -> NDArray[np.int32]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    cells = nuclei.astype(np.int32)
    seeds = cells[foreground]
    if not seeds.any():
        return cells
    node = np.empty(foreground.shape, np.int32)
    node[foreground] = np.arange(seeds.size, dtype=np.int32)
    spread = float(height[foreground].std()) or 1.0
    starts, ends, costs = [], [], []
    # Right, down, and the two diagonals: with undirected edges, all eight neighbours.
    for one, other, length in (
        (np.s_[:, :-1], np.s_[:, 1:], 1), (np.s_[:-1], np.s_[1:], 1),
        (np.s_[:-1, :-1], np.s_[1:, 1:], 2), (np.s_[:-1, 1:], np.s_[1:, :-1], 2),
    ):  # fmt: skip
        inside = foreground[one] & foreground[other]
        change = (height[one][inside] - height[other][inside]) / spread
        starts.append(node[one][inside])
        ends.append(node[other][inside])
        costs.append(np.sqrt(change**2 + length * regularisation**2))
    edges = (np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends)))
    graph = csr_array(edges, shape=(seeds.size, seeds.size))
    source = dijkstra(
        graph, directed=False, indices=np.flatnonzero(seeds), return_predecessors=True, min_only=True
    )[2]  # fmt: skip
    # A pixel that no path reaches has a negative source.
    cells[foreground] = np.where(source >= 0, seeds[np.maximum(source, 0)], 0)
    return cells


@image_function(
    returns="labels",
    dtypes={"int32": "int32", "int64": "int32"},
    special_inputs=("inner",),
    generic=True,
    tags=("segmentation", "cytoplasm", "labels"),
)
def subtract_labels(labels: NDArray[Any], *, inner: NDArray[Any]) -> NDArray[np.int32]:
    """Take objects out of the objects that hold them: cytoplasm is cell less nucleus.

    As CellProfiler's IdentifyTertiaryObjects without shrinking.

    Parameters
    ----------
    labels
        Labels (y, x) of the outer objects, such as cells.
    inner
        Labels (y, x) of what is taken out, such as nuclei, whatever their numbers.

    Returns
    -------
    ndarray of int32
        What is left, with the labels of the outer objects. An object that is covered wholly is gone.

    Raises
    ------
    ValueError
        For arrays that are no labels, or of different shapes.
    """
    require_labels("subtract_labels", labels)
    require_labels("subtract_labels", inner, labels.shape)
    left: NDArray[np.int32] = np.where(inner > 0, 0, labels).astype(np.int32)
    return left
