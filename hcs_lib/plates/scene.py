"""A synthetic plate of which everything is known: where the nuclei lie, and how the marker answers to the dose.

One world image a well; sites are cut from it where they overlap, so that a nucleus in an overlap is in both.
Lengths are pixels unless they are named `um`; positions are (x, y) of pixel centres from 0, as centroids are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from hcs_lib.core.addresses import canonical_well, parse_well

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.float64]

CHANNELS = (("DNA", 452.0), ("GFP", 520.0))
"""Name and emission (nm) of channels 1 and 2: nuclei, and the marker that moves into them."""

BOTTOM_FRACTION, TOP_FRACTION, EC50_NM, HILL = 0.25, 0.75, 20.0, 1.0
"""The marker's mean in the nucleus over the sum of its means in nucleus and cytoplasm, as a function of dose."""

_DOSES_NM = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_POSITIVE_NM = 1000.0
_GAP = 4.0
_CELL = 10.0
_OFFSET, _READ_NOISE = 100.0, 5.0
_BACKGROUND = {"DNA": 120.0, "GFP": 80.0}
_BRIGHTEST = {"DNA": (0.45, 0.55), "GFP": (0.58, 0.42)}
_FALL = 0.3


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """What the plate is like. The same spec gives the same bytes.

    The first of `columns` is the negative control, the last the positive one, doses stand between. An overlap
    of 26 pixels (10 %) is more than a nucleus is long, so that every nucleus is whole in one site at least.
    """

    seed: int = 20240709
    rows: tuple[str, ...] = ("B", "C", "D")
    columns: tuple[int, ...] = (2, 3, 4, 5)
    grid: tuple[int, int] = (2, 2)
    field: int = 256
    overlap: int = 26
    z_planes: int = 3
    nuclei: tuple[int, int] = (80, 110)
    pixel_size_um: float = 0.65
    z_spacing_um: float = 2.0

    @property
    def wells(self) -> tuple[str, ...]:
        """Canonical names, row by row."""
        return tuple(canonical_well(f"{row}{column}") for row, column in product(self.rows, self.columns))

    @property
    def origins(self) -> tuple[tuple[int, int], ...]:
        """The world position of the first pixel of each site, (x, y), sites counted row by row from 1."""
        step = self.field - self.overlap
        return tuple((column * step, row * step) for row, column in product(*map(range, self.grid)))

    @property
    def world(self) -> tuple[int, int]:
        """Width and height of a well's world image."""
        x, y = self.origins[-1]
        return x + self.field, y + self.field

    @property
    def heights_um(self) -> tuple[float, ...]:
        """Focal height of each z-plane."""
        return tuple((z - (self.z_planes - 1) / 2) * self.z_spacing_um for z in range(self.z_planes))


