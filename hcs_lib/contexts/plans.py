"""Step plans: a step of the pipeline, resolved for one well."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from hcs_lib.core.declare import MemoryType, Returns
from hcs_lib.core.domains import Domain
from hcs_lib.core.frozen import Frozen, FrozenDict, FrozenNames, freeze, thaw
from hcs_lib.storage.spec import ArraySpec

Backend = Literal["raw", "memory", "zarr", "table", "work"]


class FunctionRef(Frozen):
    """A function, by name: executed only if the library installed is the one compiled for."""

    id: str
    library: str
    version: str
    target: str
    entry_digest: str
    source_digest: str | None
    dependencies: FrozenNames


class FunctionCall(Frozen):
    """One function with its arguments: the unit that every pattern is made of.

    `contract` is the name of a `ProcessingContract`; `dtypes` are those of images that it was found to take (none:
    unknown); `special_inputs` maps parameters to named values of
    earlier steps (a tuple of names gives the function a dict); `args` are plain JSON, metadata injected.
    `twin_of` is the function that the pipeline names, where `call` is its twin on the GPU.
    """

    call: str
    args: FrozenDict
    contract: Literal["PURE_2D", "PURE_3D", "FLEXIBLE", "VOLUMETRIC_TO_SLICE"]
    slice_by_slice: bool
    memory_type: MemoryType
    dtypes: tuple[str, ...]
    returns: Returns
    special_inputs: Annotated[dict[str, str | tuple[str, ...]], AfterValidator(freeze), PlainSerializer(thaw)]
    special_outputs: tuple[str, ...]
    twin_of: str | None = None


Chain = tuple[FunctionCall, ...]


class FunctionPattern(Frozen):
    """What a step calls: one chain, or a routing table of chains by the value of `group_by`."""

    group_by: str | None
    chain: Chain = ()
    routes: Annotated[dict[str, Chain], AfterValidator(freeze), PlainSerializer(thaw)] = Field(default_factory=dict)

    def chain_for(self, value: Any) -> Chain:
        """Return the chain for one value of the routing axis."""
        return self.chain if self.group_by is None else self.routes[str(value)]


class LinkedInput(Frozen):
    """A named value of an earlier step.

    With `axis`, it is the value that the step gave for one `value` of the axis by which it routes, wherever it is used.
    """

    name: str
    producer: int
    axis: Literal["site", "channel", "z", "t"] | None = None
    value: int | str | None = None

    @property
    def key(self) -> str:
        """The name that the pipeline uses: `places`, or `places.DNA` for one value of the axis."""
        return self.name if self.axis is None else f"{self.name}.{self.value}"


class ZarrStore(Frozen):
    """Where the images or label images of a well go.

    Attributes
    ----------
    path
        The plate's store, relative to the plate's results, `demo.zarr`.
    groups
        Group of each site's image, by site: `B/02/1`; under the key `all` where sites are merged.
    label
        Name of the label image; None for the image itself.
    array
        What is written for one site.
    """

    path: str
    groups: FrozenNames
    label: str | None
    array: ArraySpec


DomainField = Annotated[
    Any,
    AfterValidator(lambda value: value if isinstance(value, Domain) else Domain.from_json(value)),
    PlainSerializer(Domain.to_json),
]


class RawStore(ZarrStore):
    """Where the raw planes go that labels lie on. `domain` has those planes: other steps may read more."""

    domain: DomainField


class TableFile(Frozen):
    """A table to be written: Parquet, relative to the plate's results."""

    name: str
    path: str


class Passed(Frozen):
    """What one step gives to steps of later stages: its images, or values of one name.

    It lies in the temporary store of its stage and well (`hcs_lib.storage.work`), unless it is an image or a label
    image that is written anyhow.

    Attributes
    ----------
    stage, axis_id
        The stage, and the well, or `plate` for a stage of the plate.
    step_index, step_name
        The step that gives it.
    name
        Of the values; None for the images of the step.
    domain
        Where values stand: planes, or calls.
    store
        Where images or labels are written anyhow; None: in the temporary store.
    dtype
        Of images or labels; None for other values, and where it is not known.
    """

    stage: str
    axis_id: str
    step_index: int
    step_name: str
    name: str | None
    domain: DomainField
    store: ZarrStore | None
    dtype: str | None = None


class StepPlan(Frozen):
    """A step resolved for one well. Each compile phase fills its own part.

    Attributes
    ----------
    step_index, step_name, step_type, axis_id, func_name
        Phase 1. `axis_id` is the well.
    input
        Phase 1. Index of the step whose images (or labels) are read; None: the raw planes.
    domain, output_domain
        Phase 1. Planes that come in; planes or calls that go out.
    stack, group_by
        Phase 1. The axis that becomes the leading axis of a 3D array; the axis that routes.
    special_inputs, special_outputs
        Phase 1. Linked names by parameter; names given to what comes out, by slot (`labels`, `table`, or a
        special output that the function declares).
    input_path, output_path
        Phase 1. Relative to the raw plate (`""`: the plate's folder) or to the plate's results; None: memory.
    zarr_store, table
        Phase 2. What is written, None where nothing is.
    read_backend, write_backend, keep
        Phase 3.
    input_memory_type, output_memory_type, returns, dtype, func
        Phase 4. The function pattern is stored here, by the contract phase.
    gpu
        Phase 5. Number of GPUs that the step requires.
    """

    step_index: int
    step_name: str
    step_type: Literal["FunctionStep"] = "FunctionStep"
    axis_id: str
    func_name: str
    input: int | None
    domain: DomainField
    output_domain: DomainField
    stack: Literal["site", "channel", "z", "t"] | None
    group_by: Literal["site", "channel", "z", "t"] | None
    special_inputs: Annotated[dict[str, tuple[LinkedInput, ...]], AfterValidator(freeze), PlainSerializer(thaw)]
    special_outputs: FrozenNames
    input_path: str | None
    output_path: str | None
    zarr_store: ZarrStore | None
    table: TableFile | None
    read_backend: Backend
    write_backend: Backend
    keep: bool
    input_memory_type: MemoryType
    output_memory_type: MemoryType
    returns: Returns
    dtype: str | None
    func: FunctionPattern
    gpu: int
