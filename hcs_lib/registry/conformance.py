"""What any library's registry must hold: a suite for pytest, for ours and for those of third parties.

from hcs_lib.registry.conformance import RegistryConformance

class TestMyLibrary(RegistryConformance):
registry = MyRegistry()
"""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any, ClassVar

import numpy as np

from hcs_lib.core.declare import ProcessingContract
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.calls import Failure, Subject, same, stacked
from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.guesses import ATTEMPTS, NeedsArgumentError, guess_arguments
from hcs_lib.registry.probe import Trial
from hcs_lib.registry.results import scale
from hcs_lib.registry.samples import Sample, make_noise, make_sample


class RegistryConformance:
    """Derive from it, set `registry`, and let pytest collect it.

    Attributes
    ----------
    registry
        What is tested.
    functions
        How many functions are checked against their contract on data that the probe has not seen; drawn by a seed.
    """

    registry: ClassVar[LibraryRegistryBase]
    functions: ClassVar[int] = 25

    def test_states_what_it_is(self) -> None:
        """The attributes are there, and names of modules and of the library agree."""
        registry = self.registry
        assert registry.library_name
        assert registry.MODULES_TO_SCAN
        assert not isinstance(registry.MODULES_TO_SCAN, str)
        assert registry.MEMORY_TYPE in ("numpy", "cupy", "torch", "pyclesperanto")
        assert registry.get_library_version()
        assert all(isinstance(version, str) for version in registry.versions().values())

    def test_arrays_come_back_as_they_went(self) -> None:
        """`pull` undoes `push`."""
        image = make_sample(self.registry.FLOAT_DTYPE).image
        back = self.registry.pull(self.registry.push(image))
        assert isinstance(back, np.ndarray)
        np.testing.assert_array_equal(back, image)
        both = self.registry.pull(self.registry.stack([self.registry.push(plane) for plane in image]))
        np.testing.assert_array_equal(both, image)

    def test_entries_are_data(self) -> None:
        """Every candidate has an entry: usable and complete, or excluded with a reason; each survives JSON."""
        entries = entries_of(self.registry)
        assert entries
        for entry in entries:
            assert FunctionEntry.from_json(json.loads(json.dumps(entry.to_json()))) == entry
            assert entry.id.startswith(f"{self.registry.library_name}.")
            assert entry.target.partition(":")[0] in self.registry.MODULES_TO_SCAN
            if entry.excluded is None:
                assert entry.accepts, entry.id
                assert callable(self.registry.function(entry.target))
            else:
                assert entry.excluded.strip(), entry.id

    def test_contracts_hold_on_other_data(self) -> None:
        """What entries say is true on images of another shape and content."""
        usable = [entry for entry in entries_of(self.registry) if entry.excluded is None and entry.origin != "declared"]
        drawn = random.Random(7).sample(usable, min(self.functions, len(usable)))
        found = {entry.id: violations(self.registry, entry) for entry in drawn}
        assert {name: problems for name, problems in found.items() if problems} == {}


@cache
def entries_of(registry: LibraryRegistryBase) -> tuple[FunctionEntry, ...]:
    """Return all entries: those of a valid file where there is one, else of a probe."""
    from hcs_lib.registry.libraries import library_names
    from hcs_lib.registry.service import RegistryService

    if registry.library_name in library_names():
        return tuple(RegistryService().catalogue(registry.library_name).entries.values())
    return tuple(registry.build())


def violations(registry: LibraryRegistryBase, entry: FunctionEntry) -> list[str]:
    """Return where an entry is wrong, on data made here: other shapes, seeds and contents than the probe's."""
    subject = Subject(
        registry, registry.function(entry.target), entry.parameters,
        registry.probe_arguments(entry.target.partition(":")[2], entry.parameters),
    )  # fmt: skip
    samples = {
        f"{dtype} {name}": sample
        for dtype in (registry.FLOAT_DTYPE, *registry.DTYPES)
        for name, sample in (
            ("objects", make_sample(dtype, shape=(8, 43, 39), seed=21)),
            ("noise", make_noise(dtype, shape=(8, 43, 39), seed=22, density=0.7)),
        )
    }
    offered = {parameter.name for parameter in entry.parameters if not parameter.required}
    for attempt in (None, *(name for name in ATTEMPTS if name in offered)):
        results = {name: _results(subject, sample, attempt) for name, sample in samples.items()}
        if any(not isinstance(result, Failure) for planes, volume in results.values() for result in (*planes, volume)):
            scale = _scale(subject, entry, samples, results, attempt)
            return _compare(subject, entry, samples, results, attempt) + scale
    return ["it fails on every image"]


