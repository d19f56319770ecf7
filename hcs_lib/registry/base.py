"""What every library has in common: `LibraryRegistryBase`, and the functions it offers as `FunctionMetadata`.

Importing this, or a module of `registry/libraries/`, imports no image library.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hcs_lib import __version__
from hcs_lib.core.distributions import installed_version
from hcs_lib.core.errors import HcsError, MachineError, Problem, UserError
from hcs_lib.registry.execute import ContractExecution

if TYPE_CHECKING:
    from hcs_lib.core.declare import MemoryType, ProcessingContract
    from hcs_lib.registry.entry import FunctionEntry, Parameter

PROBE_VERSION = 5
"""Raised whenever the probe finds anything else than before: files of another version are not used."""


_VARIANTS: Mapping[str, tuple[str, ...]] = {
    "cucim": ("cucim-cu12", "cucim-cu13"),
    "cupy": ("cupy-cuda12x", "cupy-cuda13x", "cupy"),
}
"""Distributions that a library comes in, one for each version of CUDA."""

_EXTRAS: Mapping[str, str] = {
    "cucim": "cuda12", "cupy": "cuda12", "kornia": "kornia", "pyclesperanto": "opencl", "torch": "torch",
}  # fmt: skip
"""Distribution → the extra of this package that brings it; the others belong to its base."""


def variants_of(name: str) -> tuple[str, ...]:
    """Return the distributions that a library may come in."""
    return _VARIANTS.get(name, (name,))


def distribution_version(name: str) -> str:
    """Return the installed version of a distribution. Raises MachineError where it is not installed."""
    found = map(installed_version, variants_of(name))
    version = next((version for version in found if version is not None), None)
    if version is None:
        setup = f"make setup EXTRAS={_EXTRAS[name]}" if name in _EXTRAS else "make setup"
        raise MachineError(f"{name} is not installed. Install it, or run `{setup}`.")
    return version


Progress = Callable[[int, int], None]
"""Told how many functions are probed, and of how many."""


class FunctionMetadata(NamedTuple):
    """A usable function of a library, ready to be called; `func` imports its library when first called."""

    name: str
    func: Callable[..., Any]
    contract: ProcessingContract
    registry: LibraryRegistryBase
    module: str = ""
    doc: str = ""
    tags: tuple[str, ...] = ()
    original_name: str = ""


class LazyFunction:
    """A function of a library by its target; imported when first called."""

    __slots__ = ("registry", "target")

    def __init__(self, registry: LibraryRegistryBase, target: str) -> None:
        self.registry = registry
        self.target = target

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.registry.function(self.target)(*args, **kwargs)


class LibraryRegistryBase(ContractExecution, ABC):
    """A library of image functions: what to scan, how to probe it, how to call it.

    A subclass states the attributes below and `get_library_version`; it lives in a module of
    `hcs_lib.registry.libraries` named as the library, with `_` for `.`.

    Attributes
    ----------
    library_name
        As pipelines and files name it, `scipy.ndimage`: the first part of every function's id.
    MODULES_TO_SCAN
        Modules whose public functions are candidates. Nothing outside them is ever called.
    probed
        Whether functions are measured; otherwise they are declared, and reading that costs little.
    ADAPTERS
        The package of ours where those modules are, if the functions are adapters: their sources then decide their
        results too. None where they are the library's own.
    MEMORY_TYPE, FLOAT_DTYPE
        The array type it takes, and the name of its float type: that of the first probe image.
    DTYPES
        Further dtypes to probe with; `int32` stands for labels.
    DEPENDENCIES
        Distributions whose versions decide its results, beside its own.
    FUNCTIONS
        Of the public functions, the names of those that are candidates; None: all.
    COMMON_EXCLUSIONS, EXCLUSIONS
        Functions that are no image functions: names common to libraries; names of this one with the reason.
    IMAGE_PARAMETERS
        Names of first parameters which are an image. Other functions are excluded.
    HIDDEN_PARAMETERS
        Parameters that are not the user's: devices, arrays to write into.
    PROBE_DEFAULTS
        Arguments for the probe by the name of the parameter, where a function has it.
    PROBE_ARGUMENTS
        Arguments for the probe by function name, where the common guesses are wrong, slow or missing:
        values, or functions of the `Sample`.
    DEVICE, WATCHDOG_SECONDS
        What it is probed on: `cpu`, `opencl` or `cuda`; and CPU seconds that the probe of one function may take.
    UNCOUPLE
        Arguments that may switch the coupling of slices off. The probe proves it for each function.
    KEEP_SIZE
        Arguments, beside switches and the modes of convolutions, that may make a function which resizes images keep
        their size. The probe proves it for each function.
    TWIN
        Of a library on the GPU that mirrors one on the CPU: how its ids begin, and how those of the other do.
    """

    COMMON_EXCLUSIONS: ClassVar[frozenset[str]] = frozenset(
        {"imread", "imsave", "load", "save", "read", "write", "show", "imshow", "plot", "display", "view", "visualize"}
    )
    library_name: ClassVar[str]
    probed: ClassVar[bool] = True
    MODULES_TO_SCAN: ClassVar[Sequence[str]]
    ADAPTERS: ClassVar[str | None] = None
    MEMORY_TYPE: ClassVar[MemoryType]
    FLOAT_DTYPE: ClassVar[str]
    DTYPES: ClassVar[tuple[str, ...]] = ("float64", "uint16", "uint8", "bool", "int32")
    DEPENDENCIES: ClassVar[tuple[str, ...]] = ("numpy",)
    FUNCTIONS: ClassVar[frozenset[str] | None] = None
    EXCLUSIONS: ClassVar[Mapping[str, str]] = {}
    IMAGE_PARAMETERS: ClassVar[frozenset[str]] = frozenset({"image", "input"})
    HIDDEN_PARAMETERS: ClassVar[frozenset[str]] = frozenset()
    PROBE_DEFAULTS: ClassVar[Mapping[str, Any]] = {}
    PROBE_ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    DEVICE: ClassVar[str] = "cpu"
    WATCHDOG_SECONDS: ClassVar[float] = 10.0
    UNCOUPLE: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    KEEP_SIZE: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    TWIN: ClassVar[tuple[str, str] | None] = None

    @abstractmethod
    def get_library_version(self) -> str:
        """Return the version that is installed, without importing the library. MachineError where there is none."""

    def get_library_object(self) -> Any:
        """Import the library and return it.

        Raises
        ------
        MachineError
            Where it cannot be used on this machine. A library that needs a device overrides this and looks for one.
        """
        try:
            return importlib.import_module(self.MODULES_TO_SCAN[0])
        except Exception as error:
            raise self._unusable(error) from error

    def _unusable(self, why: object) -> HcsError:
        """Return what is raised where the library cannot be imported: one that is half installed raises anything."""
        return MachineError(f"{self.library_name} cannot be imported: {why}.")

    def push(self, array: Any) -> Any:
        """Return a NumPy array as an array of this library."""
        from hcs_lib.arrays.convert import to

        return to(array, self.MEMORY_TYPE)

    def pull(self, array: Any) -> Any:
        """Return an array of this library as a NumPy array."""
        from hcs_lib.arrays.convert import to

        return to(array, "numpy")

    def stack(self, slices: Sequence[Any]) -> Any:
        """Join arrays of this library along a new first axis; arrays of CuPy stay where they are."""
        import numpy as np

        from hcs_lib.arrays.memory import memory_type_of

        if memory_type_of(slices[0]) in ("numpy", "cupy"):
            return np.stack(slices)  # which hands over to CuPy
        return self.push(np.stack([self.pull(part) for part in slices]))

    def identify(self, module: str, name: str) -> str:
        """Return the id of a function of `module`."""
        return f"{module}.{name}"

    def refusal(self, name: str) -> str | None:
        """Return why a function of this name is never offered; None where it may be."""
        if name in self.COMMON_EXCLUSIONS:
            return "it reads, writes or displays; it is no image function"
        return self.EXCLUSIONS.get(name)

    def probe_arguments(self, name: str, parameters: Iterable[Parameter]) -> dict[str, Any]:
        """Return what the probe gives a function beside its image, whatever its signature says."""
        offered = {parameter.name for parameter in parameters}
        defaults = {key: value for key, value in self.PROBE_DEFAULTS.items() if key in offered}
        return defaults | dict(self.PROBE_ARGUMENTS.get(name, {}))

    def public_functions(self, module: str, only: str | None = None) -> dict[str, Callable[..., Any]]:
        """Import a module of `MODULES_TO_SCAN` and return its public functions by name, those of `FUNCTIONS`.

        With `only`, one of them at most: asking scikit-image for all its names imports all of SciPy.
        """
        try:
            members = self._members(module, only)
        except Exception as error:
            raise self._unusable(error) from error
        return {name: member for name, member in members.items() if callable(member) and not isinstance(member, type)}

    def _members(self, module: str, only: str | None) -> dict[str, Any]:
        loaded = importlib.import_module(module)
        names = getattr(loaded, "__all__", None) or [name for name in vars(loaded) if not name.startswith("_")]
        names = [name for name in names if only in (None, name) and (self.FUNCTIONS is None or name in self.FUNCTIONS)]
        return {name: getattr(loaded, name) for name in sorted(names)}

    def function(self, target: str) -> Callable[..., Any]:
        """Return the function that `module:name` stands for.

        Raises
        ------
        UserError
            Where it is no public function of `MODULES_TO_SCAN`: no artifact can name anything else.
        """
        module, _, name = target.partition(":")
        if module in self.MODULES_TO_SCAN and self.refusal(name) is None:
            self.get_library_object()
            function = self.public_functions(module, name).get(name)
            if function is not None:
                return function
        raise UserError(Problem(target, f"This is no function that {self.library_name} offers.",
                                "`hcs registry status` lists the libraries; run `hcs compile` again."))  # fmt: skip

    def check(self, target: str, version: str, source_digest: str | None) -> None:
        """Refuse to run `target` where what is installed is not what was compiled for.

        Raises
        ------
        MachineError
            With both versions.
        """
        installed = self.get_library_version()
        if version != installed:
            raise MachineError(
                f"{target}: compiled for {self.library_name} {version}, here is {installed}. Run `hcs compile` again."
            )
        self.check_source(target, source_digest)

    def check_source(self, target: str, compiled: str | None) -> None:
        """Refuse to run `target` where our source of it is not what was compiled. Raises MachineError."""
        installed = self.digest_of_source(target)
        if compiled != installed:
            digests = [(digest or "none")[:12] for digest in (compiled, installed)]
            raise MachineError(
                f"{target}: its source differs from what was compiled for (digest {digests[0]}, here {digests[1]}). "
                "Run `hcs compile` again."
            )

    def digest_of_source(self, target: str) -> str | None:
        """Return the digest of our source that stands behind a function; None where there is only the library's."""
        if self.ADAPTERS is None:
            return None
        from hcs_lib.registry.sources import source_digest

        return source_digest(target.partition(":")[0], self.ADAPTERS)

    def versions(self) -> dict[str, str]:
        """Return the versions that the file of this library is valid for. Imports nothing heavy."""
        return {
            self.library_name: self.get_library_version(),
            **self.dependencies(),
            "numpy": distribution_version("numpy"),
            "hcs-workflow": __version__,
            "probe": str(PROBE_VERSION),
            **({} if self.ADAPTERS is None else {"adapters": _digest_of_package(self.ADAPTERS)}),
        }

    def dependencies(self) -> dict[str, str]:
        """Return the versions of `DEPENDENCIES`."""
        return {name: distribution_version(name) for name in self.DEPENDENCIES}

    def build(self, progress: Progress | None = None) -> list[FunctionEntry]:
        """Find and measure every candidate, in worker processes; return entries in the order of their ids."""
        from hcs_lib.registry.workers import probe_library

        return probe_library(self, progress=progress)


def _digest_of_package(name: str) -> str:
    """Digest all sources of a package: looking for those that a module imports costs ten times as much."""
    from hcs_lib.core.canonical import digest, digest_file

    (folder,) = importlib.import_module(name).__path__
    return digest({file.name: digest_file(file) for file in sorted(Path(folder).glob("*.py"))})
