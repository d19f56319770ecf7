"""The suite for third parties, on ours and on a toy library."""

from dataclasses import replace

import pytest

from hcs_lib.registry.conformance import RegistryConformance, violations
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.workers import probe_library


class TestSkimage(RegistryConformance):
    registry = get_library("skimage")
    functions = 10


class TestScipyNdimage(RegistryConformance):
    registry = get_library("scipy.ndimage")


class TestScipySignal(RegistryConformance):
    registry = get_library("scipy.signal")


@pytest.mark.torch
class TestTorch(RegistryConformance):
    registry = get_library("torch")

    @pytest.fixture(autouse=True)
    def library(self, installed):
        installed("torch")


@pytest.mark.opencl
class TestPyclesperanto(RegistryConformance):
    registry = get_library("pyclesperanto")
    functions = 4

    @pytest.fixture(autouse=True)
    def device(self, installed):
        installed("pyclesperanto")


class _Cuda(RegistryConformance):
    functions = 10

    @pytest.fixture(autouse=True)
    def device(self, installed):
        installed(self.registry.library_name)


@pytest.mark.gpu
class TestCucim(_Cuda):
    registry = get_library("cucim")


@pytest.mark.gpu
class TestCupyxScipyNdimage(_Cuda):
    registry = get_library("cupyx.scipy.ndimage")


@pytest.mark.gpu
class TestCupyxScipySignal(_Cuda):
    registry = get_library("cupyx.scipy.signal")


class TestHcs(RegistryConformance):
    registry = get_library("hcs")


@pytest.mark.parametrize(
    ("name", "lie", "found"),
    [
        ("smooth", {"coupling": "none"}, "not independent"),
        ("alias", {"coupling": "mixes"}, "are independent"),
        ("smooth", {"accepts": (2,)}, "takes stacks"),
        ("smooth", {"accepts": (3,)}, "takes planes"),
        ("slicewise", {"uncouple": {"axes": [0, 1]}}, "does not uncouple"),
        ("volume_only", {"coupling": "reduces"}, "does not make a plane"),
        ("stretch", {"keeps_scale": True}, "keeps_scale is False"),
        ("smooth", {"keeps_scale": False}, "keeps_scale is True"),
        ("rescale", {"keep_scale": {}}, "keep_scale is {'preserve_range': True}"),
    ],
)
def test_lies_are_found(toy, name, lie, found):
    (entry,) = probe_library(toy, only={f"toy.{name}"}, workers=1)
    assert violations(toy, entry) == []
    assert any(found in problem for problem in violations(toy, replace(entry, **lie)))
