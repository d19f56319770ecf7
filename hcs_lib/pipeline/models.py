"""The pipeline language: what a user may ask for. These models are its only definition.

The JSON schema in `workflow/schemas` and the reference in `config/README.md` are generated from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, JsonValue, Tag
from pydantic_core import PydanticCustomError

Axis = Literal["site", "channel", "z", "t"]
_NAME = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
_PLATE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
NAMING = {
    _NAME: "A name begins with a letter and has letters, digits and _ only, at most 64.",
    _PLATE_NAME: "A plate's name is the folder of its results: letters, digits, . _ and - only, at most 100.",
}
"""What each pattern asks of a name."""

Name = Annotated[str, Field(pattern=_NAME)]
"""Of steps, channels, labels and tables: they become columns, files and groups."""

PlateName = Annotated[str, Field(pattern=_PLATE_NAME)]


def _text(value: Any) -> Any:
    """Take a whole number where a name is wanted: YAML reads a bare `2` as one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _finite(value: Any) -> Any:
    """Refuse what canonical JSON does not have."""
    match value:
        case float() if not math.isfinite(value):
            raise PydanticCustomError("finite", "must be finite")
        case list():
            for item in value:
                _finite(item)
        case dict():
            for item in value.values():
                _finite(item)
    return value


Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Wells = Annotated[list[Text], Field(min_length=1)]
"""Wells (`B03`), rows (`B`), columns (`3`) and ranges of these (`A01-C06`, `A-C`, `1-6`)."""
Arguments = Annotated[dict[str, JsonValue], AfterValidator(_finite)]


class Model(BaseModel):
    """Refuses keys it does not know; cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FunctionCall(Model):
    """A function with arguments."""

    call: Text
    """Id of the function in the registry, such as `skimage.filters.gaussian` (`hcs functions list` names all)."""
    args: Arguments = Field(default_factory=dict)
    """Arguments by name. A length or an area may have a unit (`8 um`, `2 px`, `30 um2`): the compiler turns it
    into pixels. A file (`{file: models/nuclei.json}`, JSON or `.npz`, in the folder of the pipeline or below) is
    loaded when a step first needs it."""


def _form(value: Any) -> str | None:
    """Which of the forms of `func` a value has."""
    match value:
        case str():
            return "<function>"
        case list() | tuple():
            return "<chain>"
        case FunctionCall():
            return "<call>"
        case Mapping():
            return "<call>" if "call" in value else "<table>"
    return None


def _one_of(forms: str) -> Discriminator:
    return Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message=f"expected {forms}",
    )


_Function = Annotated[str, Field(min_length=1)]
_Link = Annotated[
    Annotated[_Function, Tag("<function>")] | Annotated[FunctionCall, Tag("<call>")],
    _one_of("a function, or a mapping with the key `call`"),
]
_Chain = Annotated[list[_Link], Field(min_length=1)]
_Route = Annotated[
    Annotated[_Function, Tag("<function>")]
    | Annotated[FunctionCall, Tag("<call>")]
    | Annotated[_Chain, Tag("<chain>")],
    _one_of("a function, a mapping with the key `call`, or a list of them"),
]
_Table = Annotated[dict[Text, _Route], Field(min_length=1)]
FunctionPattern = Annotated[
    Annotated[_Function, Tag("<function>")]
    | Annotated[FunctionCall, Tag("<call>")]
    | Annotated[_Chain, Tag("<chain>")]
    | Annotated[_Table, Tag("<table>")],
    _one_of("a function, a mapping with the key `call`, a list of them, or a table of them by `group_by`"),
]


class Step(Model):
    """One step: a function pattern, called once for each site, channel, z-plane and time point that comes in."""

    name: Name
    """Unique in the pipeline."""
    func: FunctionPattern
    """What is called, in one of four forms: a function (`hcs.project`); a function with arguments
    (`{call: hcs.project, args: {method: max}}`); a chain, which is a list of these, each taking the result of the
    one before; a routing table, which has one of these for each value of `group_by`. A mapping with the key `call`
    is a function with arguments, any other mapping is a routing table."""
    input: Name | None = None
    """`raw`, or the name of an earlier step, whose image (or labels) is taken. By default the nearest earlier step
    that yields an image, or else the raw planes."""
    channels: Annotated[list[Text], Field(min_length=1)] | None = None
    """The channels that are taken. By default all that the input has."""
    stack: Axis | None = None
    """The axis that becomes the leading axis of a 3D array (n, y, x). By default none: functions get planes."""
    group_by: Axis | None = None
    """The axis by whose values a routing table routes. It may not be stacked."""
    inputs: dict[str, Text | Annotated[list[Text], Field(min_length=1)]] = Field(default_factory=dict)
    """Special inputs: parameter of a function → name of labels or of another special output of an earlier step. With
    a list of names the function gets all of them, by name. What a routing table gives for one value of `group_by` has
    the name of that value after a dot, `places.DNA`. Special inputs that are not named here come from the
    plate's metadata: `channel_names`, `pixel_size_um`, `z_spacing_um`, `grid_dimensions` (rows and columns of the
    sites), `stage_positions` (of the sites, (y, x) in micrometres)."""
    outputs: dict[str, Name] = Field(default_factory=dict)
    """Names for what the step yields: `labels`, `table`, `image`, or a special output that its function declares.
    Labels are written to the plate's store, a table to the object table; an image is for `inputs` of later steps."""
    keep: bool = False
    """Write the step's image to the plate's store. At most one step may."""
    scope: Literal["well", "plate"] = "well"
    """`plate`: the step looks at many wells once, before the steps of wells that use what it names under `outputs`. It
    takes raw planes (or an earlier step of the plate) and has the sites of all wells for sites, which it stacks."""
    wells: Wells | None = None
    """The wells that go through the step (in the plate's scope: that it looks at): wells (`B03`), rows (`B`), columns
    (`3`) and ranges of these (`A01-C06`). By default all. A well that no step is for is not missing: it stands in none
    of the results."""
    sample: Annotated[int, Field(ge=1)] | None = None
    """In the plate's scope: how many sites are looked at, spread evenly over those of the wells. By default all."""
    checkpoint: bool = False
    """End a stage here: what later steps take from the steps before is kept, so that a change of a later step does not
    run these again."""
    gpu: Annotated[int, Field(ge=0, le=1)] = 0
    """`1`: the step needs a GPU, whatever its functions tell."""
    slice_by_slice: bool = False
    """Process each slice of a stack by itself, also where the function could take the whole volume."""
    may_rescale: bool = False
    """Allow functions which change the scale of pixel values, such as scikit-image's conversions to [0, 1]."""
    enabled: bool = True
    """`false` switches the step off."""

    def routes(self) -> dict[str | None, tuple[FunctionCall, ...]]:
        """Return the chain of each value of `group_by`; of None where the pattern is no routing table."""
        if isinstance(self.func, dict):
            return {value: _calls(route) for value, route in self.func.items()}
        return {None: _calls(self.func)}

    def places(self) -> dict[str | None, tuple[tuple[str | int, ...], ...]]:
        """Return where each call of `routes` stands below `func`."""

        def below(route: Any, place: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], ...]:
            return tuple((*place, index) for index in range(len(route))) if isinstance(route, list) else (place,)

        if isinstance(self.func, dict):
            return {value: below(route, (value,)) for value, route in self.func.items()}
        return {None: below(self.func, ())}


