"""Fixtures that every test may use, and `--must-run`, by which CI holds that nothing is skipped unseen."""

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says nothing on a machine that others use.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public plates with known truths, beside the repository; tests that need them skip where they are absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the test data is not at ../shared/data beside {REPOSITORY.name}")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--must-run", default="", metavar="MARKERS", help="comma-separated: tests with these fail where they would skip"
    )


def _must_run(config: pytest.Config) -> list[str]:
    return [marker for marker in config.getoption("--must-run").split(",") if marker]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The slowest first: workers are then busy to the end.
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport]:
    report = yield
    if report.skipped and _must_run(collector.config):
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    report = yield
    marker = next((name for name in _must_run(item.config) if item.get_closest_marker(name)), None)
    if report.skipped and marker and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"marked {marker}, which must run here: {report.longrepr[-1]}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(session.config, "workerinput"):
        return
    for name in _must_run(session.config):
        if not any(name in report.keywords for report in terminal.stats.get("passed", [])):
            terminal.write_line(f"--must-run: no test marked {name} has passed.", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
