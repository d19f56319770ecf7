from typing import Any

import pytest

from hcs_lib.core.declare import DECLARATION, ProcessingContract, image_function


def test_the_function_itself_is_unchanged() -> None:
    def double(image: int) -> int:
        return 2 * image

    marked = image_function(accepts=(2, 3), returns="labels", special_inputs=("seeds",))(double)
    assert marked is double
    assert marked(3) == 6
    declaration = getattr(marked, DECLARATION)
    assert (declaration.accepts, declaration.returns, declaration.special_inputs) == ((2, 3), "labels", ("seeds",))


@pytest.mark.parametrize("accepts", [(), (1,), (2, 4), (3, 2), [2], 2])
def test_dimensions_are_two_or_three(accepts: Any) -> None:
    with pytest.raises(ValueError, match="accepts must be"):
        image_function(accepts=accepts)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"returns": "picture"}, "returns must be image, labels, .*, not 'picture'"),
        ({"coupling": "some"}, "coupling must be none, mixes, reduces, channel_last, not 'some'"),
        ({"memory_type": "jax"}, "memory_type must be numpy, .*, not 'jax'"),
        ({"axis": "sites"}, "axis must be None, site, channel, z, t, not 'sites'"),
        ({"rows": "cells"}, "rows must be objects, sites, not 'cells'"),
        ({"dtypes": "flaot32"}, "dtypes must be same, bool, .*, not 'flaot32'"),
        ({"dtypes": {"uint16": "same"}}, "dtypes must be bool, .*, not 'same'"),
        ({"special_inputs": "labels"}, r"special_inputs must be a tuple, \('labels',\), not 'labels'"),
        ({"tags": "background"}, "tags must be a tuple"),
    ],
)
def test_what_is_not_in_the_vocabulary_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        image_function(**wrong)


def test_a_contract_calls_the_method_of_its_name() -> None:
    called = []

    class Library:
        def __getattr__(self, name: str) -> Any:
            return lambda func, image, *args, **kwargs: called.append((name, image, args, kwargs))

    for contract in ProcessingContract:
        contract.execute(Library(), print, "image", slice_by_slice=True)  # type: ignore[arg-type]
    assert [name for name, *_ in called] == [
        "_execute_pure_2d", "_execute_pure_3d", "_execute_flexible", "_execute_volumetric_to_slice"
    ]  # fmt: skip
    assert all(rest == ["image", (), {"slice_by_slice": True}] for _, *rest in called)
