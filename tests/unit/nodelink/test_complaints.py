"""Each refusal has its line, and no storm of them fills a journal."""

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from nodelink.daemon.complaints import (
    ALL_BURST,
    ALL_SECONDS,
    MAX_KINDS,
    SAME_BURST,
    SAME_SECONDS,
    Complaints,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Complaints, Clock]:
    clock = Clock()
    return Complaints(structlog.get_logger(), clock), clock


def count_lines(complaints: Complaints, times: int, **fields: object) -> int:
    with capture_logs() as lines:
        for _ in range(times):
            complaints.warning("refused", **fields)
    return len(lines)


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_line_has_its_level_and_fields(level: str) -> None:
    complaints, _ = make()
    with capture_logs() as lines:
        getattr(complaints, level)("refused", node="mail1", problem="why")

    assert lines == [{"event": "refused", "log_level": level, "node": "mail1", "problem": "why"}]


@pytest.mark.parametrize(
    ("times", "lines"),
    [(SAME_BURST - 1, SAME_BURST - 1), (SAME_BURST, SAME_BURST), (SAME_BURST + 1, SAME_BURST)],
)
def test_same_line_is_written_a_few_times_at_once(times: int, lines: int) -> None:
    complaints, _ = make()

    assert count_lines(complaints, times, node="mail1") == lines


@pytest.mark.parametrize(("seconds", "lines"), [(SAME_SECONDS - 1, 0), (SAME_SECONDS, 1)])
def test_same_line_is_written_again_after_a_while(seconds: float, lines: int) -> None:
    complaints, clock = make()
    count_lines(complaints, 10, node="mail1")
    clock.now += seconds

    assert count_lines(complaints, 5, node="mail1") == lines


def test_other_line_is_written_in_a_storm_and_tells_how_many_were_left_out() -> None:
    complaints, _ = make()
    count_lines(complaints, 100, node="mail1")
    with capture_logs() as lines:
        complaints.warning("refused", node="mail2")
        complaints.warning("refused", node="mail3")

    assert [line.get("left_out") for line in lines] == [100 - SAME_BURST, None]


@pytest.mark.parametrize(
    ("kinds", "lines"), [(ALL_BURST - 1, ALL_BURST - 1), (ALL_BURST, ALL_BURST), (10_000, ALL_BURST)]
)
def test_lines_that_all_differ_are_bounded_together(kinds: int, lines: int) -> None:
    complaints, clock = make()

    assert sum(count_lines(complaints, 1, node=number) for number in range(kinds)) == lines
    clock.now += ALL_SECONDS * ALL_BURST
    assert count_lines(complaints, 1, node="mail1") == 1


def test_memory_is_bounded() -> None:
    complaints, clock = make()
    for number in range(2 * MAX_KINDS):
        count_lines(complaints, 1, node=number)
        clock.now += ALL_SECONDS

    assert len(complaints._rested_at) <= MAX_KINDS  # noqa: SLF001 - what is held is the question


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=200))
def test_no_sequence_of_refusals_writes_more_than_was_promised(events: list[tuple[int, float]]) -> None:
    complaints, clock = make()
    began_at = clock.now
    written = 0
    for node, pause_seconds in events:
        clock.now += pause_seconds
        written += count_lines(complaints, 1, node=node)

    span_seconds = clock.now - began_at
    assert written <= ALL_BURST + span_seconds / ALL_SECONDS
    assert written <= 6 * (SAME_BURST + span_seconds / SAME_SECONDS)
