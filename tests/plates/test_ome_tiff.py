import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.errors import UserError
from hcs_lib.plates.formats.ome_tiff import find
from hcs_lib.plates.indexing import index_plate

IMAGE = np.arange(48, dtype=np.uint16).reshape(6, 8)
PLATE = (
    '<Plate ID="Plate:0"><Well ID="W" Row="1" Column="2"><WellSample ID="S" PositionX="1" PositionXUnit="mm" '
    'PositionY="-2" PositionYUnit="mm"><ImageRef ID="Image:0"/></WellSample></Well></Plate>'
)


def ome(data, plate=PLATE, **attributes):
    sizes = {"SizeC": 1, "SizeZ": 1, "SizeT": 1, "DimensionOrder": "XYZCT"} | attributes
    said = " ".join(f'{key}="{value}"' for key, value in sizes.items())
    return f'<OME>{plate}<Image ID="Image:0"><Pixels ID="Pixels:0" {said}>{data}</Pixels></Image></OME>'


@pytest.fixture
def index(tmp_path):
    """Return the index of a plate of one file of some pages, described by a companion."""

    def of(text, pages=1):
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
            for page in range(pages):
                writer.write(IMAGE + page, metadata=None, contiguous=False)
        (tmp_path / "p.companion.ome").write_text(text)
        return index_plate(tmp_path, plate="p")

    return of


FILE = '<UUID FileName="a.ome.tif"/>'


@pytest.mark.parametrize("order", ["XYCZT", "XYCTZ", "XYZCT", "XYZTC", "XYTCZ", "XYTZC"])
def test_pages_come_in_the_order_that_is_said(index, order):
    found = index(ome(f"<TiffData>{FILE}</TiffData>", SizeC=2, SizeZ=3, SizeT=4, DimensionOrder=order), 24)
    assert len(found.planes) == 24
    size = {"C": 2, "Z": 3, "T": 4}
    for plane in found.planes:
        at = {"C": int(plane.channel) - 1, "Z": plane.z - 1, "T": plane.t - 1}
        first, second, third = order[2:]
        assert plane.page == at[first] + size[first] * (at[second] + size[second] * at[third])


def test_single_pages_in_any_order_and_one_that_is_not_named(index):
    data = "".join(f'<TiffData FirstZ="{z}" IFD="{page}">{FILE}</TiffData>' for z, page in ((2, 0), (0, 1)))
    found = index(ome(data, SizeZ=3), 2)
    assert [(plane.z, plane.page) for plane in found.planes] == [(1, 1), (3, 0)]
    assert [(problem.kind, problem.well, problem.z) for problem in found.problems] == [("missing", "B03", 2)]


def test_a_page_that_the_file_lacks(index):
    found = index(ome(f'<TiffData IFD="0" PlaneCount="3">{FILE}</TiffData>', SizeZ=3), 2)
    assert [(problem.kind, problem.z, problem.message) for problem in found.problems] == [
        ("inconsistent", 3, "the file has no page 2, which its metadata name.")
    ]


def test_positions_and_sizes_in_their_units(index):
    sizes = {"PhysicalSizeX": 650, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.65, "PhysicalSizeZ": 2, "SizeZ": 2}
    planes = '<Plane TheC="0" TheZ="0" TheT="0"/><Plane TheC="0" TheZ="1" TheT="0"/>'
    found = index(ome(f"<TiffData>{FILE}</TiffData>{planes}", **sizes), 2)
    assert (found.pixel_size_um, found.z_spacing_um) == (0.65, 2)
    assert [(p.well, p.x_um, p.y_um) for p in found.positions] == [("B03", 1000, -2000)]


def test_positions_of_no_length_are_none(index):
    plate = PLATE.replace('PositionXUnit="mm"', 'PositionXUnit="reference frame"')
    assert index(ome(f"<TiffData>{FILE}</TiffData>", plate)).positions == ()


def test_a_site_without_an_image(index):
    plate = PLATE.replace("</Well>", '<WellSample ID="T"><ImageRef ID="Image:9"/></WellSample></Well>')
    found = index(ome(f"<TiffData>{FILE}</TiffData>", plate))
    assert [(problem.kind, problem.well, problem.site) for problem in found.problems] == [("missing", "B03", 2)]


def test_ome_tiff_without_a_plate_is_read_by_a_pattern(tmp_path):
    tifffile.imwrite(tmp_path / "B03.ome.tif", np.stack([IMAGE, IMAGE]), metadata={"axes": "ZYX"})
    with pytest.raises(UserError, match="Give a pattern"):
        index_plate(tmp_path, plate="p")
    found = index_plate(tmp_path, plate="p", pattern="{well}.ome.tif")
    assert [(plane.well, plane.z) for plane in found.planes] == [("B03", 1), ("B03", 2)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_embedded_metadata_end_in_a_traceback(tmp_path, data):
    text = ome(f"<TiffData>{FILE}</TiffData>").encode()
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 60))
    changed = text[:start] + data.draw(st.binary(max_size=20)) + text[start + length :]
    tifffile.imwrite(tmp_path / "a.ome.tif", IMAGE, metadata=None, description=changed.replace(b"\0", b""))
    assert len(find(tmp_path, ["a.ome.tif"]).planes) <= 1
