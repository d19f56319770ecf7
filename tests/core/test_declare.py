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


@pytest.mark.parametrize("accepts", [(), (1,), (2, 4)])
def test_dimensions_are_two_or_three(accepts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="accepts"):
        image_function(accepts=accepts)


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