def _results(subject: Subject, sample: Sample, attempt: str | None) -> tuple[list[Any], Any]:
    try:
        return (
            [subject.call(plane, attempt=attempt) for plane in sample.slices()],
            subject.call(sample, attempt=attempt),
        )
    except NeedsArgumentError as error:
        failure = Failure(f"needs argument {error}")
        return [failure], failure


def _scale(
    subject: Subject,
    entry: FunctionEntry,
    samples: dict[str, Sample],
    results: dict[str, tuple[list[Any], Any]],
    attempt: str | None,
) -> list[str]:
    """Return where what an entry says of the scale of an image's values does not hold here."""
    if entry.returns != "image":
        return []
    trials = {
        dtype: Trial(samples[name], volume, planes, {2: attempt, 3: attempt})
        for name, (planes, volume) in results.items()
        for dtype, _, content in [name.partition(" ")]
        if content == "objects"
    }
    found = scale(subject, trials, entry.returns, entry.accepts)
    said = {"keeps_scale": entry.keeps_scale, "keep_scale": dict(entry.keep_scale)}
    return [f"{name} is {found.get(name, {})}" for name in said if found.get(name, {}) != said[name]]


def _compare(
    subject: Subject,
    entry: FunctionEntry,
    samples: dict[str, Sample],
    results: dict[str, tuple[list[Any], Any]],
    attempt: str | None,
) -> list[str]:
    problems = []
    planes_taken = {name: not any(isinstance(p, Failure) for p in planes) for name, (planes, _) in results.items()}
    both = [name for name, (_, volume) in results.items() if planes_taken[name] and not isinstance(volume, Failure)]
    if 2 not in entry.accepts and entry.coupling != "reduces" and any(planes_taken.values()):
        problems.append("it takes planes")
    if entry.accepts == (2,) and both:
        problems.append("it takes stacks")
    alike = {name: same(results[name][1], stacked(results[name][0], 0)) for name in both}
    if entry.coupling == "none" and not all(alike.values()):
        problems.append("its slices are not independent")
    if entry.coupling == "mixes" and both and all(alike.values()):
        problems.append("its slices are independent")
    if entry.coupling == "reduces":
        volumes = [volume for _, volume in results.values() if not isinstance(volume, Failure)]
        if any(getattr(volume, "ndim", None) != 2 for volume in volumes):
            problems.append("it does not make a plane of a stack")
    for name in both if entry.uncouple else ():
        sample, planes = samples[name], results[name][0]
        volume = subject.call(sample, attempt=attempt, like=sample.slices()[0], **entry.uncouple)
        if not same(volume, stacked(planes, 0)):
            problems.append(f"{dict(entry.uncouple)} does not uncouple slices of {name}")
    if entry.contract is ProcessingContract.PURE_2D and "nondeterministic" not in entry.tags:
        for name in (name for name, taken in planes_taken.items() if taken):
            expected = stacked(results[name][0], 0)
            if expected is not None and not same(_through_contract(subject, entry, samples[name], attempt), expected):
                problems.append(f"the contract does not slice {name}")
    return problems


def _through_contract(subject: Subject, entry: FunctionEntry, sample: Sample, attempt: str | None) -> Any:
    """Call a function of planes on a stack through its contract: arrays as large as the stack, else as for a plane."""
    registry, function = subject.registry, subject.function
    given = guess_arguments(subject.parameters, subject.overrides, attempt, sample.slices()[0])
    for name, value in guess_arguments(subject.parameters, subject.overrides, attempt, sample).items():
        if getattr(value, "shape", None) == sample.shape:
            given[name] = value
    through = Subject(registry, lambda image, **a: entry.contract.execute(registry, function, image, **a), (), {})
    return through.call(sample, **given)
