"""Clumps of touching objects and how they are taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def split_clumps(field: NDArray[Any], mask: NDArray[np.bool_], distance: float, neck: float) -> NDArray[np.int32]:
    """Split a mask by a watershed from the maxima of `field`, then join parts without a neck.

    Parameters
    ----------
    field
        Plane (y, x), not negative within the mask; high in the middle of objects.
    mask
        Where objects are.
    distance
        Smallest distance between two maxima, in pixels.
    neck
        Two parts stay apart where the highest pass between them is lower than this fraction of the lower
        maximum; 1 keeps every split.
    """
    from scipy import ndimage
    from skimage.segmentation import watershed

    inside = np.where(mask, field, -1)
    size = 2 * max(1, round(distance / 2)) + 1
    maxima = mask & (inside == ndimage.maximum_filter(inside, size))
    # A plateau is one maximum.
    markers = ndimage.label(maxima, np.ones((3, 3)))[0]
    parts: NDArray[np.int32] = watershed(-inside, markers, mask=mask)
    if neck >= 1:
        return parts
    tops = np.full(int(parts.max()) + 1, np.inf)
    tops[markers[maxima]] = inside[maxima]
    return _join(parts, inside, tops, neck)


def _join(parts: NDArray[Any], field: NDArray[Any], tops: NDArray[Any], neck: float) -> NDArray[np.int32]:
    """Join touching parts whose highest pass exceeds `neck` × the lower of their tops."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    here, there, height = [], [], []
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        a, b = parts[one], parts[other]
        touching = (a != b) & (a > 0) & (b > 0)
        here.append(a[touching])
        there.append(b[touching])
        height.append(np.minimum(field[one][touching], field[other][touching]))
    a, b, passes = np.concatenate(here), np.concatenate(there), np.concatenate(height)
    open_ = passes > neck * np.minimum(tops[a], tops[b])
    graph = coo_array((np.ones(open_.sum(), bool), (a[open_], b[open_])), shape=(len(tops), len(tops)))
    # Background is never joined, and is the first component met: it stays 0.
    components = connected_components(graph, directed=False)[1]
    joined: NDArray[np.int32] = components.astype(np.int32)[parts]
    return joined


def fill_holes(mask: NDArray[np.bool_], max_area: float) -> NDArray[np.bool_]:
    """Fill background which objects enclose, where it has at most `max_area` pixels."""
    from scipy import ndimage

    holes, _ = ndimage.label(~mask)
    fill = np.bincount(holes.ravel()) <= max_area
    # Label 0 is the mask itself; what reaches the border is no hole.
    fill[0] = False
    for side in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        fill[side] = False
    filled: NDArray[np.bool_] = mask | fill[holes]
    return filled


def fill_label_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give background that one object alone encloses to that object; what reaches the border is no hole."""
    from scipy import ndimage

    holes, number = ndimage.label(labels == 0)
    cross = ndimage.generate_binary_structure(2, 1)
    beside = ndimage.maximum_filter(labels, footprint=cross)
    # Background is above every label here, so that the smallest neighbour is an object.
    smallest = ndimage.minimum_filter(np.where(labels == 0, np.iinfo(np.int32).max, labels), footprint=cross)
    parts = np.arange(number + 1)
    highest = ndimage.maximum(beside, holes, parts).astype(np.int32)
    owner = np.where(ndimage.minimum(smallest, holes, parts) == highest, highest, 0)
    for side in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        owner[side] = 0
    filled: NDArray[np.int32] = np.where(labels == 0, owner[holes], labels).astype(np.int32)
    return filled
