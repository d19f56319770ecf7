"""Faults, and what comes of them: a tiny plate in two stages, `hcs` as a program, and the rows of `docs/faults.md`.

Each test brings about a fault, runs a command, takes the fault away, and hands over to `survived`, which runs the
rest and holds the bytes against those of a run that nobody disturbed. What a user sees of a fault, and what is kept, is
a row of the table in `docs/faults.md`: with `HCS_FAULTS_TABLE=write` the rows are written, else compared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from hcs_lib.contexts.receipts import Receipt
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import PLATE, write_demo

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "faults.md"
BIN = Path(sys.executable).parent
SPEC = DemoSpec(rows=("B",), columns=(2, 3, 4), grid=(1, 2), field=128, nuclei=(10, 16), z_planes=2)
WELLS, STAGES = SPEC.wells, ("s01-cpu", "s02-cpu")
COMMANDS = ("index", "compile", "s01-cpu", "s02-cpu", "collect", "verdict")
"""Of a whole run; by the name of a stage, its execution."""


class Run(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    text: str


class Forks:
    """The server of `forked.py`."""

    def __init__(self, cache: Path) -> None:
        # This source tree is what is tested, and what others measured is none of its business.
        self.environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "XDG_CACHE_HOME": str(cache)}
        self._process = subprocess.Popen(
            [sys.executable, HERE / "forked.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=self.environment,
        )  # fmt: skip

    def run(self, output: Path, **request: Any) -> Run:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked
        assert answers
        print(json.dumps({"output": str(output), **request}), file=asked, flush=True)
        return Run(int(answers.readline()), output.read_text())

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)
        if self._process.stdout:
            self._process.stdout.close()


@dataclass
class Analysis:
    """A folder with `config`, `raw` and `results`.

    Attributes
    ----------
    log
        What the last command printed.
    outside, finished
        What there was when it was made: beside the results, and of receipts.
    """

    folder: Path
    log: Path
    forks: Forks
    outside: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    finished: dict[str, bytes] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        return self.folder / "results" / "demo"

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    def arguments(self, command: str) -> list[str]:
        """Return the arguments of `hcs` for one of `COMMANDS`."""
        return {
            "index": ["index", "raw", "--plate", "demo", "--output", "results/demo/index.json"],
            "compile": ["compile", "--config", "config/config.yaml"],
            **{stage: ["execute", f"results/demo/manifests/{stage}/b001.json"] for stage in STAGES},
            "collect": ["collect", "results/demo"],
            "verdict": ["verdict", "results/demo"],
            "verify": ["verify", "results"],
        }[command]

    def hcs(
        self,
        *arguments: str,
        fault: str = "",
        obey: bool = False,
        die_at: int | None = None,
        address_space: int = 0,
        latency: float = 0,
    ) -> Run:
        """Run `hcs`, by the name of one of `COMMANDS` or with arguments.

        Parameters
        ----------
        fault
            What the function of the pipeline does.
        obey
            Without the rights of root.
        die_at
            Killed at its change number so many to a file.
        address_space
            The most bytes that it may ask for; 0: no limit.
        latency
            The most seconds that each access to the file system waits.
        """
        if len(arguments) == 1:
            arguments = tuple(self.arguments(arguments[0]))
        return self.forks.run(
            self.log, folder=str(self.folder), arguments=["--module", "faulty", *arguments], fault=fault, obey=obey,
            die_at=die_at, address_space=address_space, latency=latency,
        )  # fmt: skip

    def start(self, command: str, fault: str = "") -> subprocess.Popen[str]:
        """Start `hcs` as a process of its own."""
        environment = self.forks.environment
        paths = os.pathsep.join([environment["PYTHONPATH"], str(self.folder / "config")])
        return subprocess.Popen(
            [BIN / "hcs", "--module", "faulty", *self.arguments(command)], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment | {"FAULT": fault, "PYTHONPATH": paths},
        )  # fmt: skip

    def said(self, status: int, text: str) -> Run:
        """Return what a process of its own said."""
        return Run(status, text)

    def snakemake(self, *arguments: str) -> Run:
        """Run Snakemake."""
        return self.ended(self.start_snakemake(*arguments))

    def ended(self, process: subprocess.Popen[bytes]) -> Run:
        """Wait for Snakemake."""
        return Run(process.wait(600), self.log.read_text())

    def start_snakemake(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start Snakemake, in a process group of its own."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [BIN / "snakemake", "--snakefile", HERE.parents[1] / "Snakefile", "--directory", self.folder,
                 "--configfile", self.folder / "config/config.yaml", "--cores", "2", *arguments,
                 "results/demo/verdict.txt"],
                cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=self.forks.environment,
            )  # fmt: skip

    def finish_with_snakemake(self) -> None:
        """Run to the end; where the folder is locked, unlock it first, as the README says."""
        run = self.snakemake()
        if run.status and "--unlock" in run.text:
            assert self.snakemake("--unlock").status == 0
            run = self.snakemake()
        assert run.status == 0, run.text

    def run(self, commands: Sequence[str]) -> None:
        """Run commands, each of which must end well."""
        for command in commands:
            done = self.hcs(command)
            assert done.status == 0, f"{command}: {done.text}"

    def outputs(self) -> dict[str, bytes]:
        """Return every file of arrays and tables."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for top in (self.results / "demo.zarr", self.results / "tables")
            for path in top.rglob("*")
            if path.is_file()
        }

    def receipts(self) -> dict[str, bytes]:
        """Return the receipts of finished wells by stage. They carry times: one done again is another."""
        found = {path: Receipt.load(path) for path in self.results.glob("receipts/*/*.json")}
        return {
            f"{path.parent.name}/{path.stem}": path.read_bytes()
            for path, receipt in found.items()
            if receipt is not None and receipt.status == "done"
        }

    def look(self) -> None:
        """Take what there is now for what there is to stay."""
        self.outside, self.finished = self.beside(), self.receipts()

    def beside(self) -> dict[str, tuple[bytes, int]]:
        """Return the bytes and time stamps of everything that is not results."""
        tops = [path.resolve() for path in self.folder.iterdir() if path.name not in ("results", ".snakemake")]
        return {
            str(path): (path.read_bytes(), path.stat().st_mtime_ns)
            for top in tops
            for path in ([top] if top.is_file() else top.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }


class Make(Protocol):
    def __call__(
        self, until: str | None = None, *, at: Path | None = None, own_raw: bool = False, keys: str = ""
    ) -> Analysis: ...


class Survived(Protocol):
    def __call__(
        self,
        analysis: Analysis,
        fault: str,
        command: str,
        run: Run,
        *,
        status: int,
        seen: str,
        kept: int | None = None,
        then: str = "run again",
        finish: Callable[[], object] | None = None,
    ) -> None: ...


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    forks = Forks(tmp_path_factory.mktemp("cache"))
    yield forks
    forks.end()


@pytest.fixture(scope="session")
def make(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make an analysis that has come as far as a command (None: nothing was run).

    `at` is a folder that is to hold it. `own_raw` gives it a copy of the raw plate; others share one. `keys` are more
    lines of the configuration.
    """
    top = tmp_path_factory.mktemp("faults")
    write_demo(top / "demo", SPEC)
    made: dict[str | None, Analysis] = {}

    def fresh(folder: Path, own_raw: bool) -> Analysis:
        shutil.copytree(HERE / "analysis", folder / "config", ignore=shutil.ignore_patterns("__pycache__"))
        if own_raw:
            shutil.copytree(top / "demo" / PLATE, folder / "raw")
        else:
            (folder / "raw").symlink_to(top / "demo" / PLATE)
        return Analysis(folder, tmp_path_factory.mktemp("log") / "log.txt", forks)

    def make(until: str | None = None, *, at: Path | None = None, own_raw: bool = False, keys: str = "") -> Analysis:
        folder = (at or top) / f"run{len(list((at or top).iterdir()))}"
        analysis = fresh(folder, own_raw)
        if keys:
            with (folder / "config/config.yaml").open("a") as file:
                file.write(f"{keys}\n")
        commands = COMMANDS[: COMMANDS.index(until) + 1] if until else ()
        if own_raw or keys:
            analysis.run(commands)
        elif until:
            if until not in made:
                made[until] = fresh(top / f"until-{until}", False)
                made[until].run(commands)
            shutil.copytree(made[until].folder / "results", folder / "results")
            plan = analysis.results / "plan.json"
            if plan.exists():  # it names where the raw plate is
                plan.write_text(plan.read_text().replace(str(made[until].folder), str(folder)))
        analysis.look()
        return analysis

    return make


@pytest.fixture(scope="session")
def whole(make: Make) -> Analysis:
    """A run that nobody disturbed."""
    analysis = make("verdict")
    assert len(analysis.receipts()) == len(WELLS) * len(STAGES)
    return analysis


@pytest.fixture
def survived(whole: Analysis) -> Survived:
    """Hold what a user saw against what is said of it; run the rest, and compare everything with an undisturbed run.

    Parameters of what it returns
    -----------------------------
    analysis, fault, command, run
        What happened to it while which command ran; how that ended.
    status, seen
        How it is to end, and what it says; `…` stands for any text.
    kept
        How many of the wells × stages that were finished, before or by the command, are not done again; None: all.
    then
        What the user does about it.
    finish
        Runs to the end; by default all commands once.
    """

    def survived(
        analysis: Analysis,
        fault: str,
        command: str,
        run: Run,
        *,
        status: int,
        seen: str,
        kept: int | None = None,
        then: str = "run again",
        finish: Callable[[], object] | None = None,
    ) -> None:
        assert "Traceback" not in run.text, run.text
        said = " ".join(run.text.split())
        assert re.search(".*".join(map(re.escape, seen.split("…"))), said), run.text
        assert run.status == status, run.text
        finished = analysis.receipts() | analysis.finished
        if finish is None:
            analysis.run(COMMANDS)
        else:
            finish()
        assert analysis.outputs() == whole.outputs()
        verified = analysis.hcs("verify")
        assert verified.status == 0, verified.text
        assert analysis.beside() == analysis.outside, "something outside of the results was touched"
        after = analysis.receipts()
        assert after.keys() == whole.receipts().keys()
        same = sum(after[name] == receipt for name, receipt in finished.items())
        assert same == (len(finished) if kept is None else kept)
        assert not list(analysis.results.glob("work/**/journal.json")), "something is still in flight"
        stays = "all that was finished" if kept is None else f"{kept} of {len(finished)}" if finished else "–"
        _row(fault, command, str(status), f"`{seen}`" if seen else "–", stays, then)

    return survived


ROW = re.compile(r"^\| ((?!fault |---).+?) \|.*\|$", re.MULTILINE)


def _row(*cells: str) -> None:
    """Compare a row with that of the page, or write it."""
    row = f"| {' | '.join(cells)} |"
    text = PAGE.read_text(encoding="utf-8")
    rows = {match[1]: match[0] for match in ROW.finditer(text)}
    if rows.get(cells[0]) == row:
        return
    if os.environ.get("HCS_FAULTS_TABLE") != "write":
        pytest.fail(f"{PAGE.name} has {rows.get(cells[0])!r}, and this was found:\n{row}\n"
                    "`HCS_FAULTS_TABLE=write pytest tests/faults` writes it.")  # fmt: skip
    old = rows.get(cells[0])
    end = "<!-- end of faults -->"
    PAGE.write_text(text.replace(old, row) if old else text.replace(end, f"{row}\n{end}"), encoding="utf-8")


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """Return the faults of the page."""
    return [match[1] for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system in memory with options of its own; for root only."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=False)
