"""How the program ends: one message, and the status that says whose fault it was."""

import subprocess
import sys

import pytest

from hcs_lib.cli.main import main


def test_what_the_disk_refuses_is_the_machine(tmp_path):
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "hcs_lib.cli.main", "demo", str(tmp_path / "file" / "demo")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == f"hcs: {tmp_path / 'file' / 'demo'}: Not a directory.\n"


@pytest.mark.parametrize("option", ["--workflow", "--config"])
def test_a_file_of_the_crate_that_is_not_there_is_named(tmp_path, monkeypatch, capsys, option):
    (tmp_path / "Snakefile").touch()
    given = ["--workflow", str(tmp_path / "Snakefile"), option, str(tmp_path / "nowhere")]
    monkeypatch.setattr(sys, "argv", ["hcs", "crate", str(tmp_path), *given])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "nowhere' does not exist." in capsys.readouterr().err
