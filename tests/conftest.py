"""What every test may use."""

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

# `make check-full` asks for more examples than `make test`; none may be slow.
settings.register_profile("quick", deadline=None)
settings.register_profile("thorough", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run async tests on the loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a measured figure at the end of the run."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.write_line(figure)
