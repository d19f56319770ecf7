"""OME-TIFF: planes as the OME-XML in the first page says, in one file or several, with or without a companion.

A plate stands in the XML (Plate, Well, WellSample); fields have their place in the well from 1. Channels, z and t
count from 1. OME's stage positions have no stated direction; they are taken as x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from xml.etree.ElementTree import Element

from hcs_lib.plates.formats.base import Found, PlaneFile, well_at
from hcs_lib.plates.index import PlaneProblem
from hcs_lib.plates.listing import parent_of
from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.vendorfiles import VendorFileError, number, parse_xml, read_xml, whole, within

_MICROMETRES = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_MOST_PLANES = 1_000_000
"""An image of more is damaged."""


class _Image:
    """One image of the XML: its sizes, channels, planes, and which file and page each plane is."""

    def __init__(self, element: Element, file: str, uuids: Mapping[str, str]) -> None:
        pixels = element.find("Pixels")
        if pixels is None:
            raise VendorFileError(f"its image {element.get('ID')} has no pixels.")
        order = pixels.get("DimensionOrder", "XYCZT")[2:]
        sizes = {axis: whole(pixels.get(f"Size{axis}", "1")) or 0 for axis in "CZT"}
        if sorted(order) != ["C", "T", "Z"] or not 0 < sizes["C"] * sizes["Z"] * sizes["T"] <= _MOST_PLANES:
            raise VendorFileError(f"its image {element.get('ID')} has order {order} and sizes {sizes}.")
        self.pixels, self.order, self.sizes = pixels, order, sizes
        self.channels = pixels.findall("Channel")
        self.planes = {
            tuple(whole(plane.get(f"The{axis}", "0")) for axis in "CZT"): plane for plane in pixels.iterfind("Plane")
        }
        self.pages = dict(self._pages(file, uuids))

    def _pages(self, file: str, uuids: Mapping[str, str]) -> Iterator[tuple[tuple[int, int, int], tuple[str, int]]]:
        """Yield (c, z, t) and the file and page of every plane that a TiffData names."""
        total = self.sizes["C"] * self.sizes["Z"] * self.sizes["T"]
        for data in self.pixels.iterfind("TiffData"):
            first = {axis: whole(data.get(f"First{axis}", "0")) or 0 for axis in "CZT"}
            start, step = 0, 1
            for axis in self.order:
                start += first[axis] * step
                step *= self.sizes[axis]
            ifd = whole(data.get("IFD", "0")) or 0
            uuid = data.find("UUID")
            name = None if uuid is None else uuid.get("FileName") or uuids.get((uuid.text or "").strip())
            path = file if name is None else within(parent_of(file), name)
            if path is None:
                raise VendorFileError(f"it names {name!r}, which lies outside its folder.")
            given = data.get("PlaneCount")
            count = whole(given) if given else (1 if data.get("IFD") is not None else total - start)
            for page in range(min(count or 0, total - start)):
                at, place = {}, start + page
                for axis in self.order:
                    place, at[axis] = divmod(place, self.sizes[axis])
                yield (at["C"], at["Z"], at["T"]), (path, ifd + page)

    def unnamed(self) -> list[tuple[int, int, int]]:
        """Return the planes (c, z, t) for which no file is named."""
        channels, zs, ts = (range(self.sizes[axis]) for axis in "CZT")
        return [at for at in product(channels, zs, ts) if at not in self.pages]

    def metadata(self, c: int, z: int, t: int, sample: Element) -> PlaneMetadata:
        """Return what the XML says of a plane; where it lies, else by the sample of its well."""
        x, y = self._length(self.pixels, "PhysicalSizeX"), self._length(self.pixels, "PhysicalSizeY")
        depth = self._length(self.pixels, "PhysicalSizeZ")
        plane = self.planes.get((c, z, t))
        own = Element("Plane") if plane is None else plane
        channel = self.channels[c] if c < len(self.channels) else Element("Channel")
        z_um = self._length(own, "PositionZ")
        places = [(self._length(of, "PositionX"), self._length(of, "PositionY")) for of in (own, sample)]
        x_um, y_um = next((place for place in places if None not in place), (None, None))
        colour = number(channel.get("Color"))
        return PlaneMetadata(
            pixel_size_um=x if x and y and x > 0 and abs(x - y) <= 0.01 * x else None,
            x_um=x_um,
            y_um=y_um,
            z_um=round(z * depth, 9) if z_um is None and depth else z_um,
            channel=channel.get("Name") or channel.get("Fluor") or None,
            wavelength_nm=number(channel.get("EmissionWavelength")),
            excitation_nm=number(channel.get("ExcitationWavelength")),
            colour=None if colour is None else f"{int(colour) % 2**32 >> 8:06X}",
        )

    @staticmethod
    def _length(element: Element, key: str) -> float | None:
        # Writers that leave out the unit of a position mean micrometres; "reference frame" has no length.
        value, unit = number(element.get(key)), element.get(f"{key}Unit", "µm")
        return None if value is None or unit not in _MICROMETRES else value * _MICROMETRES[unit]


def find(folder: Path, files: Sequence[str]) -> Found:
    """Find the planes of plates of OME-TIFF, as the OME-XML of the first file of each folder that has one says."""
    planes: list[PlaneFile] = []
    problems: list[tuple[str, PlaneProblem]] = []
    lost: list[tuple[str, PlaneProblem]] = []
    roots: set[str] = set()
    companions = [file for file in files if file.lower().endswith(".companion.ome")]
    tiffs = [file for file in files if file.lower().endswith((".ome.tif", ".ome.tiff", ".ome.tf8", ".ome.btf"))]
    described: set[str] = set()
    for file in (*companions, *tiffs):
        if file in described:
            continue
        root = parent_of(file)
        try:
            xml = read_xml(folder / file) if file in companions else parse_xml(_description(folder / file))
            found = list(_planes(xml, file, root))
        except VendorFileError as error:
            problems.append((root, PlaneProblem(kind="unreadable", file=file, message=str(error))))
            continue
        named = [item for item in found if isinstance(item, PlaneFile)]
        lost += [(root, item) for item in found if isinstance(item, PlaneProblem)]
        if named:
            roots.add(root)
            described.update(plane.file for plane in named)
            planes += named
    # The XML of a set of files stands in each of them.
    once = {
        (plane.file, plane.page, plane.well, plane.site, plane.channel, plane.z, plane.t): plane for plane in planes
    }
    # Of a set of files, each may know its own images alone; what a damaged one holds another may name.
    there = {(plane.root, plane.well, plane.site, *at) for plane in planes for at in ((None,), _place(plane))}
    problems = [(root, problem) for root, problem in problems if problem.file not in described]
    problems += [
        (root, problem)
        for root, problem in dict.fromkeys(lost)
        if (root, problem.well, problem.site, *(_place(problem) if problem.channel else (None,))) not in there
    ]
    return Found(tuple(once.values()), problems=tuple(problems), recorded=frozenset(roots))


def _place(of: PlaneFile | PlaneProblem) -> tuple[str | None, int | None, int | None]:
    return of.channel, of.z, of.t


def _description(path: Path) -> bytes:
    from hcs_lib.plates.tiff import PlaneError, read_description

    try:
        text = read_description(path)
    except PlaneError as error:
        raise VendorFileError(str(error)) from None
    if "<OME" not in text:
        raise VendorFileError("its first page has no OME-XML.")
    return text.encode()


def _planes(xml: Element, file: str, root: str) -> Iterator[PlaneFile | PlaneProblem]:
    """Yield the planes of every well, and those for which no file is named."""
    if xml.tag != "OME":
        raise VendorFileError("its XML is not that of OME.")
    uuids = {(uuid.text or "").strip(): uuid.get("FileName", "") for uuid in xml.iter("UUID") if uuid.get("FileName")}
    images = {image.get("ID"): image for image in xml.iterfind("Image")}
    for well_ in xml.iterfind("Plate/Well"):
        row, column = whole(well_.get("Row")), whole(well_.get("Column"))
        well = None if row is None or column is None else well_at(row + 1, column + 1)
        if well is None:
            raise VendorFileError(f"its well {well_.get('ID')} has no row and column of a plate.")
        for site, sample in enumerate(well_.iterfind("WellSample"), start=1):
            reference = sample.find("ImageRef")
            element = None if reference is None else images.get(reference.get("ID"))
            if element is None:
                message = f"{file} has no image of this site."
                yield PlaneProblem(kind="missing", well=well, site=site, message=message)
                continue
            image = _Image(element, file, uuids)
            for (c, z, t), (path, page) in image.pages.items():
                said = image.metadata(c, z, t, sample)
                yield PlaneFile(path, root, None, well, site, str(c + 1), z + 1, t + 1, page, said)
            for c, z, t in image.unnamed():
                yield PlaneProblem(kind="missing", well=well, site=site, channel=str(c + 1), z=z + 1, t=t + 1,
                                   message=f"{file} names no file for this plane.")  # fmt: skip
