import pytest
import tifffile

from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import read_metaseries, write_metaseries


def test_a_plane_of_a_microscope(shared_data):
    path = shared_data / "imagexpress-exported/9987_Plate_3434/TimePoint_1/ZStep_3/9987_B03_s2_w1.TIF"
    with tifffile.TiffFile(path) as tif:
        assert read_metaseries(tif.pages[0].description) == PlaneMetadata(
            1.3672, 32300, 19885, 9996.88, "DAPI", 452, acquired="2024-07-09T13:13:15.690000"
        )


@pytest.mark.parametrize(
    "metadata",
    [PlaneMetadata(0.65, 12.5, -3.25, 100.125, 'a<b> & "c"', 452.0), PlaneMetadata(None, None, None, None, None, None)],
)
def test_what_is_written_is_read(metadata):
    assert read_metaseries(write_metaseries(metadata, (6, 8), "B02 : Site 1")) == metadata


def description(**values):
    text = write_metaseries(PlaneMetadata(0.65, 0, 0, 0, "DNA", 452), (6, 8), "")
    for old, new in values.values():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"um"', '"Pixel"'),
        ('"bool" value="on"', '"bool" value="off"'),
        ('calibration-y" type="float" value="0.65"', 'calibration-y" type="float" value="0.70"'),
        ('calibration-x" type="float" value="0.65"', 'calibration-x" type="float" value="none"'),
    ],
)
def test_pixels_without_one_size_in_micrometres(old, new):
    found = read_metaseries(description(change=(old, new)))
    assert found == PlaneMetadata(None, 0, 0, 0, "DNA", 452)


def test_the_image_name_stands_in_for_the_illumination():
    found = read_metaseries(description(a=("_IllumSetting_", "other"), b=('value="DNA"', 'value="Copy of Cy3"')))
    assert found.channel == "Cy3"


@pytest.mark.parametrize("text", ["", "ImageJ=1.53", "<MetaData><PlaneInfo>", "<MetaData>&nonsense;</MetaData>"])
def test_no_metaseries(text):
    assert read_metaseries(text) is None
