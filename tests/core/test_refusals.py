import pytest

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import write_json
from hcs_lib.core.refusals import read_accepted, refuse, when_refused


def test_a_refusal_raises_what_it_was_made_of(tmp_path):
    problems = [Problem("plates.tsv:2", "The folder holds no plate.", "Name another."), Problem("", "And this.")]
    path = tmp_path / "results/plan.json"
    assert when_refused(path) == 0
    refuse(path, UserError(problems))
    assert when_refused(path) == path.stat().st_mtime_ns
    with pytest.raises(UserError) as raised:
        read_accepted(path, "Plan")
    assert raised.value.problems == tuple(problems)


@pytest.mark.parametrize("document", [{"plate": "demo"}, ["refused"], {"a": 1, "refuse": []}])
def test_other_documents_are_accepted(tmp_path, document):
    path = tmp_path / "plan.json"
    write_json(path, document)
    assert when_refused(path) == 0
    assert read_accepted(path, "Plan") == document
