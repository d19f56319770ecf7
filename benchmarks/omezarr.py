"""Writing and reading a well in OME-Zarr, beside a plain loop over Zarr with the same codec, chunks, shards and levels.

    .venv/bin/python benchmarks/omezarr.py

45 planes of 2048 × 2048 uint16, nine sites of five channels, made of noise and spots; each site with a label image.
The loop creates an array for each level, assigns the whole of it and halves; it writes no OME metadata. Both read every
image and label image at full resolution; ours counts the files of pixels first. Each runs in a process of its own,
three times, in turn; the least CPU time of each counts. Files of both are compared as arrays. Writes
benchmarks/results/omezarr.csv and prints it.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SITES, RUNS = 9, 3

COMMON = """
import resource, sys
from pathlib import Path
import numpy as np, zarr
from hcs_lib.storage.images import Pyramid, halve_image, halve_labels, read_image, write_image, write_labels
from hcs_lib.storage.planning import plan_array, plan_level

folder, sites = Path(sys.argv[1]), int(sys.argv[2])
names = ["DNA", "ER", "RNA", "AGP", "Mito"]
image = plan_array({"c": 5, "y": 2048, "x": 2048}, "uint16", labels=False, channels=names, pixel_size_um=0.65)
label = plan_array({"y": 2048, "x": 2048}, "int32", labels=True, pixel_size_um=0.65)
rng = np.random.default_rng(7)
rows, columns = np.ogrid[:2048, :2048]
spots = ((rows // 32 + columns // 32) % 3 == 0) & ((rows % 32 - 16) ** 2 + (columns % 32 - 16) ** 2 < 144)
pixels = rng.poisson(np.where(spots, 900, 150), (5, 2048, 2048)).astype(np.uint16)
labels = np.where(spots, rows // 32 * 64 + columns // 32 + 1, 0).astype(np.int32)

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

def plain(group, spec, array, halve):
    for level in range(spec.levels):
        planned = plan_level(spec, level)
        array = halve(array) if level else array
        stored = zarr.create_array(
            zarr.storage.LocalStore(group / str(level)),
            shape=planned.shape, chunks=planned.chunks, shards=planned.shards, dtype=planned.dtype,
            compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", blocksize=2**19),
            fill_value=0,
        )
        stored[...] = array

def ours(array, spec):
    pyramid = Pyramid(spec)
    if spec.channels:
        for channel, plane in enumerate(array):
            pyramid.put((channel,), plane)
    else:
        pyramid.put((), array)
    return pyramid

zarr.create_array(zarr.storage.MemoryStore(), shape=(4,), dtype="uint16")[...] = 0  # what is imported when first used
start = cpu()
"""

PROGRAMS = {
    ("write", "loop"): """
for site in range(sites):
    plain(folder / str(site), image, pixels, halve_image)
    plain(folder / str(site) / "labels/nuclei", label, labels, halve_labels)
""",
    ("write", "hcs"): """
for site in range(sites):
    write_image(folder / str(site), ours(pixels, image), name=f"site {site}")
    write_labels(folder / str(site), "nuclei", ours(labels, label))
""",
    ("read", "loop"): """
for site in range(sites):
    for path, known in ((f"{site}/0", pixels), (f"{site}/labels/nuclei/0", labels)):
        assert zarr.open_array(folder / path, mode="r")[...].shape == known.shape
""",
    ("read", "hcs"): """
for site in range(sites):
    for name, known in ((None, pixels), ("nuclei", labels)):
        assert read_image(folder / str(site), name).shape == known.shape
""",
}

CHECK = """
for site in range(sites):
    for path in (f"{site}/{part}{level}" for part in ("", "labels/nuclei/") for level in (0, 1)):
        ours, theirs = (zarr.open_array(Path(top) / path, mode="r")[...] for top in (folder, sys.argv[3]))
        np.testing.assert_array_equal(ours, theirs)
"""


def cpu_s(code: str, *arguments: object) -> float:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + code + "\nprint(cpu() - start)", *map(str, arguments)],
        text=True, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def main() -> None:
    least: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name:
        for run in range(RUNS):
            for (what, who), code in PROGRAMS.items():
                taken = cpu_s(code, Path(name) / who / str(run), SITES)
                least[what, who] = min(taken, least.get((what, who), taken))
        folders = [Path(name) / who / "0" for who in ("hcs", "loop")]
        cpu_s(CHECK, folders[0], SITES, folders[1])
        files = {
            who: sum(path.is_file() and path.suffix != ".json" for path in folder.rglob("*"))
            for who, folder in zip(("hcs", "loop"), folders, strict=True)
        }
    target = REPOSITORY / "benchmarks/results/omezarr.csv"
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "loop_cpu_s", "hcs_cpu_s", "ratio", "loop_files", "hcs_files"])
        for what in ("write", "read"):
            loop, hcs = least[what, "loop"], least[what, "hcs"]
            writer.writerow([what, round(loop, 2), round(hcs, 2), round(hcs / loop, 2), files["loop"], files["hcs"]])
    print(target.read_text(), end="")


if __name__ == "__main__":
    main()
