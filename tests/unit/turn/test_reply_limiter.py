"""The limit on answers to strangers."""

import pytest

from turnnode.relay.limiter import ReplyLimit, ReplyLimiter, source_of

LIMIT = ReplyLimit(per_second=10, burst=5)
NOON = 1_700_000_000.0


def admitted(limiter: ReplyLimiter, host: str, count: int, now: float) -> int:
    return sum(limiter.admit(LIMIT, host, now) for _ in range(count))


def test_source_gets_its_burst_and_no_more() -> None:
    limiter = ReplyLimiter()

    assert [admitted(limiter, "5.5.5.1", 4, NOON), admitted(limiter, "5.5.5.1", 4, NOON)] == [4, 1]


def test_source_earns_back_its_rate() -> None:
    limiter = ReplyLimiter()
    admitted(limiter, "5.5.5.1", 5, NOON)

    assert admitted(limiter, "5.5.5.1", 5, NOON + 0.25) == 2
    assert admitted(limiter, "5.5.5.1", 9, NOON + 60) == 5


def test_refused_attempts_cost_nothing() -> None:
    limiter = ReplyLimiter()
    admitted(limiter, "5.5.5.1", 500, NOON)

    assert admitted(limiter, "5.5.5.1", 500, NOON + 1) == 5


def test_clock_that_steps_back_admits_nothing_more() -> None:
    limiter = ReplyLimiter()
    admitted(limiter, "5.5.5.1", 5, NOON)

    assert admitted(limiter, "5.5.5.1", 5, NOON - 3600) == 0


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ("5.5.5.1", "5.5.5.2", False),
        ("2a00:1:2:300::1", "2a00:1:2:3ff:ffff::9", True),
        ("2a00:1:2:300::1", "2a00:1:2:400::1", False),
    ],
)
def test_source_is_an_ipv4_address_or_an_ipv6_56(one: str, other: str, is_shared: bool) -> None:
    assert (source_of(one) == source_of(other)) is is_shared


@pytest.mark.parametrize("fields", [{"per_second": 0}, {"burst": 0}])
def test_limit_that_could_never_admit_cannot_be_built(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        ReplyLimit(**fields)
