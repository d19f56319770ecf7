import pytest

from hcs_lib.storage.colours import display_colours


@pytest.mark.parametrize(
    ("names", "microscope", "wavelengths", "colours"),
    [
        (["GFP", "DNA"], [], [], ["00FF00", "0000FF"]),
        (["1", "2"], [], [], ["0000FF", "00FF00"]),
        (["Actin", "DAPI", "Tubulin"], [], [], ["00FF00", "0000FF", "FF0000"]),
        (["w1", "w2"], [], [520.0, 700.0], ["00FF00", "FF0000"]),
        (["phase"], [], [], ["FFFFFF"]),
        # The microscope's own colours go first, but for black and for those that tell no channel from another.
        (["DAPI", "w2"], ["002DFF", None], [None, 525.0], ["002DFF", "00FF00"]),
        (["DAPI", "w2"], ["000000", "FF8000"], [], ["0000FF", "FF8000"]),
        (["DAPI", "GFP", "x"], ["FFFFFF", "FFFFFF", "FFFFFF"], [], ["0000FF", "00FF00", "FF0000"]),
        (["DAPI", "x"], ["00FF00", None], [], ["00FF00", "0000FF"]),
    ],
)
def test_channels_have_the_colours_that_people_expect(
    names: list[str], microscope: list[str | None], wavelengths: list[float | None], colours: list[str]
) -> None:
    assert display_colours(names, microscope, wavelengths) == colours


def test_many_channels_repeat_colours_as_late_as_they_can() -> None:
    found = display_colours([str(number) for number in range(8)])
    assert len(found) == 8
    assert len(set(found[:6])) == 6
