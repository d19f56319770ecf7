"""How a function says what it is: `ProcessingContract`, its vocabulary, and the decorator `image_function`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

MemoryType = Literal["numpy", "cupy", "torch", "pyclesperanto"]
Coupling = Literal["none", "mixes", "reduces", "channel_last"]
Returns = Literal["image", "labels", "mask", "scalar", "table", "coordinates", "tuple", "list", "other"]
Axis = Literal["site", "channel", "z", "t"]
Rows = Literal["objects", "sites"]
DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64",
)  # fmt: skip


class ContractRegistry(Protocol):
    """What a contract needs of a library: one method for each of its members."""

    def _execute_pure_2d(self, func: Callable[..., Any], image: Any, *args: Any, **kwargs: Any) -> Any: ...
    def _execute_pure_3d(self, func: Callable[..., Any], image: Any, *args: Any, **kwargs: Any) -> Any: ...
    def _execute_flexible(self, func: Callable[..., Any], image: Any, *args: Any, **kwargs: Any) -> Any: ...
    def _execute_volumetric_to_slice(self, func: Callable[..., Any], image: Any, *args: Any, **kwargs: Any) -> Any: ...


class ProcessingContract(Enum):
    """How a function takes a plane (y, x) or a stack (n, y, x).

    The value is the method of a library's registry that keeps the contract.
    """

    PURE_2D = "_execute_pure_2d"
    """Planes only: a stack is processed slice by slice."""
    PURE_3D = "_execute_pure_3d"
    """Stacks only: a plane is refused."""
    FLEXIBLE = "_execute_flexible"
    """Both, volume in, volume out."""
    VOLUMETRIC_TO_SLICE = "_execute_volumetric_to_slice"
    """Stack in, plane out."""

    def execute(
        self, registry: ContractRegistry, func: Callable[..., Any], image: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Call `func` on `image` as this contract says."""
        return getattr(registry, self.value)(func, image, *args, **kwargs)


class Declaration(NamedTuple):
    """What a function says of itself. See `image_function` for the meaning of each field."""

    accepts: tuple[int, ...]
    returns: Returns
    coupling: Coupling
    memory_type: MemoryType
    axis: Axis | None
    special_inputs: tuple[str, ...]
    special_outputs: tuple[str, ...]
    dtypes: Mapping[str, str] | str
    keeps_scale: bool
    tags: tuple[str, ...]
    columns: str | None
    rows: Rows
    shape: str | None
    uncouple: Mapping[str, Any]
    generic: bool


F = TypeVar("F", bound=Callable[..., Any])

DECLARATION = "__hcs__"
"""The attribute under which a declared function carries its `Declaration`."""


def image_function(
    *,
    accepts: tuple[int, ...] = (2,),
    returns: Returns = "image",
    coupling: Coupling = "none",
    memory_type: MemoryType = "numpy",
    axis: Axis | None = None,
    special_inputs: tuple[str, ...] = (),
    special_outputs: tuple[str, ...] = (),
    dtypes: Mapping[str, str] | str = "same",
    keeps_scale: bool = True,
    tags: tuple[str, ...] = (),
    columns: str | None = None,
    rows: Rows = "objects",
    shape: str | None = None,
    uncouple: Mapping[str, Any] | None = None,
    generic: bool = False,
) -> Callable[[F], F]:
    """Declare a public function as an image function of the registry.

    The function itself is unchanged, but that it refuses arguments out of the ranges, and words, that its annotations
    state (`hcs_lib.core.annotations`): the same are errors when a pipeline is compiled.

    Its first parameter is the image: a plane (y, x), or a stack (n, y, x) of the axis that the step stacks.

    Parameters
    ----------
    accepts
        Dimensions of the image it takes: `(2,)`, `(3,)` or `(2, 3)`.
    returns
        What it returns first. With `special_outputs` it returns a tuple: this, then each of them.
    coupling
        What slices of a stack do to each other.
    memory_type
        The array type it takes and gives.
    axis
        The axis it is made for, where `coupling` is not `none`: a function that declares
        `channel` may be given stacked channels.
    special_inputs
        Parameters filled from earlier steps (`inputs:`) or, where the step names none, from metadata
        (`channel_names`, `pixel_size_um`, …).
    special_outputs
        Names of further values that it returns.
    dtypes
        Output dtype of each input dtype; one dtype for all; or `same`.
    keeps_scale
        False where values are rescaled, as scikit-image does to integers.
    tags
        Words to find it by.
    columns
        `module:name` of a function (objects, channel_names, **args) → list of column names, for functions
        that return a table: lets the compiler check names before anything runs.
    rows
        What the rows of a table are: objects, or sites, of which a call gives one row.
    shape
        What the result spans, where that is not a plane: `module:name` of a function (shape of the image, **args) →
        (rows, columns), for functions that tell where images lie; or the special input that was given by such a
        function. Lets the compiler know the size of what is written.
    uncouple
        Arguments that switch the coupling of slices off.
    generic
        Whether it takes CuPy arrays as it takes those of NumPy, and gives what it was given: it calls nothing but
        functions of NumPy that hand over to CuPy, and operators. It then runs where its image lies.

    Raises
    ------
    ValueError
        For a word that is not in the vocabulary, and for text where several names are expected.
    """
    if accepts not in ((2,), (3,), (2, 3)):
        raise ValueError(f"accepts must be (2,), (3,) or (2, 3), not {accepts!r}")
    _check("returns", returns, get_args(Returns))
    _check("coupling", coupling, get_args(Coupling))
    _check("memory_type", memory_type, get_args(MemoryType))
    _check("axis", axis, (None, *get_args(Axis)))
    _check("rows", rows, get_args(Rows))
    for dtype in (dtypes,) if isinstance(dtypes, str) else (*dtypes, *dtypes.values()):
        _check("dtypes", dtype, ("same", *DTYPES) if isinstance(dtypes, str) else DTYPES)
    for name, names in (("special_inputs", special_inputs), ("special_outputs", special_outputs), ("tags", tags)):
        if isinstance(names, str):
            raise ValueError(f"{name} must be a tuple, ({names!r},), not {names!r}")
    declaration = Declaration(
        accepts, returns, coupling, memory_type, axis, special_inputs, special_outputs,
        dtypes, keeps_scale, tags, columns, rows, shape, dict(uncouple or {}), generic,
    )  # fmt: skip

    def mark(func: F) -> F:
        from hcs_lib.core.annotations import keeping_to_annotations

        marked = keeping_to_annotations(func)
        setattr(marked, DECLARATION, declaration)
        return marked

    return mark


def _check(name: str, word: str | None, known: tuple[str | None, ...]) -> None:
    if word not in known:
        raise ValueError(f"{name} must be {', '.join(map(str, known))}, not {word!r}")
