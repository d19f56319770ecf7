"""How a function behaves, found by comparing what it returns: on a stack, on its planes, on several dtypes.

Runs in the worker processes of `hcs_lib.registry.workers` only: functions hang and crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hcs_lib.core.declare import Coupling
from hcs_lib.registry import results
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.calls import Failure, Subject, is_informative, same, stacked
from hcs_lib.registry.discover import first_line, first_parameter, parameters_of, tags_of
from hcs_lib.registry.entry import FunctionEntry, Parameter
from hcs_lib.registry.guesses import ATTEMPTS, NeedsArgumentError, annotate_numbers
from hcs_lib.registry.samples import Sample, make_noise, make_sample


@dataclass
class Trial:
    """What came of one dtype: the result of the stack and of each plane. A failed one is a `Failure`.

    `attempts` are the arguments that had to be added for a plane and for a stack.
    """

    sample: Sample
    volume: Any
    planes: list[Any]
    attempts: dict[int, str | None] = field(default_factory=dict)

    @property
    def takes_volume(self) -> bool:
        """Whether the call on the stack succeeded."""
        return not isinstance(self.volume, Failure)

    @property
    def takes_planes(self) -> bool:
        """Whether the calls on all planes succeeded."""
        return not any(isinstance(result, Failure) for result in self.planes)

    @property
    def plane(self) -> Sample:
        """The plane whose result stands for all: the brightest."""
        return self.sample.slices()[1]


def probe_function(registry: LibraryRegistryBase, function_id: str, target: str) -> FunctionEntry:
    """Measure one function. A function that cannot be used comes back with the reason in `excluded`."""
    module, _, name = target.partition(":")
    common: dict[str, Any] = {
        "id": function_id,
        "library": registry.library_name,
        "version": registry.get_library_version(),
        "memory_type": registry.MEMORY_TYPE,
        "target": target,
        "dependencies": registry.dependencies(),
        "source_digest": registry.digest_of_source(target),
        "device": registry.DEVICE,
    }
    refusal = registry.refusal(name)
    if refusal:
        return FunctionEntry(**common, excluded=refusal)
    function = registry.public_functions(module)[name]
    common |= {"doc": first_line(function), "tags": tags_of(function_id, registry.library_name)}
    try:
        image = first_parameter(function)
        parameters = parameters_of(function, registry.HIDDEN_PARAMETERS)
    except (TypeError, ValueError):
        return FunctionEntry(**common, excluded="it has no signature")
    common["parameters"] = parameters
    if image not in registry.IMAGE_PARAMETERS:
        return FunctionEntry(**common, excluded=f"its first argument is no image ({image or 'it takes none'})")
    subject = Subject(registry, function, parameters, registry.probe_arguments(name, parameters))
    try:
        findings = _measure(subject, image, common["tags"])
    except NeedsArgumentError as error:
        return FunctionEntry(**common, excluded=f"needs argument {error}")
    return FunctionEntry(**common | findings)


def _measure(subject: Subject, image: str, tags: tuple[str, ...]) -> dict[str, Any]:
    dtypes = (subject.registry.FLOAT_DTYPE, *subject.registry.DTYPES)
    trials = {dtype: _try(subject, make_sample(dtype)) for dtype in dtypes}
    _attempt(subject, trials, 2)
    _attempt(subject, trials, 3)
    good = {dtype: trial for dtype, trial in trials.items() if trial.takes_planes or trial.takes_volume}
    if not good:
        return {"excluded": f"it failed on every probe image: {_why(trials)}"}
    coupling = _coupling(subject, good)
    if coupling == "none" and any(trial.takes_volume for trial in good.values()):
        coupling = "none" if _stays_uncoupled(subject, good) else "mixes"
    accepts: tuple[int, ...] = tuple(
        dimensions
        for dimensions, taken in (
            (2, any(trial.takes_planes for trial in good.values())),
            (3, any(trial.takes_volume for trial in good.values())),
        )
        if taken
    )
    if coupling == "reduces":
        accepts = (3,)
    findings: dict[str, Any] = {
        "accepts": accepts,
        "coupling": coupling,
        "returns": results.returned(subject, image, good, accepts),
        "parameters": _parameters(subject, good),
        "dtypes": results.output_dtypes(good, accepts) | results.further_dtypes(subject, good, accepts[0]),
    }
    if coupling == "mixes" and accepts == (2, 3):
        findings["uncouple"] = _uncoupling(subject, good)
    if _is_nondeterministic(subject, good, accepts):
        findings["tags"] = tuple(sorted({*tags, "nondeterministic"}))
    findings |= results.size(subject, good, findings["returns"], accepts)
    return findings | results.scale(subject, trials, findings["returns"], accepts)


def _parameters(subject: Subject, good: dict[str, Trial]) -> tuple[Parameter, ...]:
    first = next(iter(good.values()))
    attempts = {attempt for trial in good.values() for attempt in trial.attempts.values()}
    return annotate_numbers(subject.parameters, subject.overrides, attempts, first.plane)


def _is_nondeterministic(subject: Subject, good: dict[str, Trial], accepts: tuple[int, ...]) -> bool:
    """Tell whether the same call gives another result, though the global generator of NumPy was seeded alike.

    Other bytes lie in memory each time, so that what a function returns without having written it differs.
    """
    for dimensions in accepts:
        tried = ((trial, *results.result_of(trial, dimensions)) for trial in good.values())
        trial, sample, before = next(found for found in tried if not isinstance(found[2], Failure))
        for byte in (0x35, 0x4A):
            subject.leave_behind(before, byte)
            if not same(before, subject.call(sample, attempt=trial.attempts.get(dimensions))):
                return True
    return False


def _try(subject: Subject, sample: Sample) -> Trial:
    return Trial(sample, subject.call(sample), [subject.call(plane) for plane in sample.slices()])


def _attempt(subject: Subject, trials: dict[str, Trial], dimensions: int) -> None:
    """Where all calls of planes (or of stacks) failed, add the first argument which makes one succeed."""

    def succeeded() -> bool:
        return any(trial.takes_planes if dimensions == 2 else trial.takes_volume for trial in trials.values())

    offered = {parameter.name for parameter in subject.parameters if not parameter.required}
    for attempt in ATTEMPTS:
        if succeeded():
            return
        if attempt not in offered:
            continue
        for trial in trials.values():
            if dimensions == 2:
                planes = [subject.call(plane, attempt=attempt) for plane in trial.sample.slices()]
                if not any(isinstance(result, Failure) for result in planes):
                    trial.planes, trial.attempts[2] = planes, attempt
            else:
                volume = subject.call(trial.sample, attempt=attempt)
                if not isinstance(volume, Failure):
                    trial.volume, trial.attempts[3] = volume, attempt


def _why(trials: dict[str, Trial]) -> str:
    first = next(iter(trials.values()))
    failed = next((result for result in first.planes if isinstance(result, Failure)), first.volume)
    return str(failed.message)


def _coupling(subject: Subject, good: dict[str, Trial]) -> Coupling:
    """Return the strongest coupling that any dtype shows: colour, then a reduction, then a mixture."""
    found = {_coupling_of(subject, trial, dtype) for dtype, trial in good.items() if trial.takes_volume}
    order: tuple[Coupling, ...] = ("channel_last", "reduces", "mixes", "none")
    return next((coupling for coupling in order if coupling in found), "none")


def _coupling_of(subject: Subject, trial: Trial, dtype: str) -> Coupling:
    volume, shape = trial.volume, trial.sample.shape
    if isinstance(volume, np.ndarray) and volume.ndim == 2 and volume.shape == shape[:2]:
        return "channel_last"
    if trial.takes_planes:
        if same(volume, stacked(trial.planes, 0)):
            return "none"
        if _takes_for_colour(subject, trial, dtype) or _points_of_planes(trial):
            return "channel_last"
        if not isinstance(volume, np.ndarray) or (trial.planes[1].ndim == 2 and volume.shape != shape[1:]):
            return "mixes"
    elif _independent(subject, trial):
        return "none"
    return "reduces" if _reduces(subject, trial) else "mixes"


def _points_of_planes(trial: Trial) -> bool:
    """Tell whether points found in a stack have no coordinate for its slices."""
    return all(
        isinstance(points, np.ndarray) and points.ndim == 2 and points.shape[1] == 2 and points.shape[0] > 2
        for points in (trial.volume, trial.planes[1])
    )


def _stays_uncoupled(subject: Subject, good: dict[str, Trial]) -> bool:
    """Tell whether a function that seems to treat slices alone still does on noise, and whether it does anything."""
    informative = any(is_informative(trial.volume) for trial in good.values())
    for density in (0.12, 0.6, 1.0):
        for dtype, trial in good.items():
            if not (trial.takes_planes and trial.takes_volume):
                continue
            sample = make_noise(dtype, density=density)
            volume = subject.call(sample, attempt=trial.attempts.get(3))
            planes = [subject.call(plane, attempt=trial.attempts.get(2)) for plane in sample.slices()]
            if isinstance(volume, Failure):
                continue
            if not _is_made_of(volume, planes):
                return False
            informative = informative or is_informative(volume)
    return informative


def _is_made_of(volume: Any, planes: list[Any]) -> bool:
    """Compare a stack's result with those of its planes, but for planes that failed (an empty one may)."""
    if isinstance(volume, np.ndarray) and len(volume) == len(planes):
        return all(isinstance(plane, Failure) or same(part, plane) for part, plane in zip(volume, planes, strict=True))
    return not any(isinstance(plane, Failure) for plane in planes) and same(volume, stacked(planes, 0))


