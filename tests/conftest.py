"""What every test may use."""

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

# `make check-full` asks for more examples than `make test`; none may be slow.
settings.register_profile("quick", deadline=None)
settings.register_profile("thorough", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

FIGURE = "figure"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run async tests on the loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a measured figure at the end of the run."""
    return lambda figure: request.node.user_properties.append((FIGURE, figure))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [
        figure
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
        for name, figure in report.user_properties
        if name == FIGURE
    ]
    if figures:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.write_line(str(figure))
