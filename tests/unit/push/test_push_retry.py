"""When a token is tried again: 8, 64, 512, 4096 seconds, and not beyond five hours."""

import pytest

from mailnode.push.retry import GIVE_UP_SECONDS, Outcome, find_next_attempt, judge_status


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (199, Outcome.FAILED),
        (200, Outcome.DONE),
        (299, Outcome.DONE),
        (302, Outcome.FAILED),
        (404, Outcome.FAILED),
        (410, Outcome.GONE),
        (429, Outcome.FAILED),
        (503, Outcome.FAILED),
    ],
)
def test_status_is_judged(status: int, outcome: Outcome) -> None:
    assert judge_status(status) is outcome


@pytest.mark.parametrize(("failures", "pause"), [(1, 8), (2, 64), (3, 512), (4, 4096)])
def test_pause_grows_eightfold(failures: int, pause: int) -> None:
    assert find_next_attempt(1000, failures, 1000) == 1000 + pause


@pytest.mark.parametrize(
    ("waited", "expected"),
    [(GIVE_UP_SECONDS - 9, True), (GIVE_UP_SECONDS - 8, True), (GIVE_UP_SECONDS - 7, False)],
)
def test_token_is_given_up_after_five_hours(waited: int, expected: bool) -> None:
    assert (find_next_attempt(1000, 1, 1000 + waited) is not None) is expected


def test_fifth_pause_would_be_too_long() -> None:
    assert find_next_attempt(0, 5, 0) is None