def _takes_for_colour(subject: Subject, trial: Trial, dtype: str) -> bool:
    """Tell whether the last axis, not the first, is what the function runs over; on noise as well."""
    if getattr(trial.volume, "ndim", 3) < 3 or not is_informative(trial.volume):
        return False
    if not _runs_over_columns(subject, trial, trial.sample, trial.volume):
        return False
    noise = make_noise(dtype, density=0.6)
    volume = subject.call(noise, attempt=trial.attempts.get(3))
    return isinstance(volume, Failure) or _runs_over_columns(subject, trial, noise, volume)


def _runs_over_columns(subject: Subject, trial: Trial, sample: Sample, volume: Any) -> bool:
    columns = [subject.call(sample.column(index), attempt=trial.attempts.get(2)) for index in range(sample.shape[-1])]
    return not any(isinstance(column, Failure) for column in columns) and same(volume, stacked(columns, -1))


def _independent(subject: Subject, trial: Trial) -> bool:
    """Tell, for a function of stacks only, whether a slice decides nothing but its own result."""
    volume = trial.volume
    if not isinstance(volume, np.ndarray) or volume.ndim != 3 or len(volume) != len(trial.sample.image):
        return False
    for index in (0, 2):
        changed = subject.call(trial.sample.brightened(index), attempt=trial.attempts.get(3))
        if not same(np.delete(volume, index, 0), np.delete(changed, index, 0)):
            return False
    return True