@dataclass(frozen=True, slots=True)
class Nucleus:
    """An ellipse in the world of a well: centre, semi-axes, angle of the first; and what it looks like."""

    x: float
    y: float
    a: float
    b: float
    angle: float
    height_um: float
    dna: float
    marker: float
    fraction: float

    def distance(self, x: Image, y: Image, grow: float = 0.0) -> Image:
        """Return the distance of points to the edge, negative inside, to first order; the ellipse grown by `grow`."""
        import numpy as np

        cos, sin = math.cos(self.angle), math.sin(self.angle)
        u, v = (x - self.x) * cos + (y - self.y) * sin, (y - self.y) * cos - (x - self.x) * sin
        a, b = self.a + grow, self.b + grow
        radius = np.hypot(u / a, v / b)
        slope = np.hypot(u / a**2, v / b**2)
        distance: Image = np.where(radius > 0.1, (radius - 1) * radius / np.maximum(slope, 1e-9), -b)
        return distance

    @property
    def extent(self) -> tuple[float, float]:
        """Half the width and height of its bounding box."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return math.hypot(self.a * cos, self.b * sin), math.hypot(self.a * sin, self.b * cos)


@dataclass(frozen=True, slots=True)
class WellTruth:
    """One well: its treatment, the nuclear fraction that its dose asks for, and its nuclei."""

    dose_nm: float
    control: str
    nuclear_fraction: float
    nuclei: tuple[Nucleus, ...]


def plan_wells(spec: DemoSpec) -> dict[str, WellTruth]:
    """Decide everything about every well. Each well has random numbers of its own."""
    return {well: _plan_well(spec, well) for well in spec.wells}


def response(dose_nm: float) -> float:
    """Return the nuclear fraction of the marker at a dose (Hill equation)."""
    occupied: float = dose_nm**HILL / (dose_nm**HILL + EC50_NM**HILL)
    return BOTTOM_FRACTION + (TOP_FRACTION - BOTTOM_FRACTION) * occupied


def truth_json(spec: DemoSpec, wells: dict[str, WellTruth]) -> dict[str, Any]:
    """Return spec and truth as JSON data."""
    return {
        "schema_version": 1,
        "spec": asdict(spec),
        "origins_px": spec.origins,
        "response": {"bottom": BOTTOM_FRACTION, "top": TOP_FRACTION, "ec50_nm": EC50_NM, "hill": HILL},
        "wells": {well: asdict(truth) for well, truth in wells.items()},
    }


def render_well(spec: DemoSpec, well: str, truth: WellTruth) -> NDArray[np.uint16]:
    """Return the planes of a well: (site, channel, z, y, x), uint16, as the camera gives them."""
    import numpy as np

    shape = (len(spec.origins), len(CHANNELS), spec.z_planes, spec.field, spec.field)
    planes = np.empty(shape, np.uint16)
    noise = _random(spec, well, "noise")
    light = [_illumination(spec, name) for name, _ in CHANNELS]
    for z, height in enumerate(spec.heights_um):
        for channel, world in enumerate(_worlds(spec, truth.nuclei, height)):
            for site, (x, y) in enumerate(spec.origins):
                electrons = noise.poisson(world[y : y + spec.field, x : x + spec.field] * light[channel])
                counts = electrons + noise.normal(_OFFSET, _READ_NOISE, electrons.shape)
                planes[site, channel, z] = np.clip(np.rint(counts), 0, 65535)
    return planes


def _random(spec: DemoSpec, well: str, purpose: str) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng([spec.seed, *parse_well(well), ("layout", "noise").index(purpose)])


def _plan_well(spec: DemoSpec, well: str) -> WellTruth:
    column = parse_well(well).column + 1
    if column == spec.columns[0]:
        dose, control = 0.0, "neg"
    elif column == spec.columns[-1]:
        dose, control = _POSITIVE_NM, "pos"
    else:
        treated = [name for name in spec.wells if parse_well(name).column + 1 in spec.columns[1:-1]]
        dose, control = _DOSES_NM[treated.index(well) % len(_DOSES_NM)], ""
    return WellTruth(dose, control, response(dose), _place_nuclei(spec, well, response(dose)))


def _place_nuclei(spec: DemoSpec, well: str, fraction: float) -> tuple[Nucleus, ...]:
    """Throw nuclei at random, whole within the world and apart from each other, until the well has its number."""
    random = _random(spec, well, "layout")
    width, height = spec.world
    placed: list[Nucleus] = []
    wanted = int(random.integers(*spec.nuclei, endpoint=True))
    for _ in range(200 * wanted):
        if len(placed) == wanted:
            break
        a = random.uniform(8.5, 11)
        nucleus = Nucleus(
            x=round(random.uniform(a + 2, width - a - 3), 3),
            y=round(random.uniform(a + 2, height - a - 3), 3),
            a=round(a, 3),
            b=round(a * random.uniform(0.75, 0.95), 3),
            angle=round(random.uniform(0, math.pi), 3),
            height_um=round(float(random.normal(0, 0.6)), 3),
            dna=round(1100 * random.lognormal(0, 0.15), 1),
            marker=round(2200 * random.lognormal(0, 0.2), 1),
            fraction=round(float(random.normal(fraction, 0.02)), 4),
        )
        if all(math.dist((nucleus.x, nucleus.y), (n.x, n.y)) >= nucleus.a + n.a + _GAP for n in placed):
            placed.append(nucleus)
    return tuple(placed)


def _worlds(spec: DemoSpec, nuclei: tuple[Nucleus, ...], height_um: float) -> tuple[Image, Image]:
    """Return the light that the nuclei and the marker give, at one focal height."""
    import numpy as np

    width, height = spec.world
    dna = np.full((height, width), _BACKGROUND["DNA"])
    cytoplasm = np.zeros((height, width))
    patches = []
    for nucleus in nuclei:
        defocus = height_um - nucleus.height_um
        blur = math.hypot(0.7, 0.25 * defocus)
        dimming = 1 / (1 + (defocus / 8) ** 2)
        reach = nucleus.a + _CELL + 8 * blur
        rows = slice(max(0, int(nucleus.y - reach)), min(height, int(nucleus.y + reach) + 2))
        columns = slice(max(0, int(nucleus.x - reach)), min(width, int(nucleus.x + reach) + 2))
        y, x = np.mgrid[rows, columns].astype(np.float64)
        mask = _inside(nucleus.distance(x, y), blur)
        dome = 1 - 0.25 * np.clip(np.hypot(x - nucleus.x, y - nucleus.y) / nucleus.a, 0, 1) ** 2
        dna[rows, columns] += nucleus.dna * dimming * dome * mask
        cell = nucleus.marker * (1 - nucleus.fraction) * dimming * _inside(nucleus.distance(x, y, _CELL), 2 * blur)
        cytoplasm[rows, columns] = np.maximum(cytoplasm[rows, columns], cell)
        patches.append((rows, columns, mask, nucleus.marker * nucleus.fraction * dimming))
    # A nucleus displaces the cytoplasm around it, its neighbours' too.
    for rows, columns, mask, value in patches:
        cytoplasm[rows, columns] += (value - cytoplasm[rows, columns]) * mask
    return dna, cytoplasm + _BACKGROUND["GFP"]


def _inside(distance: Image, blur: float) -> Image:
    """Return 1 inside, 0 outside, one half at the edge, over a width of a few `blur`."""
    import numpy as np

    inside: Image = 1 / (1 + np.exp(np.clip(distance / blur, -40, 40)))
    return inside


def _illumination(spec: DemoSpec, channel: str) -> Image:
    """Return the uneven light of one channel: 1 at its brightest, the same in every site."""
    import numpy as np

    y, x = np.mgrid[: spec.field, : spec.field] / spec.field
    bright_x, bright_y = _BRIGHTEST[channel]
    light: Image = 1 - _FALL * 2 * ((x - bright_x) ** 2 + (y - bright_y) ** 2)
    return light
