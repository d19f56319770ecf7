"""Arguments for the probe: guesses of what a function requires, by the names of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hcs_lib.registry.entry import Parameter
from hcs_lib.registry.samples import Sample


class NeedsArgumentError(Exception):
    """A required argument that cannot be guessed."""


def _each(value: Any) -> Callable[[Sample], Any]:
    return lambda sample: (value,) * sample.ndim


def _value(value: Any) -> Callable[[Sample], Any]:
    return lambda _: value


def _box(sample: Sample) -> np.ndarray:
    return np.ones((3,) * sample.ndim, np.uint8)


def _kernel(sample: Sample) -> np.ndarray:
    return np.full((3,) * sample.ndim, 3.0**-sample.ndim)


def _labels(sample: Sample) -> np.ndarray:
    return sample.labels


def _mask(sample: Sample) -> np.ndarray:
    return sample.labels > 0


def _other(sample: Sample) -> np.ndarray:
    return sample.other


def _brightest(sample: Sample) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(np.argmax(sample.image), sample.shape))


def _fraction(value: float) -> Callable[[Sample], Any]:
    return lambda sample: type(sample.peak)(value * sample.peak)


_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.column_stack([17 + 9 * np.sin(_TURN), 17 + 9 * np.cos(_TURN)])

GUESSES: Mapping[str, Callable[[Sample], Any]] = {
    "P": _value(8),
    "R": _value(1.0),
    "angle": _value(10.0),
    "angles": _value([0.0]),
    "balance": _value(0.1),
    "bins": _value(8),
    "channel_axis": _value(None),
    "coordinates": lambda sample: np.indices(sample.shape) * 0.9,
    "corners": _value(np.array([[8, 8], [20, 20]])),
    "crop_width": _value(2),
    "distances": _value([1]),
    "dst": _each(25),
    "edge_map": lambda sample: sample.image.astype(np.float64),
    "end": _each(2),
    "factors": _each(2),
    "footprint": _box,
    "frequency": _value(0.2),
    "h": _fraction(0.1),
    "high": _fraction(0.6),
    "im2": _other,
    "im_test": _other,
    "image1": _other,
    "image1_mask": _mask,
    "image_test": _other,
    "input_image1": _other,
    "inverse_map": _value(np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0], [0.0, 0.0, 1.0]])),
    "kernel": _kernel,
    "label_img": _labels,
    "labels": _labels,
    "low": _fraction(0.3),
    "low_sigma": _value(1.0),
    "markers": _labels,
    "mask": _mask,
    "matrix": lambda sample: np.eye(sample.ndim) * 0.9,
    "max": _fraction(1.0),
    "min": _value(0),
    "min_distance": _value(2),
    "moving_image": _other,
    "new_value": _value(1),
    "num_iter": _value(3),
    "output_shape": lambda sample: tuple(side - 2 for side in sample.shape),
    "percentile": _value(50),
    "psf": _kernel,
    "radius": _value(2),
    "rank": _value(1),
    "reference": _other,
    "s2": _labels,
    "scale": _value(0.5),
    "seed_point": _brightest,
    "shift": _value(1.0),
    "sigma": _value(1.0),
    "size": _value(3),
    "slices": lambda sample: [(1, -1)] * sample.ndim,
    "snake": lambda _: _CIRCLE,
    "src": _each(2),
    "start": _each(0),
    "template": lambda sample: sample.image[..., 4:14, 4:14],
    "weights": _kernel,
    "window_shape": _each(2),
    "zoom": _value(1.5),
}
"""A value that makes sense for a parameter of this name, whatever the function."""

NUMBERS = "float | Sequence[float]"
"""The annotation of a parameter that takes a number, or one for each axis."""

ATTEMPTS = ("size", "channel_axis", "footprint", "labels", "mask", "image_test", "image1")
"""Parameters that are guessed too where a call fails without: signatures do not say all that is required."""


def guess_arguments(
    parameters: tuple[Parameter, ...], overrides: Mapping[str, Any], attempt: str | None, sample: Sample
) -> dict[str, Any]:
    """Return arguments for one call: what the library states, guesses for what is required, and one attempt.

    Raises
    ------
    NeedsArgumentError
        For a required argument without a guess.
    """
    arguments = {name: value(sample) if callable(value) else value for name, value in overrides.items()}
    for parameter in parameters:
        if parameter.name in arguments or not (parameter.required or parameter.name == attempt):
            continue
        if parameter.name not in GUESSES:
            raise NeedsArgumentError(parameter.name)
        arguments[parameter.name] = GUESSES[parameter.name](sample)
    return arguments


def annotate_numbers(
    parameters: tuple[Parameter, ...], overrides: Mapping[str, Any], attempts: Iterable[str | None], sample: Sample
) -> tuple[Parameter, ...]:
    """Return the parameters, those without an annotation for which a number (or several) was guessed with one."""
    tried = set(attempts)

    def numeric(parameter: Parameter) -> bool:
        if parameter.annotation or parameter.name in overrides or parameter.name not in GUESSES:
            return False
        guess = GUESSES[parameter.name](sample) if parameter.required or parameter.name in tried else None
        return all(isinstance(number, (int, float)) for number in (guess if isinstance(guess, tuple) else (guess,)))

    return tuple(
        replace(known, annotation=NUMBERS if known.required else f"{NUMBERS} | None") if numeric(known) else known
        for known in parameters
    )
