"""The environment of the jobs."""

import re
from pathlib import Path

import hcs_lib


def test_post_deploy_script_installs_this_version(repository: Path) -> None:
    script = (repository / "workflow/envs/hcs.post-deploy.sh").read_text()
    assert re.search(r"^version=(.*)$", script, re.MULTILINE)[1] == hcs_lib.__version__


def test_every_rule_has_what_a_rule_has(repository: Path) -> None:
    text = "\n".join(path.read_text() for path in sorted((repository / "workflow/rules").glob("*.smk")))
    rules = re.split(r"^(?:rule|checkpoint) (\w+):$", text, flags=re.MULTILINE)[1:]
    found = dict(zip(rules[::2], rules[1::2], strict=True))
    assert {"registry", "index", "compile", "execute_cpu", "collect", "verdict"} <= set(found)
    for name, body in found.items():
        for key in ("log", "benchmark", "threads", "resources", "conda", "message"):
            assert re.search(rf"^    {key}:", body, re.MULTILINE), f"rule {name} has no {key}"
        assert re.search(r"^        gpu=", body, re.MULTILINE), f"rule {name} does not say how many GPUs it needs"
        assert not re.search(r"^    run:", body, re.MULTILINE), f"rule {name} has a run block"
