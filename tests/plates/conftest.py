import importlib.util
from dataclasses import asdict
from pathlib import Path

import pytest

from hcs_lib.compiler.compile import compile_plate
from hcs_lib.contexts.receipts import Receipt
from hcs_lib.execution.execute import execute_manifest
from hcs_lib.pipeline.settings import load_settings
from hcs_lib.plates.indexing import index_plate
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import write_demo

SMALL = DemoSpec(rows=("B",), columns=(2, 3, 4), field=128, nuclei=(20, 30))


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory):
    """A demo plate of three wells: folder and spec. To be read only."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    write_demo(folder, SMALL)
    return folder, SMALL


@pytest.fixture
def spec_of():
    """Return the small spec with other values."""
    return lambda **values: DemoSpec(**(asdict(SMALL) | values))


@pytest.fixture(scope="session")
def layouts():
    """The module that writes one plate in the layouts of several microscopes."""
    spec = importlib.util.spec_from_file_location("layouts", Path(__file__).with_name("layouts.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compiled(tmp_path):
    """Index and compile a plate; return how to execute it, which gives the results and the receipts by well."""

    def prepare(plate, pipeline, **config):
        (tmp_path / "plates.tsv").write_text(f"plate\tpath\np\t{plate}\n")
        (tmp_path / "pipeline.yaml").write_text(pipeline)
        settings = load_settings(
            {"plates": "plates.tsv", "pipeline": "pipeline.yaml", **config}, tmp_path, "config.yaml"
        )
        index_plate(plate, plate="p").save(tmp_path / "results/p/index.json")
        compile_plate(settings.plates[0], settings, tmp_path / "results")

        def run():
            for manifest in sorted((tmp_path / "results/p/manifests").glob("*/*.json")):
                execute_manifest(manifest)
            receipts = (tmp_path / "results/p/receipts").glob("*/*.json")
            found = [Receipt.model_validate_json(path.read_bytes()) for path in receipts]
            return tmp_path / "results/p", {receipt.well: receipt for receipt in found}

        return run

    return prepare
