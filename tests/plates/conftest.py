from dataclasses import asdict

import pytest

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
