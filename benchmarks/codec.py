"""How small and how fast kept pixels are, by Blosc's shuffle and block size: real planes, and labels made of them.

    .venv/bin/python benchmarks/codec.py [FOLDER]

By default planes of the real plates in ../shared/data, and without them of a demo plate. Labels are
objects above Otsu's threshold, int32. CPU seconds a GB before compression, of one thread. Writes
benchmarks/results/codec.csv where the real plates are there.
"""

import csv
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import Blosc, blosc
from skimage.filters import threshold_otsu
from skimage.measure import label

from hcs_lib.core.errors import DataError
from hcs_lib.plates.reading import read_plane
from hcs_lib.plates.synthetic import DemoSpec, write_demo

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared/data"
REAL = ("bbbc013-wortmannin", "imagexpress-database", "imagexpress-exported", "operetta-harmony", "stitch-row")
SIDE = 1024
SHUFFLES = {"bitshuffle": Blosc.BITSHUFFLE, "shuffle": Blosc.SHUFFLE}
BLOCKS = (0, 2**17, 2**18, 2**19, 2**20)
"""Bytes; 0 leaves it to Blosc."""


def planes_of(folder: Path) -> Iterator[np.ndarray[Any, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".tif", ".tiff"):
            try:
                yield np.ascontiguousarray(read_plane(folder, str(path.relative_to(folder)), 0)[:SIDE, :SIDE])
            except DataError:
                continue


def measure(name: str, folder: Path) -> Iterator[list[object]]:
    codecs = {(how, block): Blosc("zstd", 1, SHUFFLES[how], blocksize=block) for how in SHUFFLES for block in BLOCKS}
    sums: Counter[tuple[Any, ...]] = Counter()
    for plane in islice(planes_of(folder), 24):
        labels = label(plane > threshold_otsu(plane)).astype(np.int32)
        for (kind, pixels), (key, codec) in [
            (pair, item) for pair in ((plane.dtype.name, plane), ("labels", labels)) for item in codecs.items()
        ]:
            start = time.process_time()
            encoded = codec.encode(pixels)
            middle = time.process_time()
            codec.decode(encoded)
            sums[kind, *key, "read"] += time.process_time() - middle
            sums[kind, *key, "write"] += middle - start
            sums[kind, *key, "kept"] += len(encoded)
            sums[kind, *key, "bytes"] += pixels.nbytes
    for kind, *key in dict.fromkeys(key[:3] for key in sums):
        kept, write, read = (sums[kind, *key, what] / sums[kind, *key, "bytes"] for what in ("kept", "write", "read"))
        yield [name, kind, *key, f"{kept:.4f}", f"{write * 1e9:.2f}", f"{read * 1e9:.2f}"]


def main() -> None:
    blosc.use_threads = False
    real = {name: DATA / name for name in REAL if (DATA / name).is_dir()}
    with tempfile.TemporaryDirectory() as top:
        folders = {Path(folder).name: Path(folder) for folder in sys.argv[1:]} or real
        if not folders:
            folders = {"demo": write_demo(Path(top) / "demo", DemoSpec(field=SIDE, nuclei=(1200, 1600)))}
        rows = [row for name, folder in folders.items() for row in measure(name, folder)]
    table = [["planes", "pixels", "shuffle", "block_bytes", "kept", "write_s_per_gb", "read_s_per_gb"], *rows]
    csv.writer(sys.stdout, lineterminator="\n").writerows(table)
    if folders is real:
        with (REPOSITORY / "benchmarks/results/codec.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(table)


if __name__ == "__main__":
    main()
