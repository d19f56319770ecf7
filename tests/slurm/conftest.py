"""A Slurm cluster on this machine for all tests, a plate of 96 wells, and what its results must be."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hcs_lib.core.files import locked
from hcs_lib.plates.scene import DemoSpec
from hcs_lib.plates.synthetic import write_demo

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
collect_ignore = [] if os.environ.get("HCS_SLURM") == "full" else ["test_bbbc013.py"]
NODES = ("cpu1", "cpu2", "gpu1")


class Job(NamedTuple):
    """What Slurm knows of a job. `comment` is the plugin's: rule and wildcards."""

    id: str
    comment: str
    state: str
    nodes: str
    requeue: str
    memory: str
    minutes: str
    gpus: str


class Cluster:
    """The running cluster. Nodes that a test ended come back with `start_nodes`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def jobs(self, since: int = 0) -> dict[str, list[Job]]:
        """Return the jobs of the last five minutes by comment, in the order of submission; those after an id."""
        records = [
            dict(re.findall(r"(\w+)=(\S*)", line)) for line in self._run("scontrol", "show", "job", "--oneliner")
        ]
        jobs = defaultdict(list)
        for record in sorted(
            (record for record in records if "JobId" in record), key=lambda found: int(found["JobId"])
        ):
            if int(record["JobId"]) > since:
                jobs[record["Comment"]].append(
                    Job(
                        record["JobId"], record["Comment"], record["JobState"], record["NodeList"], record["Requeue"],
                        record["MinMemoryNode"], record["TimeLimit"], record.get("TresPerJob", ""),
                    )
                )  # fmt: skip
        return dict(jobs)

    def last_id(self) -> int:
        """Return the id of the newest job."""
        return max((int(job.id) for jobs in self.jobs().values() for job in jobs), default=0)

    def cancel(self, job: Job) -> None:
        """End a job as a person does."""
        self._run("scancel", job.id)

    def kill_daemon(self, node: str) -> None:
        """Kill the daemon of a node: Slurm takes the node for dead, its jobs for lost. Their processes live on."""
        os.kill(self._daemon(node), signal.SIGKILL)

    def kill_node(self, node: str, jobs: Iterable[Job]) -> None:
        """Kill all that runs on a node: its daemon, and its jobs."""
        self.kill_daemon(node)
        steps = [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if any(f"slurmstepd: [{job.id}." in _read(path) for job in jobs)
        ]
        for pid in [process for step in steps for process in (step, *_descendants(step))]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_nodes(self) -> None:
        """Start the daemons that are not there, and wait until Slurm knows them."""
        for node in NODES:
            with suppress(OSError, ValueError):
                if Path(f"/proc/{self._daemon(node)}/comm").read_text() == "slurmd\n":
                    continue
            self._run("slurmd", "-N", node)
        until = time.monotonic() + 30
        while len(set(self._run("sinfo", "--noheader", "--Node", "--states=idle,mixed,allocated", "--format=%N"))) < 3:
            assert time.monotonic() < until, "a node does not come back"
            time.sleep(0.2)

    def _daemon(self, node: str) -> int:
        return int((self.folder / f"run/slurmd-{node}.pid").read_text())

    def _run(self, *command: str) -> list[str]:
        environment = os.environ | {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }
        done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment, timeout=60)
        return done.stdout.splitlines()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""


def _descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(children).split()):
            yield child
            yield from _descendants(child)


def reason_to_skip() -> str | None:
    path = f"{os.environ['PATH']}:/usr/sbin"
    absent = [name for name in ("sbatch", "slurmctld", "slurmd", "munged") if shutil.which(name, path=path) is None]
    if absent:
        return f"no {', '.join(absent)} on this machine (Debian: slurmctld, slurmd, slurm-client, munge)"
    if os.geteuid() != 0:
        return "only root can start a Slurm cluster"
    if Path("/etc/slurm/slurm.conf").exists():
        return "/etc/slurm/slurm.conf belongs to another cluster"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "no Slurm plugin: make setup EXTRAS=slurm"
    return None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # One at a time on a machine: workers of pytest wait for one another.
    with locked(Path(tempfile.gettempdir()) / "hcs-slurm.lock", "another test has a Slurm cluster.", 3600):
        if reason := reason_to_skip():
            pytest.skip(reason)
        folder = tmp_path_factory.mktemp("slurm")
        subprocess.run([HERE / "start", folder, str(os.getpid())], check=True, timeout=60)
        yield Cluster(folder)
        subprocess.run([HERE / "stop", folder], check=True, timeout=60)


@dataclass(frozen=True)
class Analysis:
    """A folder with a configuration, in which Snakemake works."""

    folder: Path
    plate: str = "demo"

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.plate

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def command(self, *arguments: str, slurm: bool) -> list[str]:
        where = ["--profile", "slurm", "--slurm-init-seconds-before-status-checks", "5"] if slurm else ["--cores", "2"]
        return [str(BIN / "snakemake"), *where, *arguments]

    def run(self, *arguments: str, slurm: bool) -> str:
        """Run to the end, which must be a good one."""
        done = subprocess.run(
            self.command(*arguments, slurm=slurm), cwd=self.folder, text=True, timeout=600,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Ask how far it is, as from another terminal."""
        done = subprocess.run(
            [BIN / "hcs", "status", self.folder / "results", "--json"], check=True, text=True, stdout=subprocess.PIPE
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def outputs(self) -> dict[str, bytes]:
        """Return every file of arrays and tables."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for top in (*self.results.glob("*.zarr"), self.results / "tables")
            for path in top.rglob("*")
            if path.is_file()
        }

    def assert_same(self, expected: "Analysis") -> None:
        """Compare arrays and tables with those of another run, byte by byte."""
        mine, theirs = self.outputs(), expected.outputs()
        assert len(theirs) > 30
        assert mine.keys() == theirs.keys()
        assert not [name for name, content in theirs.items() if mine[name] != content]


MODULE = """\
import time
import numpy as np
from hcs_lib.core.declare import image_function

@image_function(accepts=(2,), returns="image", dtypes={"uint16": "uint16"}, coupling="none")
def hold(image, seconds: float = 0, megabytes: int = 0):
    '''Take time and memory, and give the image as it is.'''
    held = np.ones(megabytes * 2**20, dtype=np.uint8)
    time.sleep(seconds)
    assert held.size == megabytes * 2**20
    return image
"""

CONFIG = """\
plates: plates.tsv
pipeline: pipelines/demo.yaml
device: auto
wells_per_batch: 48
registry: {modules: [held]}
"""

PIPELINE = """\
name: held
steps:
  - {name: held, channels: [DNA], func: {call: held.hold, args: {seconds: 0.0}}}
  - name: nuclei
    func: {call: hcs.segment_nuclei, args: {min_diameter: 8 um}}
    outputs: {labels: nuclei}
  - name: measure
    input: raw
    stack: channel
    func: hcs.measure_objects
    inputs: {labels: nuclei}
    outputs: {table: objects}
"""


@pytest.fixture(scope="session")
def at() -> type[Analysis]:
    """Make an analysis of a folder that is there."""
    return Analysis


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic plate of 96 wells, small ones: one site of 64² pixels, two channels."""
    spec = DemoSpec(
        rows=tuple("ABCDEFGH"), columns=tuple(range(1, 13)), grid=(1, 1), field=64, z_planes=1, nuclei=(2, 4)
    )
    folder = tmp_path_factory.mktemp("raw")
    write_demo(folder / "demo", spec)
    return folder / "demo"


@pytest.fixture(scope="session")
def make(repository: Path, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Analysis]:
    """Make the files of a clone, with the plate of 96 wells in place of the demo's."""

    def made(name: str) -> Analysis:
        folder = tmp_path_factory.mktemp(name) / "repository"
        folder.mkdir()
        shutil.copy(repository / "Snakefile", folder)
        for part in ("workflow", "config", "profiles"):
            shutil.copytree(repository / part, folder / part)
        (folder / "slurm").symlink_to((repository / "slurm").readlink())
        (folder / "demo").symlink_to(raw)
        (folder / "config/held.py").write_text(MODULE)
        (folder / "config/pipelines/demo.yaml").write_text(PIPELINE)
        (folder / "config/config.yaml").write_text(CONFIG)
        return Analysis(folder)

    return made


@pytest.fixture(scope="session")
def local(make: Callable[[str], Analysis]) -> Analysis:
    """The plate without Slurm."""
    analysis = make("local")
    analysis.run("results/demo/verdict.txt", "results/demo/tables/hits.csv", slurm=False)
    return analysis
