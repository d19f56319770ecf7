"""The adapters of kornia: what scipy.ndimage gives, on planes and on stacks. Without kornia, it is named as missing."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from hcs_lib.core.errors import MachineError
from hcs_lib.registry.conformance import RegistryConformance, entries_of
from hcs_lib.registry.libraries import get_library, library_names

RNG = np.random.default_rng(9)
STACK = RNG.integers(0, 65_536, (5, 20, 23)).astype(np.uint16)
KERNEL = np.array([[0.0, 1.0, 2.0], [0.5, -1.0, 0.25], [3.0, 0.0, 1.0]])
FOOTPRINT = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 1]])


def test_where_it_is_missing_only_that_is_said(monkeypatch):
    assert "kornia" in library_names()
    monkeypatch.setattr("hcs_lib.registry.base.installed_version", lambda name: None)
    with pytest.raises(MachineError, match="kornia is not installed"):
        get_library("kornia").versions()


def test_where_it_cannot_be_imported(monkeypatch):
    for name in [name for name in sys.modules if ".adapters.kornia" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(MachineError, match="kornia cannot be imported: "):
        get_library("kornia").get_library_object()


@pytest.mark.kornia
class TestKornia(RegistryConformance):
    registry = get_library("kornia")
    functions = 6

    @pytest.fixture(autouse=True)
    def library(self):
        try:
            self.registry.get_library_object()
        except MachineError as error:
            pytest.skip(str(error))
        return {entry.id: entry for entry in entries_of(self.registry)}  # not installed by CI, probed once

    @pytest.mark.parametrize(
        ("name", "arguments", "expected"),
        [
            ("filters.filter2d", {"kernel": KERNEL.tolist()},
             lambda plane: ndimage.correlate(plane.astype(float), KERNEL, mode="mirror")),
            ("filters.box_blur", {"kernel_size": (3, 5)},
             lambda plane: ndimage.uniform_filter(plane.astype(float), (3, 5), mode="mirror")),
            ("filters.median_blur", {"kernel_size": 3}, lambda plane: ndimage.median_filter(plane, 3, mode="mirror")),
            ("morphology.dilation", {"kernel": FOOTPRINT.tolist()},
             lambda plane: ndimage.grey_dilation(plane, footprint=FOOTPRINT, mode="constant", cval=0)),
            ("morphology.erosion", {"kernel": FOOTPRINT.tolist()},
             lambda plane: ndimage.grey_erosion(plane, footprint=FOOTPRINT, mode="constant", cval=65_535)),
        ],
    )  # fmt: skip
    def test_numbers(self, library, name, arguments, expected):
        entry = library[f"kornia.{name}"]
        function = self.registry.function(entry.target)
        planes = np.stack([expected(plane) for plane in STACK])
        for image, wanted in ((STACK, planes), (STACK[2], planes[2])):
            found = self.registry.pull(function(self.registry.push(image), **arguments))
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=0.5)
