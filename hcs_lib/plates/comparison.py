"""Results of the demo plate against its truth.

A nucleus that lies whole in a site's image must be found there, within 2 pixels. Overlaps are wider than nuclei,
so every nucleus of the plate is whole in one site at least. Of a nucleus cut by the border an unknown part may
be found or left out: such nuclei, and the objects found on them, are set aside.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.plates.scene import Nucleus
from hcs_lib.plates.synthetic import load_truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

MAX_DISTANCE_PX = 2.0
MAX_COUNT_ERROR = 0.02
FRACTION = "nuclear_fraction"

_WELL, _SITE = "Metadata_Well", "Metadata_Site"
_X, _Y = "Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"


@dataclass(slots=True)
class Comparison:
    """What became of the nuclei that are whole in a site's image, over all sites.

    Attributes
    ----------
    sites, whole, cut
        Images; nuclei whole in an image; nuclei cut by its border, which are set aside.
    missed, extra
        Whole nuclei without an object, and objects on no nucleus.
    distances
        Pixels from each matched nucleus to its object: mutually nearest, within the nucleus.
    nuclear_fraction
        Well to (truth, median found); empty where the results have no such feature.
    """

    sites: int = 0
    whole: int = 0
    cut: int = 0
    missed: int = 0
    extra: int = 0
    distances: list[float] = field(default_factory=list)
    nuclear_fraction: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def count_error(self) -> float:
        """Nuclei missed and objects too many, as a part of the whole nuclei."""
        return (self.missed + self.extra) / self.whole

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation of the wells' nuclear fraction with the truth; None below three wells."""
        import numpy as np

        if len(self.nuclear_fraction) < 3:
            return None
        return float(np.corrcoef(np.array(list(self.nuclear_fraction.values())).T)[0, 1])

    @property
    def holds(self) -> bool:
        """Whether every matched nucleus is within 2 pixels and the count error at most 2 %."""
        return max(self.distances, default=math.inf) <= MAX_DISTANCE_PX and self.count_error <= MAX_COUNT_ERROR


def compare(folder: Path, results: Path) -> Comparison:
    """Compare a plate's results with the truth of the demo.

    Parameters
    ----------
    folder
        The demo's folder, with `truth.json`.
    results
        The plate's results, with `tables/objects.parquet` and `tables/wells.csv`.

    Raises
    ------
    UserError
        Where truth or tables are missing.
    """
    import numpy as np

    truth = load_truth(folder)
    objects = _read_objects(results / "tables" / "objects.parquet")
    size = int(truth["spec"]["field"])
    comparison = Comparison()
    for well, entry in truth["wells"].items():
        nuclei = [Nucleus(**nucleus) for nucleus in entry["nuclei"]]
        for site, (x, y) in enumerate(truth["origins_px"], start=1):
            _compare_site(comparison, nuclei, (x, y), size, objects.get((well, site), np.empty((0, 2))))
    found = _read_fractions(results / "tables" / "wells.csv")
    comparison.nuclear_fraction = {
        well: (entry[FRACTION], found[well]) for well, entry in truth["wells"].items() if well in found
    }
    return comparison


def _compare_site(
    comparison: Comparison, nuclei: list[Nucleus], origin: tuple[int, int], size: int, objects: Points
) -> None:
    import numpy as np

    centres, reach, whole = [], [], []
    for nucleus in nuclei:
        x, y = nucleus.x - origin[0], nucleus.y - origin[1]
        wide, high = nucleus.extent
        if wide <= x <= size - 1 - wide and high <= y <= size - 1 - high:
            centres.append((x, y))
        elif (centre := _visible_centre(nucleus, origin, size)) is not None:
            centres.append(centre)
        else:
            continue
        reach.append(nucleus.a)
        whole.append(centres[-1] == (x, y))
    truth = np.array(centres).reshape(-1, 2)
    is_whole = np.array(whole, bool)
    pairs = _match(truth, np.array(reach), objects)
    matched = {index for index, _, _ in pairs}
    comparison.sites += 1
    comparison.whole += int(is_whole.sum())
    comparison.cut += int((~is_whole).sum())
    comparison.missed += sum(index not in matched for index in np.flatnonzero(is_whole))
    comparison.extra += len(objects) - len(pairs)
    comparison.distances += [distance for index, _, distance in pairs if is_whole[index]]


def _visible_centre(nucleus: Nucleus, origin: tuple[int, int], size: int) -> tuple[float, float] | None:
    """Return the centroid of the pixels of a nucleus within the image; None where it has none."""
    import numpy as np

    centre = np.rint([nucleus.x - origin[0], nucleus.y - origin[1]]).astype(int)
    reach = math.ceil(nucleus.a) + 1
    (left, top), (right, bottom) = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, size)
    y, x = np.mgrid[top : max(top, bottom), left : max(left, right)].astype(np.float64)
    inside = nucleus.distance(x + origin[0], y + origin[1]) <= 0
    return (float(x[inside].mean()), float(y[inside].mean())) if inside.any() else None


def _match(truth: Points, reach: Points, objects: Points) -> list[tuple[int, int, float]]:
    """Return (nucleus, object, distance) of those mutually nearest and no farther apart than `reach`."""
    import numpy as np

    if not len(truth) or not len(objects):
        return []
    distances = np.hypot(*(truth[:, None, :] - objects[None, :, :]).transpose(2, 0, 1))
    nearest_object, nearest_nucleus = distances.argmin(axis=1), distances.argmin(axis=0)
    return [
        (index, int(found), float(distances[index, found]))
        for index, found in enumerate(nearest_object)
        if nearest_nucleus[found] == index and distances[index, found] <= reach[index]
    ]


def _read_objects(path: Path) -> dict[tuple[str, int], Points]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=[_WELL, _SITE, _X, _Y]).to_pydict()
        columns: list[list[Any]] = [table[name] for name in (_WELL, _SITE, _X, _Y)]
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise UserError(Problem(str(path), f"the object table cannot be read: {error}.",
                                "Run the workflow first; --compare takes the plate's results, such as results/demo.")
        ) from None  # fmt: skip
    grouped: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for well, site, x, y in zip(*columns, strict=True):
        grouped.setdefault((well, int(site)), []).append((x, y))
    return {key: np.array(points) for key, points in grouped.items()}


def _read_fractions(path: Path) -> Mapping[str, float]:
    """Return each well's nuclear fraction, where the results have it."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["well"]: float(row[FRACTION]) for row in csv.DictReader(file) if row.get(FRACTION)}
    except OSError as error:
        raise UserError(Problem(str(path), f"the table of wells cannot be read: {error.strerror}.",
                                "Run the workflow first.")) from None  # fmt: skip
