"""What changes nothing: raw planes, written as they are."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from hcs_lib.core.declare import image_function


@image_function(accepts=(2, 3), generic=True, tags=("identity", "conversion"))
def identity(image: NDArray[Any]) -> NDArray[Any]:
    """Give back the image: a step that keeps it writes it as it is (`hcs convert`).

    Parameters
    ----------
    image
        Plane (y, x) or stack (n, y, x), of any dtype.

    Returns
    -------
    ndarray
        The same array.
    """
    return image
