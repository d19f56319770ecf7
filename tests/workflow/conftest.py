"""Running the workflow as a user does: `snakemake` as a program, in a folder of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Run:
    """How a program ended, and everything that it printed."""

    status: int
    text: str


@dataclass(frozen=True)
class Analysis:
    """A user's own analysis: a configuration, and the folder that Snakemake works in."""

    snakefile: Path
    config: Path
    work: Path

    @property
    def results(self) -> Path:
        return self.work / "results" / "bbbc013"

    def run(self, *arguments: str) -> Run:
        return run_program(
            "snakemake", "--snakefile", self.snakefile, "--directory", self.work, "--configfile", self.config,
            "--cores", "2", *arguments, cwd=self.config.parent,
        )  # fmt: skip

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.config.parent / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def receipts(self) -> dict[str, dict[str, object]]:
        return {
            path.stem: json.loads(path.read_text()) for path in sorted(self.results.glob("receipts/s01-cpu/*.json"))
        }

    def executed_since(self, before: dict[str, dict[str, object]]) -> set[str]:
        """Return the wells whose receipt is another one: receipts carry times."""
        return {well for well, receipt in self.receipts().items() if receipt != before.get(well)}


def run_program(name: str, *arguments: object, cwd: Path) -> Run:
    # An environment that is not active: the rules find `hcs` all the same.
    environment = os.environ | {"PATH": os.pathsep.join(p for p in os.get_exec_path() if Path(p) != BIN)}
    done = subprocess.run(
        [BIN / name, *map(str, arguments)], cwd=cwd, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
    )  # fmt: skip
    return Run(done.returncode, done.stdout)


@pytest.fixture(scope="session")
def program() -> Callable[..., Run]:
    return run_program


@pytest.fixture(scope="session")
def bbbc013(repository: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Analysis]:
    """Make a copy of the example, with the images of all wells (a link) or of some (copies)."""
    images = shared_data / "bbbc013-wortmannin" / "images"

    def make(wells: Iterable[str] = ()) -> Analysis:
        folder = tmp_path_factory.mktemp("bbbc013")
        example = folder / "analysis"
        shutil.copytree(repository / "config/examples/bbbc013", example)
        if wells:
            (example / "images").mkdir()
            for well in wells:
                for file in images.glob(f"Channel?-*-{well[0]}-{well[1:]}.tif"):
                    shutil.copy2(file, example / "images")
        else:
            (example / "images").symlink_to(images)
        return Analysis(repository / "Snakefile", example / "config.yaml", folder / "work")

    return make