def _reduces(subject: Subject, trial: Trial) -> bool:
    """Tell whether a plane comes of a stack, and every slice has its part in it or may have."""
    volume = trial.volume
    if not isinstance(volume, np.ndarray) or volume.ndim != 2 or 2 in volume.shape or 3 in volume.shape:
        return False
    changed = [
        subject.call(trial.sample.brightened(index), attempt=trial.attempts.get(3))
        for index in range(len(trial.sample.image))
    ]
    return sum(not same(volume, other) for other in changed) > 1


def _uncoupling(subject: Subject, good: dict[str, Trial]) -> dict[str, Any]:
    """Return the first arguments which make the stack's result that of its planes, for every dtype."""
    names = {parameter.name for parameter in subject.parameters}
    takes_any = any(parameter.kind == "any" for parameter in subject.parameters)
    for arguments in subject.registry.UNCOUPLE:
        if (takes_any or arguments.keys() <= names) and all(
            _uncouples(subject, trial, arguments) and _uncouples_noise(subject, dtype, trial, arguments)
            for dtype, trial in good.items()
        ):
            return dict(arguments)
    return {}


def _uncouples(subject: Subject, trial: Trial, arguments: Mapping[str, Any]) -> bool:
    if not (trial.takes_planes and trial.takes_volume):
        return True
    attempt = trial.attempts.get(2)
    volume = subject.call(trial.sample, attempt=attempt, like=trial.plane, **arguments)
    plane = subject.call(trial.plane, attempt=attempt, **arguments)
    return same(volume, stacked(trial.planes, 0)) and same(plane, trial.planes[1])


def _uncouples_noise(subject: Subject, dtype: str, trial: Trial, arguments: Mapping[str, Any]) -> bool:
    """Tell the same for an image of which every neighbour matters."""
    noise = make_noise(dtype, density=0.7)
    attempt = trial.attempts.get(2)
    volume = subject.call(noise, attempt=attempt, like=noise.slices()[1], **arguments)
    planes = [subject.call(plane, attempt=attempt) for plane in noise.slices()]
    return any(isinstance(plane, Failure) for plane in planes) or same(volume, stacked(planes, 0))
