import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hcs_lib.cli.registry import registry
from hcs_lib.core.errors import MachineError, UserError
from hcs_lib.registry.cache import snapshot_folder
from hcs_lib.registry.libraries import get_library


def invoke(*args):
    return CliRunner().invoke(registry, args, catch_exceptions=False)


def test_build_copies_a_valid_snapshot(tmp_path):
    output = tmp_path / "results" / "skimage.json"
    done = invoke("build", "skimage", "--output", str(output))
    assert done.exit_code == 0
    assert output.read_bytes() == (snapshot_folder() / "skimage.json").read_bytes()
    assert "functions usable (the shipped snapshot)" in done.output


def test_what_is_in_the_way_of_a_file_is_named(tmp_path, user_cache):
    (user_cache / "skimage.json").mkdir(parents=True)
    with pytest.raises(MachineError, match=r"skimage.json cannot be written \(Is a directory\). Remove what is in"):
        invoke("build", "skimage")
    assert list((user_cache / "skimage.json").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"file/skimage.json cannot be written"):
        invoke("build", "skimage", "--output", str(tmp_path / "file" / "skimage.json"))
    done = invoke("build")
    assert done.exit_code == 0
    assert "skimage: left out." in done.output
    assert (user_cache / "scipy.ndimage.json").exists()


def test_build_all_into_the_users_cache(user_cache):
    assert invoke("build").exit_code == 0
    written = {path.name for path in user_cache.iterdir()}
    assert written >= {"cucim.json", "hcs.json", "scipy.ndimage.json", "scipy.signal.json", "skimage.json"}
    for name in written - {"hcs.json"}:
        assert (user_cache / name).read_bytes() == (snapshot_folder() / name).read_bytes()


def test_build_of_our_own_functions_is_the_same_bytes_each_time(tmp_path):
    for name in ("a", "b"):
        invoke("build", "hcs", "--force", "--output", str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_build_of_an_unknown_library():
    with pytest.raises(UserError, match=r"no such library.*Did you mean skimage"):
        invoke("build", "skimages")


def test_output_needs_a_library(tmp_path):
    with pytest.raises(UserError, match="needs one LIBRARY"):
        invoke("build", "--output", str(tmp_path / "x.json"))


def test_status_as_json(tmp_path):
    invoke("build", "scipy.ndimage", "--output", str(tmp_path / "scipy.ndimage.json"))
    found = {
        row["library"]: row
        for row in json.loads(invoke("status", "--folder", str(tmp_path), "--json").output)["libraries"]
    }
    assert found["scipy.ndimage"]["source"] == "workflow"
    assert found["skimage"]["source"] == "snapshot"
    assert found["skimage"]["valid"]
    assert found["skimage"]["usable"] >= 150
    assert (found["hcs"]["valid"], found["hcs"]["source"], found["hcs"]["path"]) == (True, "probe", None)
    assert found["hcs"]["usable"] == len(get_library("hcs").build())


def test_status_as_a_table():
    shown = invoke("status").output
    assert "skimage" in shown
    assert "0.26.0" in shown
    assert "the shipped snapshot" in shown


def test_copying_a_snapshot_imports_no_image_library(tmp_path):
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from hcs_lib.cli.registry import registry\n"
        f"done = CliRunner().invoke(registry, ['build', 'skimage', '--output', {str(tmp_path / 's.json')!r}])\n"
        "assert done.exit_code == 0, done.output\n"
        "print(sorted({'numpy', 'scipy', 'skimage', 'torch', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
