"""What functions work with: bytes for each pixel that they see at once, beside their image and their result.

    .venv/bin/python benchmarks/working.py [BEGINNING…]

Each function is called with the arguments that the probe guesses (and, of ours, with those below), in a process of its
own, on a plane and on a volume of uint16 and of float64; `tracemalloc` tells the peak of what is allocated through
NumPy and Python. Where functions ask for memory otherwise (in C++, in a library for GPUs), it is not seen. Writes
what was measured into hcs_lib/compiler/working.json: bytes of a plane of uint16, of float64, of a volume of uint16, of
float64; null where a function takes none or failed. What is there of other functions stays: those are measured
whose names begin as said, by default all of scikit-image, scipy.ndimage, scipy.signal and ours.
"""

import gc
import json
import math
import os
import signal
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hcs_lib.registry.entry import FunctionEntry
from hcs_lib.registry.guesses import ATTEMPTS, guess_arguments
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.samples import Sample, make_sample
from hcs_lib.registry.service import RegistryService

TARGET = Path(__file__).parents[1] / "hcs_lib/compiler/working.json"
SECONDS = 6
PLANES, VOLUMES, CHANNELS = (2, 401, 400), (11, 121, 120), (2, 281, 280)

MODEL = {
    "features": [["gaussian", 1.0], ["gaussian", 2.0], ["gradient", 2.0], ["laplacian", 2.0]], "mean": [0.0] * 4,
    "scale": [1.0] * 4, "classes": ["a", "b"], "weights": [[0.1] * 4] * 2, "bias": [0.0, 0.0],
}  # fmt: skip

OURS: dict[str, Callable[[Sample], dict[str, Any]]] = {
    "hcs.apply_flat_field": lambda sample: {"flat_field": np.ones(sample.shape, np.float32)},
    "hcs.assemble": lambda sample: {
        "positions": np.array([(0.0, 0.9 * number * sample.shape[2]) for number in range(len(sample.image))])
    },
    "hcs.classify_pixels": lambda sample: {"model": MODEL, "target": "a"},
    "hcs.expand_ring": lambda sample: {"inner": 2, "outer": 8},
    "hcs.measure_image_quality": lambda sample: {"channel_names": [str(number) for number in range(len(sample.image))]},
    "hcs.measure_objects": lambda sample: {
        "labels": {"nuclei": sample.labels[0]},
        "channel_names": [str(number) for number in range(len(sample.image))],
    },
    "hcs.project": lambda sample: {"method": "median"},
    "hcs.propagate_cells": lambda sample: {"nuclei": sample.labels},
    "hcs.segment_nuclei": lambda sample: {"min_diameter": 20},
    "hcs.stage_tile_positions": lambda sample: {"overlap": 0.1, "grid_dimensions": (1, len(sample.image))},
    "hcs.subtract_background": lambda sample: {"radius": 50},
    "hcs.subtract_labels": lambda sample: {"inner": sample.labels},
}
"""Arguments of our functions, of those that use most."""

LABELS = {"hcs.expand_ring", "hcs.subtract_labels"}


def measure(entry: FunctionEntry, dimensions: int, dtype: str) -> int:
    """Return bytes for each pixel; whatever the call fails with is raised."""
    library = get_library(entry.library)
    function = library.function(entry.target)
    overrides = library.probe_arguments(entry.target.partition(":")[2], entry.parameters)

    def sample_of(shape: tuple[int, int, int]) -> Sample:
        found = make_sample("int32" if entry.id in LABELS else dtype, shape=shape)
        return found.slices()[1] if dimensions == 2 else found

    def call(sample: Sample, image: Any, attempt: str | None) -> Any:
        if entry.library == "hcs":
            return function(image, **(OURS[entry.id](sample) if entry.id in OURS else {}))
        return function(image, **guess_arguments(entry.parameters, overrides, attempt, sample))

    # What is imported, compiled or kept at the first call is not counted.
    small = sample_of((5, 61, 60))
    attempt = next(
        attempt for attempt in (None, *ATTEMPTS) if succeeds(partial(call, small, small.image.copy(), attempt))
    )
    sample = sample_of(PLANES if dimensions == 2 else CHANNELS if entry.axis == "channel" else VOLUMES)
    image = sample.image.copy()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = call(sample, image, attempt)
    peak = tracemalloc.get_traced_memory()[1]
    return max(0, math.ceil((peak - before - size_of(result)) / image.size - 0.1))


def succeeds(call: Callable[[], Any]) -> bool:
    """Tell whether a call raises nothing."""
    try:
        call()
    except Exception:
        return False
    return True


def size_of(value: Any) -> int:
    """Return the bytes of the arrays of a result."""
    if isinstance(value, (tuple, list)):
        return sum(map(size_of, value))
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return int(getattr(value, "nbytes", 0))


def measured_apart(entry: FunctionEntry, dimensions: int, dtype: str) -> int | None:
    """Measure in a process of its own; None where the call fails, crashes or takes too long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        warnings.simplefilter("ignore")
        try:
            os.write(write, json.dumps(measure(entry, dimensions, dtype)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else None


def main() -> None:
    entries = RegistryService().entries()
    known = json.loads(TARGET.read_bytes()) if TARGET.exists() else {}
    names = tuple(sys.argv[1:] or ("skimage.", "scipy.ndimage.", "scipy.signal.", "hcs."))
    for name in sorted(name for name in entries if name.startswith(names)):
        known[name] = [
            measured_apart(entries[name], dimensions, dtype) if dimensions in entries[name].accepts else None
            for dimensions in (2, 3)
            for dtype in ("uint16", "float64")
        ]
        print(name, *known[name], file=sys.stderr, flush=True)
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known))
        TARGET.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
