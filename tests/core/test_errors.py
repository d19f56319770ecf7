from hcs_lib.core.errors import DataError, HcsError, MachineError, Problem, UserError, nearest


def test_a_problem_says_where_what_and_what_to_do() -> None:
    assert str(Problem("p.yaml:3", "Unknown key 'stak'.", "Did you mean stack?")) == (
        "p.yaml:3: Unknown key 'stak'. Did you mean stack?"
    )
    assert str(Problem("", "Wrong.")) == "Wrong."


def test_all_problems_are_kept_once_and_in_order() -> None:
    first, second = Problem("b", "2"), Problem("a", "1")
    error = UserError([first, second, first])
    assert error.problems == (first, second)
    assert str(error) == "b: 2\na: 1"


def test_kinds_end_differently() -> None:
    assert (UserError("x").exit_code, MachineError("x").exit_code, HcsError("x").exit_code) == (2, 3, 1)
    error = DataError("short", "bad_plane", site=3, step="nuclei")
    assert (error.kind, error.site, error.step) == ("bad_plane", 3, "nuclei")


def test_nearest_names() -> None:
    assert nearest("gausian", ["gaussian", "median"]) == "Did you mean gaussian?"
    assert nearest("xyz", ["gaussian"]) == ""
