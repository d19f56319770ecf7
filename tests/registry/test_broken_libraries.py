"""Libraries that are half installed: named in one line, and the others still work."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hcs_lib.core.errors import MachineError
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.service import RegistryService, resolve
from hcs_lib.registry.workers import probe_library

WHY = "libtorch_cpu.so: cannot open shared object file"


@pytest.fixture
def broken(tmp_path) -> Path:
    """A folder with a torch that cannot be imported, before the one that may be installed."""
    (tmp_path / "site" / "torch").mkdir(parents=True)
    (tmp_path / "site" / "torch" / "__init__.py").write_text(f"raise OSError({WHY!r})\n")
    distribution = tmp_path / "site" / "torch-2.13.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
    return tmp_path / "site"


def hcs(broken: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program with the broken library in front."""
    paths = os.pathsep.join([str(broken), *(path for path in sys.path if path)])
    return subprocess.run(
        [sys.executable, "-m", "hcs_lib.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("library", ["cupyx.scipy.ndimage", "kornia", "pyclesperanto", "skimage", "torch"])
def test_what_is_not_installed_says_what_brings_it(monkeypatch, repository, library):
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    monkeypatch.setattr("hcs_lib.registry.base.installed_version", lambda name: None)
    monkeypatch.setattr("hcs_lib.registry.cuda.installed_version", lambda name: None)
    with pytest.raises(MachineError, match="is not installed") as found:
        get_library(library).get_library_version()
    named = re.search(r"`make setup(?: EXTRAS=(\w+))?`", str(found.value))
    distribution = {"cupyx.scipy.ndimage": "cupy", "skimage": "scikit-image"}.get(library, library)
    brought = [extra for extra in extras if any(line.startswith(distribution) for line in extras[extra])]
    assert named[1] in (brought or [None])


def test_it_is_named_in_one_line_and_the_machine_is_at_fault(broken, tmp_path):
    found = hcs(broken, "registry", "build", "torch", "--force", "--output", str(tmp_path / "torch.json"))
    assert found.returncode == 3
    assert f"torch cannot be imported: {WHY}" in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "torch.json").exists()


def test_the_others_still_work(broken):
    found = hcs(broken, "registry", "build", "scipy.ndimage")
    assert (found.returncode, "functions usable" in found.stdout) == (0, True), found.stderr
    assert "scipy.ndimage.gaussian_filter" in hcs(broken, "functions", "search", "gaussian_filter").stdout


def test_its_functions_are_refused_when_called(broken, monkeypatch):
    entry = RegistryService().look_up("torch")
    if entry is None:
        pytest.skip("there is no snapshot for the torch installed here")
    mean = entry.entries["torch.mean"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch" or ".adapters.torch" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(broken)
    with pytest.raises(MachineError, match=f"torch cannot be imported: {WHY}"):
        resolve(mean.id, mean.library, mean.version, mean.target, mean.source_digest)


def test_one_module_of_several_that_raises(monkeypatch, tmp_path):
    (tmp_path / "broken_part.py").write_text("import json\njson.nothing\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Half(type(get_library("scipy.ndimage"))):
        MODULES_TO_SCAN = ("scipy.ndimage", "broken_part")

    with pytest.raises(MachineError, match=r"scipy\.ndimage cannot be imported: module 'json' has no attribute"):
        Half().function("broken_part:blur")
    assert callable(Half().function("scipy.ndimage:gaussian_filter"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "broken cannot be imported: No module named 'no_such_module'"),
        ("__all__ = ['nothing']", "broken cannot be imported: module 'broken_library' has no attribute 'nothing'"),
        ("1 / 0", "broken cannot be imported: division by zero"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "broken cannot be probed: it crashed with SIGSEGV"),
        ("raise SystemExit(5)", r"broken cannot be probed: it ended its process with status 5"),
    ],
)
def test_a_library_that_cannot_be_imported_is_not_imported_here(toy, monkeypatch, tmp_path, source, message):
    (tmp_path / "broken_library.py").write_text(source)
    (tmp_path / "broken_registry.py").write_text(
        "from toy_registry import ToyRegistry\n"
        "class BrokenRegistry(ToyRegistry):\n"
        "    library_name = 'broken'\n"
        "    MODULES_TO_SCAN = ('broken_library',)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_registry", raising=False)
    from broken_registry import BrokenRegistry

    with pytest.raises(MachineError, match=message):
        probe_library(BrokenRegistry(), workers=1)
    assert "broken_library" not in sys.modules
