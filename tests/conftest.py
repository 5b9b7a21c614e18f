"""Options that every test may ask for, and the failure matrix at the end of `make chaos`."""

import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.chaos.matrix import ROWS, rows_of

# A busy machine is no fault of an example: speed is for tests/perf.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_SURVIVED, _TESTS, _FAILED = Counter[int](), Counter[int](), Counter[int]()


@pytest.fixture(autouse=True)
def own_main_module() -> Iterator[None]:
    """Put back the main module: Streamlit's AppTest leaves its script there, which child processes of later tests would then run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--grid-vectors", default=None, help="another file in the form of tests/vectors/grid_vectors.json")
    parser.addoption("--metric-vectors", default=None, help="another file in the form of tests/vectors/metric_vectors.json")
    parser.addoption("--matrix", action="store_true", help="print the failure matrix; a row without a passed test fails the run")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if rows_of(item.nodeid):
            item.add_marker("matrix")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what was survived: a test counts once, or as often as it says by `record_property("survived", n)`."""
    for number in rows_of(report.nodeid):
        if report.when == "call" and report.passed:
            _TESTS[number] += 1
            _SURVIVED[number] += dict(report.user_properties).get("survived", 1)
        elif report.failed:
            _FAILED[number] += 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--matrix") and any(not _TESTS[row.number] for row in ROWS):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--matrix"):
        return
    terminalreporter.section("failure matrix")
    for row in ROWS:
        verdict = f"{_FAILED[row.number]} FAILED" if _FAILED[row.number] else "survived" if _TESTS[row.number] else "NOT SHOWN"
        counts = f"{_SURVIVED[row.number]:>5} times in {_TESTS[row.number]:>3} tests"
        terminalreporter.write_line(f"{row.number:>3}  {row.failure:<56} {counts}  {verdict}")
