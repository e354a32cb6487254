"""What the rate limit promises, for every limit and every run of attempts."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.accounts.rate_limit import (
    NANOSECONDS_PER_MINUTE,
    RateLimit,
    RateLimiter,
    find_network,
    find_prefix,
)

any_limit = st.builds(RateLimit, per_minute=st.integers(1, 20), burst=st.integers(1, 9))
any_gaps_ns = st.lists(st.integers(0, 30 * 1_000_000_000), max_size=60)


class Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def make_limiter(per_minute: int = 60, burst: int = 3, max_keys: int = 100) -> tuple[RateLimiter, Clock]:
    clock = Clock()
    return RateLimiter(RateLimit(per_minute=per_minute, burst=burst), clock, max_keys), clock


def test_burst_is_admitted_and_not_one_more() -> None:
    limiter, _ = make_limiter(burst=3)

    assert [limiter.try_spend("a") for _ in range(4)] == [True, True, True, False]
    assert limiter.try_spend("b")


def test_one_event_is_earned_back_per_interval() -> None:
    limiter, clock = make_limiter(per_minute=60, burst=1)
    assert limiter.try_spend("a")

    clock.now_ns = 999_999_999
    assert not limiter.may("a")
    clock.now_ns = 1_000_000_000
    assert limiter.may("a")


def test_debt_is_paid_off_before_anything_is_admitted() -> None:
    limiter, clock = make_limiter(per_minute=60, burst=2)
    for _ in range(10):
        limiter.spend("a")

    clock.now_ns = 8_999_999_999
    assert not limiter.may("a")
    clock.now_ns = 9_000_000_000
    assert limiter.may("a")


def test_without_a_limit_everything_is_admitted() -> None:
    limiter = RateLimiter(None)

    assert all(limiter.try_spend("a") for _ in range(1_000))


def test_key_longest_untouched_is_forgotten_first() -> None:
    limiter, _ = make_limiter(burst=1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        limiter.spend(key)

    assert not limiter.may("a")
    assert limiter.may("b")
    assert not limiter.may("c")


@pytest.mark.parametrize("fields", [(0, 1), (1, 0)])
def test_limit_that_could_never_admit_cannot_be_built(fields: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        RateLimit(per_minute=fields[0], burst=fields[1])


@given(any_limit, any_gaps_ns)
def test_no_window_admits_more_than_burst_and_rate_allow(limit: RateLimit, gaps_ns: list[int]) -> None:
    clock = Clock()
    limiter = RateLimiter(limit, clock)
    admitted_ns: list[int] = []
    for clock.now_ns in accumulate(gaps_ns):
        if limiter.try_spend("a"):
            admitted_ns.append(clock.now_ns)

    for first, start_ns in enumerate(admitted_ns):
        for count, end_ns in enumerate(admitted_ns[first:], start=1):
            earned = (end_ns - start_ns) * limit.per_minute
            assert (count - limit.burst) * NANOSECONDS_PER_MINUTE <= earned


@pytest.mark.parametrize(
    ("client_address", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"),
        ("2001:db8:1:201::9", "2001:db8:1:200::/56"),
        ("2001:db8:1:301::9", "2001:db8:1:300::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_prefix_stands_for_one_customer(client_address: str, prefix: str) -> None:
    assert find_prefix(client_address) == prefix


@pytest.mark.parametrize(
    ("client_address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.9", "192.0.2.0/24"),
        ("2001:db8:0:ff::1", "2001:db8::/56"),
        ("2001:db8:0:100::1", "2001:db8:0:100::/56"),
        ("a name", "a name"),
    ],
)
def test_network_stands_for_neighbours(client_address: str, network: str) -> None:
    assert find_network(client_address) == network
