import pytest

from hcs_lib.core.errors import Problem, UserError
from hcs_lib.core.files import write_json
from hcs_lib.core.refusals import read_accepted, refuse, when_useless


def test_a_refusal_raises_what_it_was_made_of(tmp_path):
    problems = [Problem("plates.tsv:2", "The folder holds no plate.", "Name another."), Problem("", "And this.")]
    path = tmp_path / "results/plan.json"
    assert when_useless(path) == 0
    refuse(path, UserError(problems))
    assert when_useless(path) == path.stat().st_mtime_ns
    with pytest.raises(UserError) as raised:
        read_accepted(path, "Plan")
    assert raised.value.problems == tuple(problems)


@pytest.mark.parametrize("document", [{"plate": "demo"}, ["refused"], {"a": 1, "refuse": []}])
def test_other_documents_are_accepted(tmp_path, document):
    path = tmp_path / "plan.json"
    write_json(path, document)
    assert when_useless(path) == 0
    assert read_accepted(path, "Plan") == document


@pytest.mark.parametrize("cut", [0, 1, 5, -1, -2])
def test_a_file_that_was_cut_is_useless_and_a_whole_one_is_not(tmp_path, cut):
    path = tmp_path / "plan.json"
    write_json(path, {"plate": "demo"})
    assert when_useless(path) == 0
    path.write_bytes(path.read_bytes()[:cut])
    assert when_useless(path) == path.stat().st_mtime_ns
