"""How many connections there may be, and how long a useless one lasts."""

import pytest

from turnnode.relay.connections import (
    LONELY_SECONDS,
    MESSAGE_SECONDS,
    ConnectionCount,
    ConnectionLimit,
    Patience,
)

LIMIT = ConnectionLimit(in_total=3, of_one_source=2)


def test_source_gets_its_connections_and_not_one_more() -> None:
    count = ConnectionCount()

    assert [count.admit(LIMIT, "192.0.2.1") for _ in range(3)] == [True, True, False]
    assert count.admit(LIMIT, "192.0.2.2")
    assert not count.admit(LIMIT, "192.0.2.3")
    count.release("192.0.2.1")
    assert count.admit(LIMIT, "192.0.2.1")
    assert count.total == 3


def test_addresses_of_one_subscriber_are_one_source() -> None:
    count = ConnectionCount()
    hosts = ["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"]

    assert [count.admit(LIMIT, host) for host in hosts] == [True, True, False]


@pytest.mark.parametrize(("waited", "is_over"), [(LONELY_SECONDS - 1, False), (LONELY_SECONDS, True)])
def test_connection_without_an_allocation_is_closed_in_time(waited: int, is_over: bool) -> None:
    assert Patience(0).is_over(waited, has_allocation=False, is_within_message=False) is is_over


def test_connection_with_an_allocation_stays() -> None:
    patience = Patience(0)

    assert not patience.is_over(1e6, has_allocation=True, is_within_message=False)
    assert not patience.is_over(1e6 + 1, has_allocation=False, is_within_message=False)


@pytest.mark.parametrize(("waited", "is_over"), [(MESSAGE_SECONDS - 1, False), (MESSAGE_SECONDS, True)])
def test_message_that_does_not_end_closes_even_a_connection_of_use(waited: int, is_over: bool) -> None:
    patience = Patience(0)
    patience.is_over(5, has_allocation=True, is_within_message=True)

    assert patience.is_over(5 + waited, has_allocation=True, is_within_message=True) is is_over


def test_messages_one_after_another_are_not_one_slow_one() -> None:
    patience = Patience(0)
    patience.is_over(5, has_allocation=True, is_within_message=True)
    patience.message_since = None  # one has ended since

    assert not patience.is_over(5 + MESSAGE_SECONDS, has_allocation=True, is_within_message=True)
