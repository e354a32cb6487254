"""What every test may use."""

import asyncio
import functools
import gc
import inspect
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest
from hypothesis import settings

# `make check-full` asks for more examples than `make test`; none may be slow.
settings.register_profile("quick", deadline=None)
settings.register_profile("thorough", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

FIGURE = "figure"
SHARE_OF_LIMIT = 0.8
"""After this share of its time limit an async test is cancelled; the rest is for cleaning up."""
SHORTEST_SECONDS = 1.0
MINUTES_SECONDS = 150
"""A test that may take as long is one that takes minutes."""
began_at = pytest.StashKey[float]()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run async tests on the loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Have the collector rest during a test: what is gone then did not wait for it."""
    gc.collect()  # what other tests have left
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a measured figure at the end of the run."""
    return lambda figure: request.node.user_properties.append((FIGURE, figure))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that take minutes where processes share them, so that none is left alone with one."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    counts = Counter(item.path for item in items)
    longest = {item.path: 0.0 for item in items}
    for item in items:
        longest[item.path] = max(longest[item.path], _read_limit(item))
    items.sort(key=lambda item: (longest[item.path] < MINUTES_SECONDS, -counts[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    item.stash[began_at] = time.monotonic()
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Cancel an async test that is late, before the signal of pytest-timeout comes.

    That raises in whatever callback runs, and a loop that was left so may wait for ever when it is closed.
    """
    limit = _read_limit(pyfuncitem)
    if limit and inspect.iscoroutinefunction(pyfuncitem.obj):
        spent_seconds = time.monotonic() - pyfuncitem.stash[began_at]
        seconds = max(SHARE_OF_LIMIT * limit - spent_seconds, SHORTEST_SECONDS)
        pyfuncitem.obj = _bound(pyfuncitem.obj, seconds)


def _read_limit(item: pytest.Item) -> float:
    """Tell within how many seconds a test must end; 0 is no limit."""
    marker = item.get_closest_marker("timeout")
    return float(
        marker.args[0] if marker else item.config.getoption("timeout") or item.config.getini("timeout")
    )


def _bound(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def bounded(*arguments: object, **fixtures: object) -> None:
        async with asyncio.timeout(seconds):
            await test(*arguments, **fixtures)

    return bounded


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