def _calls(route: str | FunctionCall | list[str | FunctionCall]) -> tuple[FunctionCall, ...]:
    links = route if isinstance(route, list) else [route]
    return tuple(FunctionCall(call=link) if isinstance(link, str) else link for link in links)


class Override(Model):
    """Another choice for some plates or wells. `plates`, `wells` or both must be given."""

    step: Name
    """The step it is for."""
    plates: Annotated[list[Text], Field(min_length=1)] | None = None
    """Names of plates. By default all."""
    wells: Wells | None = None
    """Wells (`B03`), rows (`B`), columns (`3`) and ranges of these (`A01-C06`). By default all. Each plate that the
    override is for must have them."""
    args: dict[str, Arguments] = Field(default_factory=dict)
    """Function → arguments that replace the step's own."""
    enabled: bool | None = None
    """Switches the step off or on."""


class Pipeline(Model):
    """The steps that every well goes through, and what is derived from their results."""

    name: Name
    """Stands in contexts and reports."""
    channels: dict[Name, Text] = Field(default_factory=dict)
    """Name used in this pipeline → the plate's own id or name of the channel. Channels not named here keep their
    own."""
    steps: Annotated[list[Step], Field(min_length=1)]
    """In the order in which they run."""
    derived: dict[Name, str] = Field(default_factory=dict)
    """Further columns of the object table: name → arithmetic over its columns, with `+ - * / % **`, comparisons,
    `& | ~`, and functions such as `log`, `sqrt`, `where`."""
    overrides: list[Override] = Field(default_factory=list)
    """Other choices for some plates or wells. Later ones win."""
