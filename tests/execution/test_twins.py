"""The same plate on NumPy and on the twins: compiled here, executed where there is a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from hcs_lib.core.errors import MachineError
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import write_demo
from hcs_lib.registry.libraries import get_library

PIPELINE = """\
name: twins
steps:
  - name: smooth
    stack: z
    func:
      - {call: hcs.project, args: {method: max}}
      - {call: skimage.filters.gaussian, args: {sigma: 2, preserve_range: true}}
      - {call: scipy.ndimage.grey_opening, args: {size: 5}}
    keep: true
"""

TOLERANCE = 1e-5
"""Of the brightest pixel: how far a GPU and a CPU may be apart."""


class Analysis:
    """A plate of one well in a folder, and the program `hcs` run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_demo(folder / "demo", DemoSpec(rows=("B",), columns=(2,), grid=(1, 1), nuclei=(10, 12)))
        (folder / "pipeline.yaml").write_text(PIPELINE)
        (folder / "plates.tsv").write_text("plate\tpath\ndemo\tdemo/plate\n")

    def hcs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from hcs_lib.cli.main import main; main()"
        return subprocess.run([sys.executable, "-c", code, *arguments], cwd=self.folder, env=os.environ,
                              capture_output=True, text=True, timeout=240, check=False)  # fmt: skip

    def compile(self, device: str, gpus: int) -> list[Path]:
        """Compile into a folder of results of this device; return the manifests."""
        config = f"plates: plates.tsv\npipeline: pipeline.yaml\ndevice: {device}\ngpus: {gpus}\n"
        (self.folder / f"{device}.yaml").write_text(config)
        results = f"results-{device}"
        index = self.hcs("index", "demo/plate", "--plate", "demo", "--output", f"{results}/demo/index.json")
        assert index.returncode == 0, index.stderr
        done = self.hcs("compile", "--config", f"{device}.yaml", "--results", results)
        assert done.returncode == 0, done.stderr
        return sorted((self.folder / results / "demo/manifests").glob("*/*.json"))

    def image(self, device: str) -> np.ndarray:
        """The image that is kept."""
        group = zarr.open_group(self.folder / f"results-{device}/demo/demo.zarr/B/02/1", mode="r")
        return np.asarray(group["0"])


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return Analysis(tmp_path_factory.mktemp("twins"))


def test_what_is_compiled_names_both(analysis: Analysis) -> None:
    (manifest,) = analysis.compile("auto", 1)
    assert manifest.parent.name == "s01-gpu"
    path = analysis.folder / "results-auto/demo/contexts/s01-gpu/B02.json"
    plans = json.loads(path.read_bytes())["context"]["step_plans"]
    calls = [call for plan in plans.values() for call in plan["func"]["chain"]]
    assert [(call["call"], call["memory_type"], call["twin_of"]) for call in calls] == [
        ("hcs.project", "cupy", None),
        ("cucim.skimage.filters.gaussian", "cupy", "skimage.filters.gaussian"),
        ("cupyx.scipy.ndimage.grey_opening", "cupy", "scipy.ndimage.grey_opening"),
    ]
    shown = analysis.hcs("show", str(path)).stdout
    assert "cucim.skimage.filters.gaussian(preserve_range=True, sigma=2), the twin of skimage.filters.gaussian" in shown
    assert "moves  numpy → cupy before hcs.project" in shown


def test_without_the_gpu_the_machine_fails_and_nothing_falls_back(analysis: Analysis) -> None:
    try:
        get_library("cucim").get_library_object()
    except MachineError:
        (manifest,) = analysis.compile("auto", 1)
        done = analysis.hcs("execute", str(manifest))
        assert done.returncode == 3, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert not list((analysis.folder / "results-auto/demo").glob("receipts/*/B02.json"))
    else:
        pytest.skip("there is a GPU here")


@pytest.mark.gpu
def test_both_give_the_same_image(analysis: Analysis) -> None:
    try:
        get_library("cucim").get_library_object()
    except MachineError as error:
        pytest.skip(str(error))
    for device, gpus in (("cpu", 0), ("auto", 1)):
        for manifest in analysis.compile(device, gpus):
            done = analysis.hcs("execute", str(manifest))
            assert done.returncode == 0, done.stdout + done.stderr
    here, there = analysis.image("cpu"), analysis.image("auto")
    assert here.dtype == there.dtype
    np.testing.assert_allclose(there, here, rtol=0, atol=TOLERANCE * here.max())
