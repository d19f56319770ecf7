import numpy as np
import pytest

from hcs_lib.core.canonical import canonical_json
from hcs_lib.core.declare import ProcessingContract
from hcs_lib.registry.samples import SHAPE, make_noise, make_sample
from hcs_lib.registry.workers import probe_library

DEADLY = {"toy.spin", "toy.hang", "toy.crash", "toy.crash_once"}


@pytest.fixture(scope="module")
def probed(toy):
    from hcs_lib.registry.discover import candidates

    harmless = {candidate.id for candidate in candidates(toy)} - DEADLY
    return {entry.id.removeprefix("toy."): entry for entry in probe_library(toy, only=harmless)}


@pytest.mark.parametrize(
    ("name", "accepts", "coupling", "contract"),
    [
        ("smooth", (2, 3), "mixes", "FLEXIBLE"),
        ("double", None, None, None),
        ("alias", (2, 3), "none", "FLEXIBLE"),
        ("project", (3,), "reduces", "VOLUMETRIC_TO_SLICE"),
        ("plane_only", (2,), "none", "PURE_2D"),
        ("volume_only", (3,), "mixes", "PURE_3D"),
        ("colour", (2, 3), "channel_last", "PURE_2D"),
        ("slicewise", (2, 3), "mixes", "FLEXIBLE"),
        ("threshold", (2, 3), "mixes", "FLEXIBLE"),
        ("number", (2, 3), "mixes", "FLEXIBLE"),
        ("chatty", (2, 3), "none", "FLEXIBLE"),
    ],
)
def test_contract_is_what_the_values_say(probed, name, accepts, coupling, contract):
    if accepts is None:
        assert name not in probed, "the same function stands under its shortest name only"
        return
    entry = probed[name]
    assert (entry.accepts, entry.coupling, entry.contract) == (accepts, coupling, ProcessingContract[contract])
    assert entry.origin == "probed"
    assert entry.excluded is None


@pytest.mark.parametrize(
    ("name", "returns"),
    [("smooth", "image"), ("project", "image"), ("threshold", "scalar"), ("number", "labels"), ("table", "table"),
     ("peaks", "coordinates"), ("neighbours", "other")],
)  # fmt: skip
def test_kind_of_result(probed, name, returns):
    assert probed[name].returns == returns


def test_dtypes_are_measured(probed):
    assert probed["smooth"].dtypes["uint16"] == "float32"
    assert probed["alias"].dtypes["int64"] == "float64"
    assert probed["chatty"].dtypes["uint8"] == "uint8"


def test_scale_is_measured_and_how_to_keep_it(probed):
    assert probed["rescale"].keeps_scale is False
    assert probed["rescale"].keep_scale == {"preserve_range": True}
    assert probed["smooth"].keeps_scale is True
    assert probed["smooth"].keep_scale == {}


@pytest.mark.parametrize(
    ("name", "kept"),
    [("stretch", False), ("stretch_to_dtype", False), ("logarithm", False), ("invert", True), ("wrap", True),
     ("chatty", True)],
)  # fmt: skip
def test_the_scale_depends_neither_on_the_data_nor_on_the_dtype(probed, name, kept):
    assert probed[name].keeps_scale is kept


def test_images_of_another_size_are_told(probed):
    assert {name for name, entry in probed.items() if entry.resizes} == {"halve"}
    assert (probed["halve"].returns, probed["halve"].keep_size) == ("image", {"full": True})


def test_parameters_that_take_numbers_are_told(probed):
    assert [parameter.annotation for parameter in probed["blur"].parameters] == ["float | Sequence[float]", ""]


def test_uncoupling_is_proven(probed):
    assert probed["slicewise"].uncouple == {"axes": [-2, -1]}
    assert probed["smooth"].uncouple == {}


def test_what_differs_between_two_calls_is_tagged(probed):
    assert "nondeterministic" in probed["noisy"].tags
    assert "nondeterministic" in probed["unwritten"].tags
    assert "nondeterministic" not in probed["smooth"].tags


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("with_model", "needs argument model"),
        ("in_place", "changes its input in place"),
        ("disk", "first argument is no image (radius)"),
        ("imread", "reads, writes or displays"),
    ],
)
def test_exclusions_say_why(probed, name, reason):
    assert reason in probed[name].excluded


def test_private_functions_are_no_candidates(probed):
    assert "_private" not in probed


def test_documentation_and_parameters(probed):
    assert probed["smooth"].doc == "Smooth over all axes."
    parameter = probed["rescale"].parameters[0]
    assert (parameter.name, parameter.default, parameter.required) == ("preserve_range", False, False)
    assert probed["with_model"].parameters[0].required


def test_two_builds_are_the_same_bytes(toy, probed):
    # What `unwritten` returns is what was in memory: it is known as such, and nothing else of its values is.
    assert "nondeterministic" in probed["unwritten"].tags
    known = {name: entry for name, entry in probed.items() if name != "unwritten"}
    again = probe_library(toy, only={entry.id for entry in known.values()}, workers=1)
    assert canonical_json([entry.to_json() for entry in again]) == canonical_json(
        [known[name].to_json() for name in sorted(known)]
    )


def test_hanging_and_crashing_functions_take_nobody_with_them(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_MARKER", str(tmp_path / "marker"))
    entries = {entry.id: entry for entry in probe_library(toy, only={*DEADLY, "toy.smooth"}, seconds=0.5)}
    assert "too long" in entries["toy.spin"].excluded
    assert "hangs" in entries["toy.hang"].excluded
    assert "SIGSEGV" in entries["toy.crash"].excluded
    assert entries["toy.crash_once"].excluded is None
    assert entries["toy.smooth"].excluded is None


def test_probe_images_expose_wrong_contracts():
    assert not {3, 4} & set(SHAPE)
    assert len(set(SHAPE)) == 3
    volume = make_sample("uint16").image
    brightness = [plane[plane > 0].mean() for plane in volume]
    assert len({round(value) for value in brightness}) == len(brightness)
    assert (volume == 0).mean() > 0.2
    labels = make_sample("int32").image
    assert set(np.unique(labels)) == set(range(7))
    assert not make_noise("float32", density=0.6).image[2].any()
