"""The frozen context: everything execution knows of one well in one stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, PlainSerializer, ValidationError

from hcs_lib.contexts.plans import FunctionRef, Passed, RawStore, StepPlan
from hcs_lib.core.canonical import canonical_json, digest
from hcs_lib.core.domains import Site
from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import read_json, update_atomic
from hcs_lib.core.frozen import Frozen, FrozenNames, freeze, thaw

BadPlanes = Literal["fail", "skip_site", "skip_well"]

Scope = Literal["well", "plate"]

SCHEMA_VERSION = 1

MAX_STEPS = 1000
"""More are no work of a person; what reads a context need not cope with them."""

PLATE = "plate"
"""In place of a well: the `axis_id` of a context in the plate's scope."""


class PlaneRef(Frozen):
    """A raw plane by path within the plate, size and time stamp, or by hash (`fingerprint: content`).

    With a hash, `mtime_ns` is None, so that a touched file of the same bytes changes nothing.
    """

    site: Site
    channel: str
    z: int
    t: int
    file: str
    page: int
    size: int
    mtime_ns: int | None
    sha256: str | None


class BadPlane(Frozen):
    """A plane that the plan needs and the index found absent or broken."""

    site: Site | None
    channel: str | None
    z: int | None
    t: int | None
    kind: str
    file: str | None
    message: str


class Engine(Frozen):
    """The code that executes: digest of its sources, versions of what it writes with."""

    digest: str
    versions: FrozenNames


class ImageMetadata(Frozen):
    """What travels with the pixels: calibration, names and stage positions ([site, x_um, y_um]).

    `wavelengths_nm` (of the emission) and `colours` (RRGGBB, those of the microscope's software) are of each channel.
    """

    pixel_size_um: float | None
    z_spacing_um: float | None
    channel_names: tuple[str, ...]
    wavelengths_nm: tuple[float | None, ...]
    colours: tuple[str | None, ...]
    positions_um: tuple[tuple[int, float, float], ...]


def _in_order(by_index: dict[int, Any]) -> Any:
    """Freeze what is keyed by step index, in the order of the steps: sorted JSON has "10" before "2"."""
    return freeze(dict(sorted(by_index.items())))


StepPlans = Annotated[dict[int, StepPlan], AfterValidator(_in_order), PlainSerializer(thaw)]


class FrozenContext(Frozen):
    """All step plans of one well for one stage. Immutable, canonical in JSON, with a digest.

    `axis_id` is the well, or `plate` in the plate's scope, where the sites are those of all wells.
    `before` maps the stages before, as far as this one takes anything from them, to the digests of their contexts;
    `takes` is what it takes, and `passes` what later stages take from it.
    `channel` of a plane is the name used in the pipeline. No absolute path, no clock, nothing of the machine.
    `step_state_map` is the resolved configuration of each step as it was when compiled. `raw_store` is set
    where labels are written and no step keeps an image: the raw planes then become the image they lie on.
    """

    schema_version: Literal[1] = 1
    plate: str
    scope: Scope
    axis_id: str
    stage: str
    engine: Engine
    threads: int
    bad_planes: BadPlanes
    plane_shape: tuple[int, int]
    plane_dtype: str
    metadata: ImageMetadata
    planes: tuple[PlaneRef, ...]
    problems: tuple[BadPlane, ...]
    functions: tuple[FunctionRef, ...]
    raw_store: RawStore | None
    before: FrozenNames
    takes: tuple[Passed, ...]
    passes: tuple[Passed, ...]
    step_plans: StepPlans
    step_state_map: Annotated[dict[int, Any], AfterValidator(_in_order), PlainSerializer(thaw)]

    def to_json(self) -> dict[str, Any]:
        """Return the context as plain JSON values, keys of the step plans as strings."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: what decides whether a well is done again."""
        return digest(self.to_json())

    def save(self, path: Path) -> str:
        """Write the context with its digest, atomically, and only where the file differs; return the digest."""
        value = self.to_json()
        found = digest(value)
        update_atomic(path, canonical_json({"context_digest": found, "context": value}))
        return found

    @classmethod
    def load(cls, path: Path) -> FrozenContext:
        """Read a context and check its digest.

        Raises
        ------
        UserError
            Where the file is missing, damaged, of another schema, or differs from its digest.
        """
        value = read_json(path, "Context (`hcs compile` writes it)")
        try:
            version, steps = value["context"]["schema_version"], len(value["context"]["step_plans"])
            if version != SCHEMA_VERSION:
                raise UserError(
                    Problem(str(path), f"The context is of schema {version}, and this version of hcs reads "
                            f"{SCHEMA_VERSION}.", "Run `hcs compile` again, or install the version that wrote it.")
                )  # fmt: skip
            if steps > MAX_STEPS:
                raise UserError(
                    Problem(str(path), f"The context has {steps} steps; more than {MAX_STEPS} are not executed.")
                )
            if digest(value["context"]) != value["context_digest"]:
                raise UserError(Problem(str(path), "The context differs from its digest.", "Run `hcs compile` again."))
            return cls.model_validate(value["context"])
        except UserError:
            raise
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            said = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        except KeyError as error:
            said = f"the key {error} is missing"
        except (TypeError, AttributeError):
            said = "it does not have the form of one"
        except ValueError as error:
            said = str(error)
        raise UserError(
            Problem(str(path), f"This is no context of schema {SCHEMA_VERSION}: {said}.", "Run `hcs compile` again.")
        )
