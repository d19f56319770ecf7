"""What compiling costs: CPU seconds after start-up and bytes of contexts, for plates of 96, 384 and 1536 wells.

    .venv/bin/python benchmarks/compile.py

Nine sites and five channels a well, ten steps in two stages; indexes are made up, no pixel is read or written. Each
plate is compiled in a process of its own, which has compiled a plate of one well before. Writes
benchmarks/results/compile.csv and prints it.
"""

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.core.addresses import Well, well_name
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.index import Channel, Plane, PlateIndex, StagePosition

PLATES = {96: (8, 12), 384: (16, 24), 1536: (32, 48)}
SITES, CHANNELS = 9, ("DNA", "ER", "RNA", "AGP", "Mito")
COLUMNS = ("wells", "cpu_seconds", "cpu_ms_per_well", "kb_per_well_and_stage", "peak_mb")

PIPELINE = """\
name: painting
steps:
  - {name: light, scope: plate, stack: site, sample: 100, func: hcs.estimate_flat_field, outputs: {image: flat}}
  - {name: even, input: raw, func: hcs.apply_flat_field, inputs: {flat_field: flat}}
  - {name: clean, func: {call: hcs.subtract_background, args: {radius: 30 um}}}
  - {name: where, stack: site, func: hcs.stage_tile_positions, outputs: {positions: places}}
  - {name: whole, stack: site, func: hcs.assemble, inputs: {positions: places}, keep: true}
  - name: nuclei
    channels: [DNA]
    func: {call: hcs.segment_nuclei, args: {min_diameter: 8 um}}
    outputs: {labels: nuclei}
  - {name: ring, input: nuclei, func: {call: hcs.expand_ring, args: {inner: 0, outer: 5 um}}, outputs: {labels: ring}}
  - name: cells
    input: whole
    channels: [AGP]
    func: hcs.propagate_cells
    inputs: {nuclei: nuclei}
    outputs: {labels: cells}
  - {name: quality, input: raw, stack: channel, func: hcs.measure_image_quality, outputs: {table: image_quality}}
  - name: measure
    input: whole
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: [nuclei, ring, cells]}
    outputs: {table: objects}
"""


def index_of(wells: tuple[str, ...]) -> PlateIndex:
    """Make up the index of a plate: planes of 2048², sites on a grid of 3 × 3 with 10 % overlap."""
    places = [(site, 1200 * ((site - 1) % 3), 1200 * ((site - 1) // 3)) for site in range(1, SITES + 1)]
    return PlateIndex(
        plate="plate", format="pattern", fingerprint="stat", shape=(2048, 2048), dtype="uint16", pixel_size_um=0.65,
        z_spacing_um=None, grid=(3, 3), wells=wells, sites=tuple(range(1, SITES + 1)),
        channels=tuple(Channel(id=name, name=name) for name in CHANNELS), z=(1,), t=(0,),
        positions=tuple(StagePosition(well=well, site=site, x_um=x, y_um=y) for well in wells for site, x, y in places),
        planes=tuple(
            Plane(well=well, site=site, channel=channel, z=1, t=0, page=0, size=8_388_864,
                  file=f"TimePoint_1/plate_{well}_s{site}_{channel}.tif", mtime_ns=1_700_000_000_000_000_000 + site)
            for well in wells for site in range(1, SITES + 1) for channel in CHANNELS
        ),
        problems=(),
    )  # fmt: skip


def compile_here(folder: Path, wells: tuple[str, ...]) -> float:
    """Compile a plate in a folder; return the CPU seconds."""
    (folder / "raw").mkdir(parents=True)
    (folder / "plates.tsv").write_text("plate\tpath\nplate\traw\n")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    index_of(wells).save(folder / "results/plate/index.json")
    settings = load_settings({"plates": "plates.tsv", "pipeline": "pipeline.yaml"}, folder, "config.yaml")
    start = time.process_time()
    compile_plate(settings.plates[0], settings, folder / "results")
    return time.process_time() - start


def measure(count: int) -> None:
    """Print what a plate of so many wells costs in this process, as one line of CSV."""
    rows, columns = PLATES[count]
    wells = tuple(well_name(Well(row, column)) for row in range(rows) for column in range(columns))
    with tempfile.TemporaryDirectory() as name:
        compile_here(Path(name) / "first", wells[:1])
        seconds = compile_here(Path(name) / "plate", wells)
        contexts = list((Path(name) / "plate/results/plate/contexts").glob("*/*.json"))
        size = sum(path.stat().st_size for path in contexts) / len(contexts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(count, round(seconds, 2), round(1000 * seconds / count, 2), round(size / 1000, 1), round(peak), sep=",")


def main() -> None:
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
        return
    environment = os.environ | {"XDG_CACHE_HOME": tempfile.mkdtemp()}
    lines = [
        subprocess.run([sys.executable, __file__, str(count)], check=True, env=environment, text=True,
                       stdout=subprocess.PIPE).stdout.strip().split(",")
        for count in PLATES
    ]  # fmt: skip
    with (Path(__file__).parent / "results/compile.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
    print(*(",".join(line) for line in [COLUMNS, *lines]), sep="\n")


if __name__ == "__main__":
    main()
